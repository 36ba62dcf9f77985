// Processes are killed exactly between two stores to shared memory, at every point that the engine
// marks (engine/base/kill_point.h): storage processes, and clients. Whoever comes next goes on;
// each request is done exactly once, the table agrees with the arena to the byte, nothing leaks.
#include "engine/base/kill_point.h"

#include <map>
#include <random>

#include "tests/engine/store/forked_owner.h"

namespace small_db {
namespace {

// Reached by the storage process.
constexpr const char* kOwnerPoints[] = {
    "arena: run half inserted",
    "checkpoint: state pinned",
    "commit: answers published",
    "commit: frame synced",
    "commit: frame written",
    "commit: ring given back",
    "completion: published",
    "completion: written",
    "node: copied under the old birth",
    "node: leaf half split",
    "open: owner announced",
    "open: root sealed",
    "open: serving, bells not rung",
    "open: slots swept",
    "open: table adopted",
    "owner: about to let go",
    "owner: about to sleep",
    "publish: counters stored",
    "publish: root stored",
    "text: half written",
    "text: written",
    "record: allocated",
    "root: half written",
    "root: seals broken",
    "slot: half zeroed",
    "slot: leaving",
    "slot: zeroed",
    "switch: log sealed",
    "switch: next log started",
};

// Reached by a client: it writes, reads, and takes its outcomes.
constexpr const char* kClientPoints[] = {
    "bell: wanted",          "completion: read",    "doorbell: rung, nobody woken",
    "slot: claimed",         "slot: let go",        "slot: pins let go",
    "slot: start time told", "snapshot: pinned",    "snapshot: pinned, not confirmed",
    "submission: published", "submission: written",
};

// Of a backup, and not reached here: replication_test.cc looks at what stands in memory there.
constexpr const char* kBackupPoints[] = {
    "install: bootstrap in force",
    "owner: log may be asked for",
    "receiver: bootstrap ready",
    "receiver: waits to connect",
};

enum class Role : uint32_t { kNobody, kOwner, kClient };

// Whom to kill, where, and at which time of getting there. In memory that all processes share.
struct KillPlan {
  std::atomic<uint32_t> victim{0};  // Role
  std::atomic<const char*> point{nullptr};
  std::atomic<int32_t> times_left{0};
  std::atomic<uint32_t> unlisted{0};  // points that no list above has
};

KillPlan* plan = nullptr;
Role own_role = Role::kNobody;

bool is_listed(std::string_view name) {
  const auto same = [&](const char* other) { return name == other; };
  return std::any_of(std::begin(kOwnerPoints), std::end(kOwnerPoints), same) ||
         std::any_of(std::begin(kClientPoints), std::end(kClientPoints), same) ||
         std::any_of(std::begin(kBackupPoints), std::end(kBackupPoints), same);
}

void die_if_planned(const char* name) noexcept {
  if (!is_listed(name)) plan->unlisted.fetch_add(1);
  if (own_role == Role::kNobody) return;
  if (plan->victim.load() != static_cast<uint32_t>(own_role)) return;
  if (std::string_view(name) != plan->point.load()) return;
  if (plan->times_left.fetch_sub(1) != 1) return;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

class KillPoints : public ForkedOwnerTest {
 protected:
  KillPoints() {
    void* shared =
        mmap(nullptr, sizeof(KillPlan), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    plan = new (shared) KillPlan;
    kill_point_hook = die_if_planned;
    options_.checkpoint_interval_us = 0;
    options_.checkpoint_updates = 100;
    options_.log_ahead_bytes = kMiB;  // each new log is filled with so many zeros
    options_.log_prepare_step_bytes = 256 * kKiB;
    options_.log_reserve_bytes = 64 * kKiB;
    options_.keep_generations = 0;
  }
  ~KillPoints() override {
    kill_owner(SIGKILL);
    kill_point_hook = nullptr;
    EXPECT_EQ(plan->unlisted.load(), 0u) << "a point that is in no list of this test";
    munmap(plan, sizeof(KillPlan));
  }

  void start_marked_owner() {
    start_owner([] { own_role = Role::kOwner; });
  }

  void arm(Role victim, const char* point, int times) {
    plan->point = point;
    plan->times_left = times;
    plan->victim = static_cast<uint32_t>(victim);
  }

  void disarm() { plan->victim = static_cast<uint32_t>(Role::kNobody); }

  bool owner_is_dead() {
    if (waitpid(owner_, nullptr, WNOHANG) != owner_) return false;
    owner_ = 0;
    return true;
  }

  // The state that the dead owner left, as the next one will find it.
  void check_table() {
    if (region_.header().published_root.load() == 0) return;
    Table table(region_);
    Status status = table.adopt();
    if (status.is_ok()) status = table.check();
    ASSERT_TRUE(status.is_ok()) << status.text();
  }

  // Waits a moment for whatever may happen.
  void wait_for_bell(uint32_t seen) { futex_wait(*bell_, seen, 1000); }
};

// One client whose writes are never in doubt: it lives, and its owners don't.
class Load {
 public:
  explicit Load(Region region) : region_(region), client_(attach_client(region)) {}

  bool is_done() const { return answered_ == submitted_; }
  uint64_t submitted() const { return submitted_; }

  // A put, a delete, or a long value, as the ring has room.
  void submit() {
    if (client_->in_flight() >= 16) return;
    const uint64_t cookie = submitted_ + 1;
    const bool is_long = random_() % 40 == 0;
    if (is_long) return submit_long();
    // New keys make nodes split, old ones leave garbage.
    const bool is_new = random_() % 3 == 0;
    const std::string key = "key" + std::to_string(is_new ? cookie : random_() % 200);
    Status status;
    if (random_() % 5 == 0) {
      status = client_->erase(cookie, as_bytes(key));
      if (status.is_ok()) expected_.erase(key);
    } else {
      std::string& value = values_[cookie];
      value = "value " + std::to_string(cookie);
      status = client_->put(cookie, as_bytes(key), as_bytes(value), 0);
      if (status.is_ok()) expected_[key] = value;
    }
    note_submission(cookie, status);
  }

  bool take_answers() {
    WriteOutcome outcome;
    bool any = false;
    while (client_->poll(&outcome)) {
      if (outcome.cookie == long_in_flight_) {
        take_long_answer(outcome);
      } else {
        EXPECT_EQ(outcome.code, Code::kOk);
      }
      values_.erase(outcome.cookie);
      ++answered_;
      any = true;
    }
    return any || !client_->prepare_sleep();
  }

  void compare() {
    EXPECT_EQ(region_.header().revision.load(), submitted_ - long_refused_)
        << "a repeated request would have a revision of its own";
    EXPECT_EQ(region_.header().keys.load(), expected_.size());
    for (const auto& [key, value] : expected_)
      EXPECT_TRUE(read_value(*client_, key) == value) << key;
  }

 private:
  // A value that is sent in many chunks, one such at a time.
  void submit_long() {
    if (long_in_flight_ != 0) return;
    const uint64_t cookie = submitted_ + 1;
    std::string& value = values_[cookie];
    value = std::string(200'000, 'v') + std::to_string(cookie);
    const Status status = client_->put(cookie, as_bytes("long"), as_bytes(value), 0);
    if (status.is_ok()) long_in_flight_ = cookie;
    note_submission(cookie, status);
  }

  // An owner that did not see its beginning can't commit it, and says so.
  void take_long_answer(const WriteOutcome& outcome) {
    long_in_flight_ = 0;
    if (outcome.code == Code::kOk) {
      expected_["long"] = values_.at(outcome.cookie);
    } else {
      EXPECT_EQ(outcome.code, Code::kUnavailable);
      ++long_refused_;
    }
  }

  void note_submission(uint64_t cookie, const Status& status) {
    if (status.is_ok()) {
      ++submitted_;
    } else {
      values_.erase(cookie);
    }
  }

  Region region_;
  std::unique_ptr<Client> client_;
  std::mt19937 random_{7};
  std::map<std::string, std::string> expected_;
  std::map<uint64_t, std::string> values_;  // by cookie, until answered
  uint64_t submitted_ = 0;
  uint64_t answered_ = 0;
  uint64_t long_in_flight_ = 0;  // its cookie; 0: none
  uint64_t long_refused_ = 0;
};

class OwnerKillPoints : public KillPoints, public ::testing::WithParamInterface<const char*> {
 protected:
  // A successor asks the owner to let go. True when one of them dies instead.
  bool hand_over() {
    const pid_t former = owner_;
    // Else it might ask after its successor, and be given the store.
    if (region_.header().owner_pid.load() != static_cast<uint32_t>(former)) return false;
    start_marked_owner();
    const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
    while (region_.header().owner_pid.load() != static_cast<uint32_t>(owner_)) {
      if (waitpid(former, nullptr, WNOHANG) != 0) return true;
      if (owner_is_dead()) {
        owner_ = former;  // goes on
        return true;
      }
      if (system_clock().monotonic_us() > deadline) {
        ADD_FAILURE() << "the owner keeps the lock from its successor";
        kill(former, SIGKILL);
        waitpid(former, nullptr, 0);
        return true;
      }
      wait_for_bell(bell_->load());
    }
    int status = 0;
    kill(former, SIGTERM);
    waitpid(former, &status, 0);
    return WTERMSIG(status) == SIGKILL;
  }

  // Arms the point again after a kill, for a later time of getting there.
  void note_kill() {
    ++kills_;
    disarm();
    if (kills_ < kKills) arm(Role::kOwner, GetParam(), 1 + static_cast<int>(random_() % 4));
  }

  static constexpr int kKills = 20;
  int kills_ = 0;
  std::mt19937 random_{3};
};

TEST_P(OwnerKillPoints, NextOwnerGoesOn) {
  start_marked_owner();
  ASSERT_TRUE(wait_until_serving());
  Load load(region_);
  const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
  arm(Role::kOwner, GetParam(), 1);
  for (uint32_t step = 1; kills_ < kKills || !load.is_done(); ++step) {
    ASSERT_LT(system_clock().monotonic_us(), deadline) << kills_ << " kills";
    const uint32_t seen = bell_->load();
    if (kills_ < kKills) {
      for (int i = 0; i < 8; ++i) load.submit();
      if (step % 7 == 0) attach_client(region_);  // it goes at once, and its slot is swept
      if (step % 50 == 49 && hand_over()) note_kill();
    }
    const bool acted = load.take_answers();
    if (owner_is_dead()) {
      note_kill();
      check_table();
      start_marked_owner();
    } else if (!acted) {
      wait_for_bell(seen);
    }
  }
  ASSERT_GT(load.submitted(), 0u);
  load.compare();
  kill_owner(SIGKILL);
  check_table();
}

std::string test_name(const ::testing::TestParamInfo<const char*>& info) {
  std::string name;
  bool starts_word = true;
  for (const char c : std::string(info.param)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      name += static_cast<char>(starts_word ? std::toupper(c) : c);
      starts_word = false;
    } else {
      starts_word = true;
    }
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(At, OwnerKillPoints, ::testing::ValuesIn(kOwnerPoints), test_name);

class ClientKillPoints : public KillPoints, public ::testing::WithParamInterface<const char*> {
 protected:
  // A client that writes and reads, and attaches anew every so often, until it dies.
  [[noreturn]] void run_client() {
    own_role = Role::kClient;
    const std::string long_value(100'000, 'l');
    for (uint64_t round = 0;; ++round) {
      Result<std::unique_ptr<Client>> client = Client::attach(region_);
      if (!client.is_ok()) continue;  // until the owner has swept
      for (uint64_t cookie = 1; cookie <= 10; ++cookie) {
        const std::string key = "key" + std::to_string(cookie);
        const Bytes value = cookie == 5 ? as_bytes(long_value) : as_bytes(key);
        (void)client.value()->put(cookie, as_bytes(key), value, 0);
        (void)read_value(*client.value(), key);
      }
      WriteOutcome outcome;
      while (client.value()->in_flight() != 0) {
        const uint32_t seen = bell_->load();
        if (!client.value()->poll(&outcome) && client.value()->prepare_sleep())
          futex_wait(*bell_, seen, 1000);
      }
    }
  }

  uint32_t held_slots() const {
    uint32_t held = 0;
    for (uint32_t slot = 0; slot < region_.slot_count(); ++slot) {
      if (!slot_holder(region_, slot).is_free()) ++held;
    }
    return held;
  }
};

TEST_P(ClientKillPoints, SlotPinsAndRingAreReclaimed) {
  constexpr uint32_t kKills = 100;  // more than there are slots
  ASSERT_GT(kKills, region_.slot_count());
  std::mt19937 random(4);
  start_owner();
  ASSERT_TRUE(wait_until_serving());
  uint64_t used_early = 0;
  for (uint32_t killed = 0; killed < kKills; ++killed) {
    arm(Role::kClient, GetParam(), 1 + static_cast<int>(random() % 8));
    const pid_t client = fork();
    ASSERT_GE(client, 0);
    if (client == 0) run_client();
    ASSERT_EQ(waitpid(client, nullptr, 0), client);
    if (killed == kKills / 4) used_early = region_.header().arena_used_bytes.load();
  }
  disarm();
  std::unique_ptr<Client> survivor = attach_client(region_);
  const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
  uint64_t cookie = 0;
  // A commit frees what the dead had pinned; a sweep their slots.
  while (held_slots() != 1 || cookie < 5) {
    ASSERT_LT(system_clock().monotonic_us(), deadline) << held_slots() << " slots are held";
    ASSERT_TRUE(survivor->put(++cookie, as_bytes("key1"), as_bytes("value"), 0).is_ok());
    WriteOutcome outcome;
    while (!survivor->poll(&outcome)) {
      ASSERT_LT(system_clock().monotonic_us(), deadline);
      wait_for_bell(bell_->load());
    }
    ASSERT_EQ(outcome.code, Code::kOk);
  }
  // Ten keys, and garbage of a few batches; 75 leaked streams would be 7.5 MB.
  EXPECT_LT(region_.header().arena_used_bytes.load(), used_early + 500'000);
  kill_owner(SIGKILL);
  check_table();
}

INSTANTIATE_TEST_SUITE_P(At, ClientKillPoints, ::testing::ValuesIn(kClientPoints), test_name);

}  // namespace
}  // namespace small_db
