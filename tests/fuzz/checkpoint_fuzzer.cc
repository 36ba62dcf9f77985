// Gives the checkpoint reader and the loader arbitrary files. Whatever the bytes are, the result is
// an error, or a table that is whole and holds what the file says.
//
// The first byte of the input chooses how the rest becomes a file: raw, or as blocks and an index
// whose offsets and CRCs are made right, so that what lies behind the checksums is reached too.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "engine/checkpoint/loader.h"
#include "engine/shm/region.h"
#include "tests/engine/checkpoint/crafted_checkpoint.h"
#include "tests/sim/sim_fs.h"

namespace small_db {
namespace {

using checkpoint_test::CraftedBlock;
using checkpoint_test::CraftedCheckpoint;

constexpr uint64_t kGeneration = 1;

// Takes bytes off the front of the input; zeros when there are none left.
class Input {
 public:
  explicit Input(Bytes bytes) : rest_(bytes) {}
  Bytes take(size_t bytes) {
    const Bytes taken = rest_.first(std::min(bytes, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  template <typename T>
  T number() {
    T value{};
    copy_bytes(reinterpret_cast<std::byte*>(&value), take(sizeof(T)));
    return value;
  }
  bool empty() const { return rest_.empty(); }

 private:
  Bytes rest_;
};

// Records with keys that mostly ascend, then whatever the input has.
CraftedBlock next_block(Input& input, uint64_t* key_number) {
  CraftedBlock block;
  const uint8_t twist = input.number<uint8_t>();
  for (int records = input.number<uint8_t>() % 16; records-- > 0 && !input.empty();) {
    *key_number += input.number<uint8_t>() % 8 + ((twist & 1) != 0 ? 0 : 1);
    const std::string key = std::to_string(1000000 + *key_number);
    RecordView record;
    record.revision = input.number<uint8_t>();
    record.expires_at_ms = (twist & 2) != 0 ? input.number<uint16_t>() : 0;
    record.key = as_bytes(key);
    record.value = input.take(input.number<uint8_t>());
    block.add(record);
  }
  if ((twist & 4) != 0) block.body += as_text(input.take(input.number<uint8_t>()));
  if ((twist & 8) != 0) block.first_key = as_text(input.take(input.number<uint8_t>() % 8));
  if ((twist & 16) != 0) block.records = input.number<uint32_t>();
  if ((twist & 32) != 0) block.data_bytes = input.number<uint64_t>();
  if ((twist & 64) != 0) block.body = as_text(input.take(input.number<uint16_t>()));
  return block;
}

std::string crafted(Input& input) {
  CheckpointHeader header;
  header.generation = kGeneration;
  header.start_revision = 200;
  CraftedCheckpoint file(header);
  uint64_t key_number = 0;
  const uint8_t twist = input.number<uint8_t>();
  while (!input.empty()) file.add(next_block(input, &key_number));
  if ((twist & 1) != 0) file.footer.entries += twist;
  if ((twist & 2) != 0) file.footer.blocks += twist;
  if ((twist & 4) != 0) file.footer.end_revision += twist;
  return file.finish();
}

std::string make_file(Bytes data) {
  Input input(data);
  switch (input.number<uint8_t>() % 3) {
    case 0:
      return std::string(as_text(input.take(SIZE_MAX)));
    case 1: {  // raw in the middle of a right file
      const uint16_t at = input.number<uint16_t>();
      const size_t length = input.number<uint8_t>();
      const Bytes raw = input.take(length);
      std::string file = crafted(input);
      file.replace(at % file.size(), raw.size(), as_text(raw));
      return file;
    }
    default:
      return crafted(input);
  }
}

// The region that every input is loaded into.
Region region() {
  static std::vector<std::byte> memory(kRegionBytesMin + 64);
  void* at = memory.data();
  size_t room = memory.size();
  std::byte* aligned = static_cast<std::byte*>(std::align(64, kRegionBytesMin, at, room));
  static const Status status = Region::format({aligned, kRegionBytesMin}, RegionConfig());
  if (!status.is_ok()) std::abort();
  return Region::attach({aligned, kRegionBytesMin}).value();
}

void check(Bytes data) {
  const std::string file = make_file(data);
  SimDisk disk;
  disk.set_contents(checkpoint_file_name(kGeneration), as_bytes(file));
  const auto directory = disk.mount();
  Table table(region());
  table.clear();
  table.begin_batch(1);
  uint64_t damage_offset = 0;
  const auto state =
      load_checkpoint(*directory, kGeneration, table, CheckpointLoadOptions(), &damage_offset);
  if (!state.is_ok()) {
    const Code code = state.status().code();
    if (code != Code::kCorruption && code != Code::kWrongFormat && code != Code::kNoMemory) {
      std::abort();
    }
    if (damage_offset > file.size()) std::abort();
    return;
  }
  if (!table.check().is_ok()) std::abort();
  Cursor cursor = table.cursor();
  uint64_t entries = 0;
  Status status = cursor.seek_first();
  for (; status.is_ok() && cursor.is_valid(); status = cursor.next()) {
    if (cursor.record().value().revision > state.value().footer.end_revision) std::abort();
    ++entries;
  }
  if (!status.is_ok() || entries != state.value().footer.entries) std::abort();
}

}  // namespace
}  // namespace small_db

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  small_db::check(small_db::Bytes(reinterpret_cast<const std::byte*>(data), size));
  return 0;
}
