// Each call that recovery makes to the disk fails once: it says so, and the next one goes well.
#include <gtest/gtest.h>

#include "engine/recovery/data_directory.h"
#include "engine/wal/format.h"
#include "engine/wal/log_tail.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

// Runs `act(Directory&)`, which returns a Status, once for each of its calls, which fails. Returns
// the calls whose failure was not reported.
template <typename Act>
std::vector<std::string> unreported(const SimDisk& before, Act&& act) {
  std::vector<std::string> calls;
  for (uint64_t call = 0;; ++call) {
    SimDisk disk = before;
    disk.kill_process();
    disk.fail_at(call, SimFault::kIoError);
    const Status status = act(*disk.mount());
    if (disk.operations() <= call) return calls;
    if (status.is_ok()) calls.emplace_back(call_name(disk.calls()[call]));
  }
}

using Calls = std::vector<std::string>;

TEST(RecoveryFailingCalls, EachStepOfAChangeOfVersionCounts) {
  SimDisk disk(1);
  EXPECT_EQ(unreported(disk, [](Directory& directory) { return write_version(directory, 7); }),
            Calls());
  disk.set_contents("newVersion", as_bytes("7\n"));
  EXPECT_EQ(unreported(disk, [](Directory& directory) { return adopt_new_version(directory, 7); }),
            Calls());
}

TEST(RecoveryFailingCalls, EachStepOfTheEndOfALogCounts) {
  SimDisk disk(1);
  disk.set_contents("logfile.0", as_bytes(std::string(8192, 'x')));
  EXPECT_EQ(
      unreported(
          disk,
          [](Directory& directory) {
            const auto file = directory.open("logfile.0", OpenMode::kReadWrite);
            if (!file.is_ok()) return file.status();
            const Result<TailScan> scan = scan_tail(*file.value(), 0, 4096);
            if (!scan.is_ok()) return scan.status();
            return save_and_clear_tail(directory, *file.value(), 0, 4096, scan.value()).status();
          }),
      Calls());
  // The copy of the last frame may stay.
  EXPECT_EQ(unreported(disk,
                       [](Directory& directory) {
                         const auto file = directory.open("logfile.0", OpenMode::kReadWrite);
                         if (!file.is_ok()) return file.status();
                         return confirm_last_frame(directory, *file.value(), 0, 4096,
                                                   as_bytes(std::string(512, 'f')));
                       }),
            Calls{"remove"});
}

// A directory in which everything is to be put right: newVersion, a torn tail, unfinished files.
class Untidy {
 public:
  Untidy() : disk_(1), store_(disk_, region_.region()) {
    EXPECT_TRUE(store_.open().is_ok());
    client_ = attach_client(region_.region());
    EXPECT_EQ(store_.put(*client_, "before", "value").code, Code::kOk);
    store_.store().request_checkpoint();
    while (!disk_.exists("checkpoint.1")) {
      store_.store().checkpoint_step();
      if (store_.store().wants_log_switch()) store_.store().switch_log();
    }
    disk_.fail_next(SimCall::kRename, SimFault::kIoError);
    store_.settle();
    EXPECT_EQ(store_.put(*client_, "after", "value").code, Code::kOk);
    disk_.poke("logfile.1", kLogHeaderBytes + 4 * kSectorBytes, as_bytes("torn"));
    disk_.set_contents("logfile.9.tmp", as_bytes("unfinished"));
  }
  const SimDisk& disk() const { return disk_; }

 private:
  SimDisk disk_;
  TestRegion region_;
  SteppedStore store_;
  std::unique_ptr<Client> client_;
};

void expect_put_right(const SimDisk& untidy) {
  uint64_t refused = 0;
  for (uint64_t call = 0;; ++call) {
    SimDisk disk = untidy;
    disk.kill_process();
    disk.fail_at(call, SimFault::kIoError);
    bool serves = false;
    {
      TestRegion region;
      SteppedStore store(disk, region.region());
      serves = store.open().is_ok();
      if (disk.operations() <= call) break;
    }
    refused += serves ? 0 : 1;
    if (serves) {
      EXPECT_FALSE(disk.exists("newVersion")) << "call " << call;
      EXPECT_FALSE(disk.exists("logfile.9.tmp")) << "call " << call;
      EXPECT_EQ(disk.contents("logfile.1").find("torn"), std::string::npos) << "call " << call;
    }
    disk.kill_process();
    TestRegion region;
    SteppedStore store(disk, region.region());
    ASSERT_TRUE(store.open().is_ok()) << "call " << call << ": " << region.region().reason();
    const std::unique_ptr<Client> client = attach_client(region.region());
    EXPECT_EQ(read_value(*client, "before"), "value") << "call " << call;
    EXPECT_EQ(read_value(*client, "after"), "value") << "call " << call;
  }
  EXPECT_GT(refused, 30u);
}

TEST(RecoveryFailingCalls, AStoreOpensOnlyWhenAllIsPutRight) {
  const Untidy untidy;
  expect_put_right(untidy.disk());
  SimDisk disk = untidy.disk();
  disk.set_contents("newVersion", as_bytes("unfinished"));
  expect_put_right(disk);
}

}  // namespace
}  // namespace small_db
