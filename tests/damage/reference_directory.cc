#include "tests/damage/reference_directory.h"

#include "engine/checkpoint/format.h"
#include "engine/table/cursor.h"
#include "engine/table/root.h"

namespace small_db {
namespace {

constexpr size_t kStreamedBytes = 9000;  // more than the ring takes at once

StoreOptions reference_options() {
  StoreOptions options = small_store_options();
  options.log_ahead_bytes = 4 * kKiB;
  options.log_prepare_step_bytes = 2 * kKiB;
  options.log_reserve_bytes = kKiB;
  options.keep_generations = 1;
  return options;
}

std::string all_records(Region region) {
  const ArenaView arena(region.arena());
  const RootBlock* root = root_at(arena, BlockRef::from_word(region.header().published_root));
  if (root == nullptr) return "no root";
  std::string state = std::to_string(root->root.revision) + "\n";
  Cursor cursor(arena, root->root.by_key());
  Status status = cursor.seek_first();
  for (; status.is_ok() && cursor.is_valid(); status = cursor.next()) {
    const Result<StoredRecord> record = cursor.record();
    if (!record.is_ok()) return "unreadable";
    state += std::to_string(record.value().revision) + " " +
             std::to_string(record.value().expires_at_ms) + " " +
             std::to_string(record.value().value.bytes()) + " ";
    state.append(as_text(record.value().key)).append("=");
    const Status copied =
        record.value().value.for_each_piece([&](Bytes piece) { state.append(as_text(piece)); });
    if (!copied.is_ok()) return "unreadable";
    state += "\n";
  }
  return status.is_ok() ? state : "unreadable";
}

// A store's life, and the disk that it leaves.
class Maker {
 public:
  explicit Maker(uint64_t salt)
      : salt_(salt), disk_(salt + 1), store_(disk_, region_.region(), reference_options()) {
    SMALL_DB_ASSERT(store_.open().is_ok());
    client_ = attach_client(region_.region());
    store_.settle();
  }

  SimDisk& disk() { return disk_; }
  SimDisk leave() const { return durable_copy(disk_); }

  void put(const std::string& key, size_t value_bytes) {
    SMALL_DB_ASSERT(store_.put(*client_, key, value(value_bytes)).code == Code::kOk);
  }

  // Several requests in one frame.
  void put_together(int first, int last) {
    for (int i = first; i <= last; ++i) submit("together/" + std::to_string(i), 40);
    store_.settle();
    SMALL_DB_ASSERT(answers() == last - first + 1);
  }

  void erase(const std::string& key) {
    SMALL_DB_ASSERT(store_.erase(*client_, key).code == Code::kOk);
  }

  void checkpoint() {
    store_.store().request_checkpoint();
    store_.settle();
  }

  // A checkpoint whose very last step fails: newVersion is durable, but does not become version.
  void checkpoint_without_rename(const std::string& file) {
    store_.store().request_checkpoint();
    while (!disk_.exists(file)) {
      store_.store().checkpoint_step();
      if (store_.store().wants_log_switch()) store_.store().switch_log();
    }
    disk_.fail_next(SimCall::kRename, SimFault::kIoError);
    store_.settle();
  }

  // A write whose sync fails: its frame is in the log, and nobody knows whether it will stay.
  void put_unknown(size_t value_bytes) {
    submit("unknown", value_bytes);
    while (!store_.store().has_work()) {
      store_.store().drain();
      (void)store_.store().prepare();
    }
    disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
    store_.store().finish(store_.store().seal());
  }

  // What follows from that, up to the first step of the new log.
  void begin_healing() {
    while (!store_.store().wants_log_switch()) {
      store_.store().maintain();
      store_.store().checkpoint_step();
    }
    store_.store().switch_log();
  }

  void heal() {
    store_.settle();
    (void)answers();
  }

  void idle() { store_.store().write_idle_frame(); }

 private:
  // Text that looks like nothing else in the file, and differs from value to value.
  std::string value(size_t bytes) {
    SimRandom random(salt_ * 1000 + ++values_);
    std::string text(bytes, '\0');
    for (char& c : text) c = static_cast<char>('a' + random.below(26));
    return text;
  }

  void submit(const std::string& key, size_t value_bytes) {
    const std::string text = value(value_bytes);
    SMALL_DB_ASSERT(client_->put(++cookie_, as_bytes(key), as_bytes(text), 0).is_ok());
  }

  int answers() {
    int count = 0;
    for (WriteOutcome outcome; client_->poll(&outcome);) ++count;
    return count;
  }

