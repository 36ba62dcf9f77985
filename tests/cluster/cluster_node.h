// A node of the simulated cluster: a store on a disk of its own with the steps of its storage
// process (engine/store/storage_worker.cc), its threads that wait as fibers, a client, and what its
// workers answer to other nodes. It falls in all the ways that nginx and its machine can.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/client/client.h"
#include "engine/store/store.h"
#include "tests/cluster/fiber.h"
#include "tests/cluster/model.h"
#include "tests/cluster/network.h"
#include "tests/sim/sim_fs.h"
#include "tests/sim/stepped_store.h"

namespace small_db {

// What all nodes of a run share.
struct ClusterWorld {
  ClusterWorld(uint64_t seed, uint32_t nodes, const StoreOptions& of)
      : random(seed), network(random), model(nodes, of.replication.acks_required), options(of) {}

  SimRandom random;
  Network network;
  ClusterModel model;
  const StoreOptions options;
  uint64_t now_us = 1'700'000'000'000'000;
  uint64_t bootstraps = 0;
  uint64_t saved_tails = 0;
  std::map<uint64_t, size_t> disk_of_id;      // low halves of node ids: disks
  std::vector<std::string>* story = nullptr;  // where lines go; nullptr: nowhere

  void tell(const std::string& line);
};

std::string cluster_key(uint32_t key);
std::string cluster_value(uint32_t write);

class ClusterNode : public NetListener, private Clock, private WorkerBells, private EventLog {
 public:
  ClusterNode(ClusterWorld& world, size_t index);
  ~ClusterNode() override;

  // The configuration: whom it follows. In force with the next start or reload.
  void set_primary(std::optional<size_t> primary) { primary_ = primary; }
  std::optional<size_t> primary() const { return primary_; }
  // By another name, if this node has set aside the one that it has: it means a new primary then.
  void spell_otherwise();

  // nginx starts: the region is new.
  void start();
  // The next storage process takes the region over: from one that lets go, or that was killed.
  void reload();
  void kill_owner();
  // Everything ends at once. The disk keeps what was written, or what a power failure leaves.
  void fall(bool power);
  // The same, in the middle of one of the next calls to the disk.
  void fall_later(bool power);
  // It comes back with an empty one.
  void lose_disk();
  bool is_up() const { return store_ != nullptr; }

  void step();

  // Through a client. False: it was not submitted.
  bool write(uint32_t key, bool is_erase);
  bool ask_for_checkpoint();
  bool ask_for_promotion();

  // REQUIRES: is_up().
  Role role() const { return store_->role(); }
  uint64_t epoch() const { return region_.region().replication().epoch.load(); }
  uint64_t revision() const { return region_.region().header().revision.load(); }
  NodeHistory history() const { return store_->history(); }
  bool serves() const;
  bool is_fenced() const;
  // No request is without its answer, and no batch at work.
  bool is_quiet() const;
  // Compares with what the model says. Empty: it agrees.
  std::string compare();
  size_t disk() const { return disk_number_; }
  std::string state() const;

  bool listens() const override { return is_up() && serves(); }
  UpstreamHead accept(const NetRequest& request, std::unique_ptr<NetAnswer>* body) override;

 private:
  class LogAnswer;
  class CheckpointAnswer;

  uint64_t wall_ms() override { return world_.now_us / 1000; }
  uint64_t monotonic_us() override { return world_.now_us; }
  void ring(uint32_t) noexcept override {}
  void write(Severity severity, std::string_view line) noexcept override;

  std::string primary_name() const;

  // The storage process.
  void open();
  void take_step(uint64_t which);
  void commit_step();
  void seal();
  void note_open_batch();
  void watch_disk();
  void run_commit();
  void end_life();
  void install();
  void check_saved(const std::vector<Place>& given_up);
  void unwind();
  void run_sync();
  void run_receiver();
  void run_acknowledger();
  void end_what_fell();
  void forget_process(bool power);
  bool must_end() const { return bootstrap_.has_value() || store_->left_a_batch(); }
  void observe();
  void note_followers();
  void take_outcomes();
  void release_slots_of_the_killed();

  // Its workers.
  NodeIdentity identity() const;
  UpstreamHead head(int status, std::string problem) const;
  FollowerState* follower(const Uid& node_id) const;
  UpstreamHead answer_log(const Hello& hello, std::unique_ptr<NetAnswer>* body);
  UpstreamHead answer_checkpoint(const NetRequest& request, std::unique_ptr<NetAnswer>* body);
  UpstreamHead answer_ack(const NetRequest& request);

  ClusterWorld& world_;
  const size_t index_;
  std::optional<size_t> primary_;
  bool other_spelling_ = false;
  SimDisk disk_;
  size_t disk_number_;
  bool falls_by_power_ = false;  // when a planned fall comes
  TestRegion region_;

  std::unique_ptr<Directory> directory_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<SimUpstream> log_upstream_;
  std::unique_ptr<SimUpstream> ack_upstream_;
  std::unique_ptr<Fiber> commit_;
  std::unique_ptr<Fiber> sync_;
  std::unique_ptr<Fiber> receiver_;
  std::unique_ptr<Fiber> acknowledger_;
  bool ending_ = false;
  Batch* in_sync_ = nullptr;
  Committer::Drained drained_ = Committer::Drained::kAll;
  std::optional<Bootstrap> bootstrap_;  // to be put in force

  std::unique_ptr<Client> client_;
  uint64_t next_cookie_ = 1;
  uint64_t next_sequence_ = 1;
  std::unordered_map<uint64_t, uint32_t> by_sequence_;  // writes
  std::unordered_map<uint64_t, uint32_t> by_cookie_;    // those without an answer

  // As observed last.
  std::array<uint64_t, 6> seen_{};
};

}  // namespace small_db
