// The simulated store's bad times: what the disk and the owner do besides working.
#include "tests/sim/store_sim.h"

namespace small_db {
namespace {

constexpr SimCall kFailing[] = {
    SimCall::kWrite,  SimCall::kSyncData, SimCall::kSyncDirectory,
    SimCall::kRename, SimCall::kAllocate, SimCall::kOpen,
    SimCall::kRead,   SimCall::kRemove,   SimCall::kList,
};
constexpr SimFault kFaults[] = {SimFault::kIoError, SimFault::kNoSpace, SimFault::kShortWrite};

}  // namespace

void StoreSim::change_weather() {
  clear_weather();
  switch (random(10)) {
    case 0:
    case 1:
      disk_.fail_every(SimCall::kAllocate, SimFault::kNoSpace);
      break;
    case 2:
    case 3: {
      const SimFault fault = kFaults[random(std::size(kFaults))];
      disk_.fail_next(kFailing[random(std::size(kFailing))], fault);
      break;
    }
    case 4:
      open_again("kill");
      break;
    case 5:
      hand_over();
      break;
    case 6:
      checkpoints_on_ = false;
      break;
    default:
      break;
  }
}

void StoreSim::clear_weather() {
  disk_.clear_faults();
  checkpoints_on_ = true;
}

// As at a reload: the owner finishes what it has begun, and lets go.
void StoreSim::hand_over() {
  if (in_sync_ != nullptr) finish();
  if (!store().maintain() && store().has_work()) {
    seal();
    finish();
  }
  store().abandon_checkpoint();
  if (!store().has_work()) store().let_go();
  note_published();
  open_again("hand-over");
}

void StoreSim::open_again(const char* how) {
  steps_read_only_ = 0;
  Status status = replace_owner();
  // Where a test failed one call of it, the next try is that of an operator.
  if (!status.is_ok() && calm_) status = replace_owner();
  if (!status.is_ok()) {
    wrong(std::string("no owner after a ") + how + ": " + status.text());
    return;
  }
  const std::string difference = compare();
  if (!difference.empty()) wrong(std::string("after a ") + how + ": " + difference);
}

}  // namespace small_db
