// A whole store in one thread: clients, rings, commit, sync, preparation and checkpoints as steps
// that a seeded scheduler takes in any legal order, on a simulated disk with good and bad times
// (full, failing; an owner that dies or hands over). The same seed gives the same run.
#pragma once

#include <array>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/client/client.h"
#include "engine/store/store.h"
#include "tests/sim/history.h"
#include "tests/sim/sim_fs.h"
#include "tests/sim/stepped_store.h"

namespace small_db {

struct StoreSimOptions {
  size_t region_bytes = kRegionBytesMin;
  uint32_t slots = 8;
  uint32_t clients = 3;
  uint32_t keys = 40;
  uint32_t value_bytes_max = 200;
  uint32_t long_value_every = 50;  // one put in so many is long_value_bytes long: it is streamed
  uint32_t long_value_bytes = 40'000;
  uint32_t set_every = 8;       // one request in so many is a write set of several changes
  uint32_t expiring_keys = 10;  // puts of the last so many keys expire, half of them
  uint32_t expires_ms_max = 400;
  uint32_t weather_every = 0;  // steps from one change of the disk's mood to the next; 0: calm
  StoreOptions store = small_store_options();
};

class StoreSim {
 public:
  // disk and history outlive the simulation; a second simulation on the same disk goes on with the
  // same history.
  StoreSim(SimDisk& disk, History& history, uint64_t seed, const StoreSimOptions& options = {});

  // Opens the store as an owner with a fresh region. Errors: of Store::open.
  Status open();

  bool is_open() const { return !clients_.empty(); }

  // Lets clients submit `operations` and runs until all are answered, something is wrong, or the
  // power is off.
  void run(uint32_t operations);
  // Within run, from an observer of the disk: that many more, and no bad times any more.
  void calm_down(uint32_t operations);

  // Takes that many steps, with clients submitting all the time.
  void run_steps(uint32_t steps);

  // Takes steps until no checkpoint is at work, the store serves, and nothing is left to do; at
  // most so many.
  void run_until_quiet(uint32_t steps_max);

  // The owner is killed, between any two steps, and another takes its region over; clients notice
  // nothing. From an observer of the disk: killed in that call, which never ends.
  Status replace_owner();

  // The first thing that was wrong: a state that no owner may come to, an answer that is not true.
  // Empty while all is well.
  const std::string& problem() const { return problem_; }

  // Compares the store's whole state with the history. Empty when they agree, else what differs.
  std::string compare();

  // What the region serves counts as published from now on.
  void note_published();

  uint64_t revision() const { return region_.region().header().revision.load(); }
  StoreState state() const {
    return static_cast<StoreState>(region_.region().header().state.load());
  }
  const std::vector<std::string>& log_lines() { return test_->environment().lines; }
  uint32_t outcomes(Code code) const { return outcomes_[static_cast<size_t>(code)]; }
  // Puts and removals that were answered ok.
  uint64_t writes_ok() const { return writes_ok_; }
  uint64_t checkpoints() const { return checkpoints_; }
  uint64_t owners() const { return owners_; }
  uint64_t read_only_times() const { return read_only_times_; }
  uint64_t heals() const { return heals_; }

 private:
  Store& store() { return test_->store(); }

  struct ClientSim {
    std::unique_ptr<Client> client;
    uint64_t next_sequence = 1;
    std::unordered_map<uint64_t, SimOperation> operations;  // by sequence
    std::unordered_map<uint64_t, SimOperation> waiting;     // by cookie, until answered
    std::unordered_map<uint64_t, WriteSetBuilder> sets;     // by cookie, until answered
  };

  void submit();
  SimChange random_put();
  SimOperation random_operation();
  static Status submit_to(Client& client, uint64_t cookie, const SimOperation& operation,
                          WriteSetBuilder& set);
  void submit_checkpoint();
  void step();
  void take_step(uint32_t which);
  void seal();
  void finish();
  void poll(ClientSim& client);
  bool idle() const;
  uint32_t random(uint32_t below);

  void change_weather();
  void clear_weather();
  void hand_over();
  void open_again(const char* how);
  void release_slots_of_the_killed();
  void watch_state();
  void wrong(const std::string& what);

  SimDisk& disk_;
  History& history_;
  const StoreSimOptions options_;
  std::mt19937_64 random_;
  TestRegion region_;
  std::vector<std::unique_ptr<SteppedStore>> killed_;  // in the middle of a call
  std::unique_ptr<SteppedStore> test_;
  std::vector<ClientSim> clients_;
  Batch* in_sync_ = nullptr;
  Committer::Drained drained_ = Committer::Drained::kAll;
  uint32_t to_submit_ = 0;
  uint32_t next_id_ = 1;
  uint64_t next_cookie_ = 1;
  std::array<uint32_t, 32> outcomes_{};

  bool calm_ = false;
  bool in_step_ = false;
  bool checkpoints_on_ = true;
  uint32_t steps_to_weather_ = 0;
  uint32_t steps_read_only_ = 0;
  StoreState last_state_ = StoreState::kStarting;
  uint64_t last_generation_ = 0;
  uint64_t checkpoints_ = 0;  // log switches that were seen
  uint64_t owners_ = 0;
  uint64_t writes_ok_ = 0;
  uint64_t read_only_times_ = 0;
  uint64_t heals_ = 0;
  std::string problem_;
};

}  // namespace small_db
