// Finds per second of one reader, without nginx: pin the published root, find a random key, copy
// its value, let go; as a GET does it.
//
//   engine_get_bench [--keys=100000] [--seconds=5]
//
// Prints: rate TAB finds per second.
#include <sys/mman.h>

#include <array>

#include "engine/client/client.h"
#include "engine/table/table.h"
#include "tests/bench/arguments.h"

namespace small_db::bench {
namespace {

constexpr uint64_t kBatchKeys = 10'000;

Region make_region(uint64_t keys) {
  const size_t bytes = align_up(64 * kMiB + keys * 512, kPageBytes);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("no memory");
  const MutableBytes span(static_cast<std::byte*>(memory), bytes);
  if (!Region::format(span, {}).is_ok()) fail("cannot format a region");
  return Region::attach(span).value();
}

// Keys in a scattered order, as clients would have written them. 7919 is a prime that divides no
// power of ten, so that every index comes once.
void load_keys(Region region, uint64_t keys) {
  Table table(region);
  table.clear();
  const std::string value(kValueBytes, 'v');
  for (uint64_t done = 0; done < keys;) {
    table.begin_batch(done + 1);
    const uint64_t end = std::min(keys, done + kBatchKeys);
    for (; done < end; ++done) {
      const std::string key = key_of(done * 7919 % keys);
      RecordView record;
      record.revision = done + 1;
      record.key = as_bytes(key);
      record.value = as_bytes(value);
      if (!table.put(record).is_ok()) fail("put failed");
    }
    publish_root(region, table.seal_batch(done, 1, {}));
  }
}

void run(const Arguments& arguments) {
  const uint64_t keys = arguments.number("keys", 100'000);
  const auto seconds = static_cast<double>(arguments.number("seconds", 5));
  const Region region = make_region(keys);
  load_keys(region, keys);
  const auto client = Client::attach(region);
  if (!client.is_ok()) fail("cannot attach");
  Random random(1);
  std::array<std::byte, kValueBytes> copy;
  uint64_t finds = 0;
  const Stopwatch watch;
  while (finds % 1024 != 0 || watch.seconds() < seconds) {
    char key[32];
    const int length = std::snprintf(key, sizeof key, "key:%012llu",
                                     static_cast<unsigned long long>(random.below(keys)));
    const Result<Snapshot> snapshot = client.value()->snapshot();
    if (!snapshot.is_ok()) fail("no snapshot");
    const Result<StoredRecord> record =
        snapshot.value().find(as_bytes({key, static_cast<size_t>(length)}));
    if (!record.is_ok() || record.value().value.bytes() != copy.size() ||
        !record.value().value.copy_to(copy.data()).is_ok()) {
      fail("a key is missing");
    }
    ++finds;
  }
  std::printf("rate\t%.0f\n", static_cast<double>(finds) / watch.seconds());
}

}  // namespace
}  // namespace small_db::bench

int main(int count, char** arguments) {
  small_db::bench::run(small_db::bench::Arguments(count, arguments));
  return 0;
}
