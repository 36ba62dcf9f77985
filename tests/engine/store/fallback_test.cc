// What a store needs to go back to the generation before the one in force.
#include <gtest/gtest.h>

#include "engine/checkpoint/format.h"
#include "engine/store/store.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

// Generation 1 is in force, its checkpoint is damaged, and generation 0 is there to fall back to.
class FallbackTest : public ::testing::Test {
 protected:
  FallbackTest() : disk_(1) {
    SteppedStore store(disk_, region_.region());
    EXPECT_TRUE(store.open().is_ok());
    const std::unique_ptr<Client> client = attach_client(region_.region());
    EXPECT_EQ(store.put(*client, "before", "1").code, Code::kOk);
    store.store().request_checkpoint();
    store.settle();
    EXPECT_EQ(disk_.contents("version"), "1\n");
    only_switched_ = disk_;
    EXPECT_EQ(store.put(*client, "after", "2").code, Code::kOk);
    store.store().write_idle_frame();
    disk_.poke("checkpoint.1", kCheckpointHeaderBytes + 50, as_bytes("rot"));
    only_switched_.poke("checkpoint.1", kCheckpointHeaderBytes + 50, as_bytes("rot"));
  }

  // Returns why the store is refused; empty when it serves.
  static std::string refusal(SimDisk disk) {
    disk.kill_process();
    TestRegion region;
    SteppedStore store(disk, region.region());
    return store.open().is_ok() ? "" : region.region().reason();
  }

  SimDisk disk_;
  SimDisk only_switched_;  // as it was when nothing had been written to logfile.1 but START
  TestRegion region_;
};

TEST_F(FallbackTest, ServesTheSameState) {
  EXPECT_EQ(refusal(disk_), "");
  EXPECT_EQ(refusal(only_switched_), "");
}

TEST_F(FallbackTest, RefusesWhenTheLogOfTheGenerationInForceIsMissing) {
  disk_.erase("logfile.1");
  EXPECT_EQ(refusal(disk_).find("checkpoint.1"), 0u) << refusal(disk_);
}

TEST_F(FallbackTest, RefusesWhenThatLogHasLostItsStart) {
  const std::string zeros(kSectorBytes, '\0');
  only_switched_.poke("logfile.1", kLogHeaderBytes, as_bytes(zeros));
  EXPECT_EQ(refusal(only_switched_).find("logfile.1: The log's first frame"), 0u)
      << refusal(only_switched_);
}

}  // namespace
}  // namespace small_db
