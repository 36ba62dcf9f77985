// Each call that the writer makes to the disk fails once, with records of every kind: it says so,
// and leaves nothing under the checkpoint's name.
#include "tests/engine/checkpoint/checkpoint_fixture.h"

namespace small_db {
namespace {

using checkpoint_test::CheckpointTest;
using checkpoint_test::kName;

class CheckpointFailingCalls : public CheckpointTest {};

TEST_F(CheckpointFailingCalls, AreAllReported) {
  put_some();
  begin();
  ASSERT_OK(put("large", std::string(100'000, 'v')));
  commit();
  uint64_t failed = 0;
  for (const SimFault fault : {SimFault::kIoError, SimFault::kNoSpace}) {
    for (uint64_t call = 0;; ++call) {
      SimDisk disk(1);
      disk.fail_at(call, fault);
      const std::unique_ptr<Directory> directory = disk.mount();
      const Status status = write(*directory, small_blocks(), 300);
      if (disk.operations() <= call) {
        ASSERT_OK(status);
        break;
      }
      ++failed;
      EXPECT_FALSE(status.is_ok()) << "call " << call << ", " << call_name(disk.calls()[call]);
      EXPECT_FALSE(disk.exists(kName)) << "call " << call;
    }
  }
  EXPECT_GT(failed, 40u);
}

}  // namespace
}  // namespace small_db
