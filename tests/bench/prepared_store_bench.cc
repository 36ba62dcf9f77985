// Writes what a large store begins with, without the hours that putting every key would take:
//
//   prepared_store_bench [--directory=PATH] [--rdb=PATH] [--keys=10000000] [--long-keys=1]
//
// makes the store's directory (checkpoint, an empty log behind it, version), and with --rdb the
// same keys and values as a file that Redis loads. Keys have 11 bytes ("key00000042"), long ones 16
// ("key:000000000042"); a value is its key, repeated up to 100 bytes.
#include <memory>

#include "engine/checkpoint/writer.h"
#include "engine/platform/posix_file_system.h"
#include "engine/recovery/data_directory.h"
#include "engine/wal/log_writer.h"
#include "tests/bench/arguments.h"

namespace small_db::bench {
namespace {

void check(const Status& status, std::string_view what) {
  if (!status.is_ok()) fail(std::string(what) + ": " + status.text());
}

struct KeyFormat {
  bool is_long = false;

  std::string operator()(uint64_t index) const {
    if (is_long) return key_of(index);
    char text[32];
    std::snprintf(text, sizeof text, "key%08llu", static_cast<unsigned long long>(index));
    return text;
  }
};

std::string value_of(const std::string& key) {
  std::string value;
  while (value.size() < kValueBytes) value += key;
  value.resize(kValueBytes);
  return value;
}

void write_store(const std::string& folder, const KeyFormat& format, uint64_t keys) {
  constexpr uint64_t kGeneration = 1;
  auto directory = PosixDirectory::open(folder).value();
  NewCheckpoint checkpoint;
  checkpoint.cluster_id = make_uid(LogOptions());
  checkpoint.generation = kGeneration;
  checkpoint.uid = make_uid(LogOptions());
  checkpoint.epoch = 1;
  checkpoint.start_revision = keys;
  checkpoint.created_ms = 1;
  auto writer = CheckpointWriter::create(*directory, checkpoint).value();
  for (uint64_t index = 0; index < keys; ++index) {
    const std::string key = format(index);
    const std::string value = value_of(key);
    RecordView record;
    record.revision = index + 1;
    record.key = as_bytes(key);
    record.value = as_bytes(value);
    check(writer->add(record), "checkpoint");
  }
  check(writer->finish(keys), "checkpoint");
  const NewLog log = {checkpoint.cluster_id, kGeneration, checkpoint.epoch, keys + 1, 1};
  check(create_started_log(*directory, log, LogOptions()), "log");
  check(write_version(*directory, kGeneration), "version");
}

// A length in RDB's encoding: 6, 14 or 32 bits, the longer ones big-endian.
std::string rdb_length(uint64_t length) {
  std::string text;
  if (length < 64) {
    text += static_cast<char>(length);
  } else if (length < 16384) {
    text += static_cast<char>(0x40 | length >> 8);
    text += static_cast<char>(length & 0xff);
  } else {
    text += static_cast<char>(0x80);
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(length >> shift & 0xff);
  }
  return text;
}

// RDB version 10 (Redis 7.0): the database's number and sizes, strings, the end, and instead of a
// checksum zeros, which Redis takes for none.
void write_rdb(const std::string& path, const KeyFormat& format, uint64_t keys) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "wb"), std::fclose);
  if (!file) fail("cannot make " + path);
  const auto put = [&](const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), file.get()) != text.size()) fail(path);
  };
  put(std::string("REDIS0010\xfe\x00\xfb", 12) + rdb_length(keys) + rdb_length(0));
  for (uint64_t index = 0; index < keys; ++index) {
    const std::string key = format(index);
    put(std::string(1, '\0') + rdb_length(key.size()) + key + rdb_length(kValueBytes) +
        value_of(key));
  }
  put("\xff" + std::string(8, '\0'));
  if (std::fflush(file.get()) != 0) fail(path);
}

}  // namespace
}  // namespace small_db::bench

int main(int count, char** arguments) {
  using namespace small_db::bench;
  const Arguments given(count, arguments);
  const uint64_t keys = given.number("keys", 10'000'000);
  const KeyFormat format{!given.text("long-keys", "").empty()};
  const std::string directory = given.text("directory", "");
  const std::string rdb = given.text("rdb", "");
  if (!directory.empty()) write_store(directory, format, keys);
  if (!rdb.empty()) write_rdb(rdb, format, keys);
  return 0;
}
