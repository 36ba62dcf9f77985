// A whole store in one thread: clients, rings, commit, sync and preparation as steps that a seeded
// scheduler takes in any legal order, on a simulated disk. The same seed gives the same run.
#pragma once

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/client/client.h"
#include "engine/store/store.h"
#include "tests/sim/history.h"
#include "tests/sim/sim_fs.h"
#include "tests/sim/stepped_store.h"

namespace small_db {

struct StoreSimOptions {
  size_t region_bytes = kRegionBytesMin;
  uint32_t clients = 3;
  uint32_t keys = 40;
  uint32_t value_bytes_max = 200;
  uint32_t long_value_every = 50;  // one put in so many is long_value_bytes long: it is streamed
  uint32_t long_value_bytes = 40'000;
  StoreOptions store = small_store_options();
};

class StoreSim {
 public:
  // disk and history outlive the simulation; a second simulation on the same disk goes on with the
  // same history.
  StoreSim(SimDisk& disk, History& history, uint64_t seed, const StoreSimOptions& options = {});

  // Opens the store as an owner with a fresh region. Errors: of Store::open.
  Status open();

  // Lets clients submit `operations` and runs until all are answered, or the power is off.
  void run(uint32_t operations);

  // Takes that many steps, with clients submitting all the time.
  void run_steps(uint32_t steps);

  // The owner is killed, between any two steps, and another takes its region over; clients notice
  // nothing.
  Status replace_owner();

  // Takes the answers that were given before the power went off.
  void collect_answers();

  // Compares the store's whole state with the history. Empty when they agree, else what differs.
  std::string compare() const;

  uint64_t revision() const { return test_->revision(); }
  const std::vector<std::string>& log_lines() { return test_->environment().lines; }
  uint32_t outcomes(Code code) const { return outcomes_[static_cast<size_t>(code)]; }

 private:
  Store& store() { return test_->store(); }

  struct ClientSim {
    std::unique_ptr<Client> client;
    uint64_t next_sequence = 1;
    std::map<uint64_t, SimOperation> operations;  // by sequence
    std::map<uint64_t, std::string> values;       // by cookie, until answered
  };

  void submit();
  void step();
  void seal();
  void finish();
  void poll(ClientSim& client);
  bool idle() const;
  uint32_t random(uint32_t below);

  SimDisk& disk_;
  History& history_;
  const StoreSimOptions options_;
  std::mt19937_64 random_;
  TestRegion region_;
  std::unique_ptr<SteppedStore> test_;
  std::vector<ClientSim> clients_;
  Batch* in_sync_ = nullptr;
  Committer::Drained drained_ = Committer::Drained::kAll;
  uint32_t to_submit_ = 0;
  uint32_t next_id_ = 1;
  uint64_t next_cookie_ = 1;
  std::array<uint32_t, 32> outcomes_{};
};

}  // namespace small_db
