// Gives recovery arbitrary log files, on a simulated disk. Whatever the bytes are, it ends with a
// state or with a refusal, and a refusal has changed nothing.
//
// The first byte of the input chooses how the rest becomes files: raw, or as a list of frames whose
// offsets and CRCs are made right, so that what lies behind the checksums is reached too.
#include <cstdlib>
#include <string>

#include "engine/base/crc32c.h"
#include "engine/recovery/recovery.h"
#include "tests/sim/sim_fs.h"

namespace small_db {
namespace {

constexpr size_t kFileBytes = 32 * kKiB;

class CountingSink : public RecoverySink {
 public:
  Status restart() override { return Status::ok(); }
  Status begin_frame(const FrameView& frame) override {
    requests += frame.runs().size();
    return Status::ok();
  }
  Status apply(const RecordView& record) override {
    bytes += record.key.size() + record.value.size();
    return Status::ok();
  }
  Status end_frame(const FrameView&, const LogFilePosition&) override { return Status::ok(); }
  size_t requests = 0;
  size_t bytes = 0;
};

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
    const Bytes taken = take(sizeof(T));
    std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  bool empty() const { return rest_.empty(); }

 private:
  Bytes rest_;
};

std::string blank_log(uint64_t generation, LogHeader* header) {
  header->generation = generation;
  header->prepared_end = kFileBytes;
  std::string file(kFileBytes, '\0');
  encode_log_header(*header, reinterpret_cast<std::byte*>(file.data()));
  return file;
}

// Appends frames until the file or the input ends. Small numbers make most of them fit together;
// `*revision` and `*chain` go on from file to file.
std::string frames_log(Input& input, uint64_t generation, uint64_t* revision, uint32_t* chain) {
  LogHeader log;
  std::string file = blank_log(generation, &log);
  uint64_t offset = kLogHeaderBytes;
  uint32_t previous = log.crc;
  while (!input.empty()) {
    FrameHeader header;
    const uint8_t twist = input.number<uint8_t>();
    header.offset = offset;
    header.flags = input.number<uint8_t>() & 0x1f;
    header.requests = input.number<uint8_t>() % 8;
    header.request_runs = input.number<uint8_t>() % 8;
    header.records = input.number<uint8_t>() % 8;
    header.body_bytes = input.number<uint16_t>() % 2048;
    header.first_revision = (twist & 1) != 0 ? input.number<uint64_t>() : *revision;
    header.durable_revision =
        (twist & 2) != 0 ? input.number<uint64_t>() : header.first_revision - 1;
    header.epoch = (twist & 4) != 0 ? input.number<uint64_t>() : 0;
    header.chain = (twist & 8) != 0 ? input.number<uint32_t>() : previous;
    header.prepared_end = (twist & 16) != 0 ? input.number<uint64_t>() : kFileBytes;
    if ((twist & 32) != 0) header.body_bytes = input.number<uint32_t>();
    const size_t room = kFileBytes - offset;
    std::string frame(frame_bytes(std::min<size_t>(header.body_bytes, kFileBytes)), '\0');
    std::byte* at = reinterpret_cast<std::byte*>(frame.data());
    if ((header.flags & kFrameStart) != 0 && header.body_bytes == kStartBodyBytes) {
      encode_start_body({generation - 1, *revision - 1, *chain}, at + kFrameHeaderBytes);
    } else {
      copy_bytes(at + kFrameHeaderBytes,
                 input.take(std::min<size_t>(header.body_bytes, kFileBytes)));
    }
    const size_t body = std::min<size_t>(header.body_bytes, frame.size() - kFrameHeaderBytes);
    header.body_crc = crc32c(Bytes(at + kFrameHeaderBytes, body), log.seed);
    encode_frame_header(header, log.seed, at);
    if (frame.size() > room) break;
    if ((twist & 64) != 0) at[kFrameHeaderBytes] ^= std::byte{1};  // a torn body
    file.replace(offset, frame.size(), frame);
    offset += frame.size();
    previous = *chain = header.crc;
    *revision = header.next_revision();
    if ((twist & 128) != 0) break;  // the next file
  }
  return file;
}

void fill_disk(Input& input, SimDisk& disk) {
  const uint8_t mode = input.number<uint8_t>();
  disk.set_contents("version", as_bytes("0\n"));
  if (mode % 4 == 0) {  // raw
    disk.set_contents("logfile.0", input.take(SIZE_MAX));
    return;
  }
  if (mode % 4 == 1) {  // raw behind a header
    LogHeader log;
    std::string file = blank_log(0, &log);
    const std::string_view rest = as_text(input.take(kFileBytes - kLogHeaderBytes));
    file.replace(kLogHeaderBytes, rest.size(), rest);
    disk.set_contents("logfile.0", as_bytes(file));
    return;
  }
  if (mode % 4 == 2) {  // other names and versions
    disk.set_contents("version", input.take(input.number<uint8_t>() % 4));
    disk.set_contents("newVersion", input.take(input.number<uint8_t>() % 4));
    disk.set_contents("logfile.0.last", input.take(input.number<uint16_t>() % 1024));
  }
  uint64_t revision = 1;
  uint32_t chain = 0;
  for (uint64_t generation = 0; generation < 3; ++generation) {
    const std::string file = frames_log(input, generation, &revision, &chain);
    disk.set_contents(log_file_name(generation), as_bytes(file));
    if (input.empty()) break;
  }
}

std::string everything(const SimDisk& disk) {
  std::string all;
  for (const std::string& name : disk.names()) all += name + '\0' + disk.contents(name);
  return all;
}

void check(Bytes data) {
  SimDisk disk;
  Input input(data);
  fill_disk(input, disk);
  const std::string before = everything(disk);
  auto directory = disk.mount();
  RecoveryOptions options;
  options.log.prepare_step_bytes = 4096;
  options.log.random = [](MutableBytes bytes) { bytes[0] = std::byte{1}; };
  Recovered recovered;
  Refusal refusal;
  CountingSink first;
  if (!recover(*directory, first, options, &recovered, &refusal).is_ok()) {
    if (refusal.text().empty() || everything(disk) != before) std::abort();
    return;
  }
  // What was recovered once is recovered again, now without a torn tail, and can be written on.
  const uint64_t revision = recovered.last_revision;
  CountingSink second;
  if (!recover(*directory, second, options, &recovered, &refusal).is_ok()) std::abort();
  if (recovered.last_revision != revision || second.bytes != first.bytes) std::abort();
  if (recovered.torn_tail) std::abort();
  if (!LogWriter::open(*directory, recovered.log, recovered.epoch, 1, options.log).is_ok()) {
    std::abort();
  }
}

}  // namespace
}  // namespace small_db

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  small_db::check(small_db::Bytes(reinterpret_cast<const std::byte*>(data), size));
  return 0;
}
