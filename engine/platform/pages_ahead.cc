#include "engine/platform/pages_ahead.h"

#include <algorithm>

#include "engine/base/limits.h"
#include "engine/platform/blocked_signals.h"
#include "engine/platform/huge_pages.h"

namespace small_db {
namespace {

// Some 5 ms when the kernel has the memory at hand; the destructor waits for one. Each costs the
// kernel 3 ms beside (it empties lists of all processors), so that smaller ones would be dear.
constexpr uint64_t kStepBytes = 32 * kMiB;

// How near the end of what is made may come, before twice as much as this is made: a part of what
// is used, between these bounds, so that small stores stay small.
constexpr uint64_t kAheadBytesMin = kMiB;
constexpr uint64_t kAheadBytesMax = 32 * kMiB;
constexpr uint64_t kAheadPart = 16;

// Whoever fills the memory may have caught up: the kernel leaves out what is touched just then.
constexpr int kTries = 32;

}  // namespace

PagesAhead::PagesAhead(MutableBytes memory, uint64_t used)
    : memory_(memory), used_(used), asked_(used), wanted_(used) {
  const BlockedSignals blocked;
  thread_ = std::thread([this] { run(); });
}

PagesAhead::~PagesAhead() {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    ending_ = true;
    work_.notify_one();
  }
  thread_.join();
}

void PagesAhead::want(uint64_t bytes) {
  if (bytes <= asked_) return;
  asked_ = bytes;
  const std::lock_guard<std::mutex> guard(mutex_);
  wanted_ = bytes;
  work_.notify_one();
}

void PagesAhead::reached(uint64_t bytes) {
  const uint64_t ahead = std::clamp(bytes / kAheadPart, kAheadBytesMin, kAheadBytesMax);
  if (bytes + ahead > asked_) want(bytes + 2 * ahead);
}

void PagesAhead::run() {
  const auto begin = reinterpret_cast<uintptr_t>(memory_.data());
  const uintptr_t end = (begin + memory_.size()) / kHugePageBytes * kHugePageBytes;
  std::unique_lock<std::mutex> lock(mutex_);
  uintptr_t at = align_up(begin + used_, kHugePageBytes);
  while (at < end) {
    work_.wait(lock, [&] { return ending_ || at < begin + wanted_; });
    if (ending_) return;
    const uintptr_t wanted_end = align_up(begin + wanted_, kHugePageBytes);
    const uintptr_t step_end = std::min({wanted_end, at + kStepBytes, end});
    lock.unlock();
    if (!make(at - begin, step_end - begin)) return;
    at = step_end;
    lock.lock();
  }
}

// False: there is no point in going on.
bool PagesAhead::make(uint64_t begin, uint64_t end) noexcept {
  const MutableBytes pages = memory_.subspan(begin, end - begin);
  if (can_be_huge_) {
    HugePages made = HugePages::kInUse;
    for (int i = 0; i < kTries && made == HugePages::kInUse && !ending_; ++i) {
      made = make_huge_pages(pages);
    }
    if (made == HugePages::kMade) return true;
    if (ending_) return false;
    can_be_huge_ = made != HugePages::kNever;
  }
  return make_pages(pages);
}

}  // namespace small_db