  const uint64_t salt_;
  SimDisk disk_;
  TestRegion region_;
  SteppedStore store_;
  std::unique_ptr<Client> client_;
  uint64_t values_ = 0;
  uint64_t cookie_ = 0;
};

void fill(Maker& maker) {
  maker.put("first", 30);
  maker.put("erased", 700);
  maker.put_together(1, 4);
  maker.put("streamed", kStreamedBytes);
  maker.checkpoint();
  maker.erase("erased");
  maker.put("second", 600);
}

void go_on(Maker& maker) {
  maker.put("third", 1200);
  maker.put_together(3, 7);
  maker.erase("second");
  maker.put("streamed again", kStreamedBytes);
  maker.put("first", 50);
}

Reference two_generations(Maker& maker) {
  fill(maker);
  maker.put_unknown(300);
  maker.heal();
  go_on(maker);
  maker.idle();
  Reference reference;
  reference.disk = maker.leave();
  reference.files = {"version", "checkpoint.1", "checkpoint.2", "logfile.1", "logfile.2"};
  reference.unused = {"checkpoint.1", "logfile.1"};
  reference.checkpoint = "checkpoint.2";
  return reference;
}

Reference unfinished_switch(Maker& maker) {
  maker.checkpoint();
  fill(maker);
  maker.checkpoint_without_rename("checkpoint.3");
  go_on(maker);
  maker.idle();
  Reference reference;
  reference.disk = maker.leave();
  reference.files = {"version",      "newVersion", "checkpoint.2",
                     "checkpoint.3", "logfile.2",  "logfile.3"};
  reference.unused = {"version", "checkpoint.2", "logfile.2"};
  reference.checkpoint = "checkpoint.3";
  return reference;
}

// A frame of several sectors behind IDLE, without its first sector or without its last.
Reference torn_tail(Maker& maker, bool lose_header) {
  Reference reference = two_generations(maker);
  const std::string before = reference.disk.contents("logfile.2");
  maker.put_unknown(1500);
  reference.disk = maker.leave();
  const std::string after = reference.disk.contents("logfile.2");
  size_t begin = 0;
  while (begin < before.size() && before[begin] == after[begin]) ++begin;
  begin -= begin % kSectorBytes;
  constexpr size_t kFrameBytes = 4 * kSectorBytes;
  const std::string zeros(kSectorBytes, '\0');
  reference.disk.poke("logfile.2", lose_header ? begin : begin + kFrameBytes - kSectorBytes,
                      as_bytes(zeros));
  reference.files = {"logfile.2"};
  return reference;
}

Reference interrupted_recovery(Maker& maker) {
  fill(maker);
  maker.checkpoint();
  go_on(maker);
  Reference reference;
  for (uint64_t call = 0; !reference.disk.exists("logfile.2.last"); ++call) {
    SimDisk disk = maker.leave();
    disk.crash_at(call);
    Opener().open(disk);
    reference.disk = durable_copy(disk);
  }
  reference.files = {"logfile.2", "logfile.2.last"};
  reference.unused = {"logfile.2.last"};
  return reference;
}

Reference damaged_checkpoint(Maker& maker) {
  Reference reference = two_generations(maker);
  reference.disk.poke("checkpoint.2", kCheckpointHeaderBytes + 50, as_bytes("rot"));
  reference.files = {"checkpoint.1", "logfile.1", "logfile.2"};
  reference.unused = {};
  reference.damaged = {"checkpoint.2"};
  return reference;
}

Reference interrupted_healing(Maker& maker) {
  maker.checkpoint();
  maker.put("first", 30);
  maker.checkpoint();
  maker.put_together(1, 4);
  maker.idle();
  maker.put_unknown(300);
  Reference reference;
  SimDisk unhealed = maker.leave();
  reference.unknown_state = Opener().open(unhealed).state;
  maker.begin_healing();
  reference.disk = maker.leave();
  reference.files = {"version", "checkpoint.2", "logfile.2", "logfile.3"};
  reference.checkpoint = "checkpoint.2";
  return reference;
}

Reference make_unopened(ReferenceKind kind, Maker& maker) {
  switch (kind) {
    case ReferenceKind::kTwoGenerations:
      return two_generations(maker);
    case ReferenceKind::kUnfinishedSwitch:
      return unfinished_switch(maker);
    case ReferenceKind::kTornBody:
      return torn_tail(maker, false);
    case ReferenceKind::kTornHeader:
      return torn_tail(maker, true);
    case ReferenceKind::kInterruptedRecovery:
      return interrupted_recovery(maker);
    case ReferenceKind::kDamagedCheckpoint:
      return damaged_checkpoint(maker);
    case ReferenceKind::kInterruptedHealing:
      return interrupted_healing(maker);
  }
  return Reference();
}

}  // namespace

const char* kind_name(ReferenceKind kind) {
  constexpr const char* kNames[] = {"TwoGenerations",    "UnfinishedSwitch",    "TornBody",
                                    "TornHeader",        "InterruptedRecovery", "DamagedCheckpoint",
                                    "InterruptedHealing"};
  return kNames[static_cast<size_t>(kind)];
}

Reference make_reference(ReferenceKind kind, uint64_t salt) {
  Maker maker(salt);
  Reference reference = make_unopened(kind, maker);
  SimDisk disk = reference.disk;
  const Opened opened = Opener().open(disk);
  SMALL_DB_ASSERT(opened.serves);
  reference.state = opened.state;
  return reference;
}

Opened Opener::open(SimDisk& disk) {
  RegionHeader& header = region_.region().header();
  header.distrust.store(1);  // nothing of the one before counts
  TestEnvironment environment(disk.mount());
  Store store(region_.region(), environment.environment(), reference_options());
  Opened opened;
  opened.serves = store.open().is_ok();
  if (opened.serves) {
    opened.state = all_records(region_.region());
  } else {
    opened.reason = region_.region().reason();
  }
  opened.lines = std::move(environment.lines);
  return opened;
}

SimDisk durable_copy(const SimDisk& disk) {
  SimDisk copy(1);
  for (const std::string& name : disk.names()) {
    const std::string contents = disk.contents(name);
    copy.set_contents(name, as_bytes(contents));
  }
  return copy;
}

}  // namespace small_db
