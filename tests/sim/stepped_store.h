// A store on a simulated disk, with a region in ordinary memory, whose steps the test takes itself.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/client/client.h"
#include "engine/store/store.h"
#include "tests/sim/sim_fs.h"

namespace small_db {

// Steps small enough that a few operations reach every limit.
StoreOptions small_store_options();

// A region in memory of this process.
class TestRegion {
 public:
  explicit TestRegion(size_t bytes = kRegionBytesMin, uint32_t slots = kSlotsMin, uint32_t id = 1);
  Region region() const { return region_; }

  // As new: lays the region out again, in memory that is already there; with another id.
  void format();
  void format(uint32_t id);
  // All of it, to be looked at or put back as it was.
  MutableBytes memory() const { return {memory_.get(), bytes_}; }

 private:
  size_t bytes_;
  uint32_t slots_;
  uint32_t id_;
  std::unique_ptr<std::byte, void (*)(void*)> memory_;
  Region region_;
};

// What a store needs around it, for tests: a clock that stands still, bells that count, lines that
// are kept.
class TestEnvironment : public Clock, public WorkerBells, public EventLog {
 public:
  explicit TestEnvironment(std::unique_ptr<Directory> mounted) : directory(std::move(mounted)) {}

  uint64_t wall_ms() override { return now_us / 1000; }
  uint64_t monotonic_us() override { return now_us; }
  void ring(uint32_t) noexcept override { ++bells; }
  void write(Severity, std::string_view line) noexcept override { lines.emplace_back(line); }
  StoreEnvironment environment() { return {*directory, *this, *this, *this}; }

  std::unique_ptr<Directory> directory;
  std::vector<std::string> lines;
  uint32_t bells = 0;
  uint64_t now_us = 1'700'000'000'000'000;
};

// An owner of a region, and as many clients as the test asks for.
class SteppedStore {
 public:
  SteppedStore(SimDisk& disk, Region region, const StoreOptions& options = small_store_options());

  Status open() { return store_.open(); }
  Store& store() { return store_; }
  TestEnvironment& environment() { return environment_; }
  Region region() const { return region_; }
  uint64_t revision() const { return region_.header().revision.load(std::memory_order_relaxed); }

  // Takes all steps until nothing is left to do (or nothing more can be done).
  void settle();

  // Submits, settles, and returns the outcome.
  WriteOutcome put(Client& client, std::string_view key, std::string_view value,
                   uint64_t expires_at_ms = 0);
  WriteOutcome erase(Client& client, std::string_view key);
  WriteOutcome write(Client& client, const WriteSetBuilder& set);

 private:
  WriteOutcome outcome_of(Client& client, uint64_t cookie, const Status& submitted);

  Region region_;
  TestEnvironment environment_;
  Store store_;
  uint64_t next_cookie_ = 1'000'000;
};

std::unique_ptr<Client> attach_client(Region region);

// The value of the key as readers see it now, or nothing.
std::optional<std::string> read_value(Client& client, std::string_view key);

}  // namespace small_db
