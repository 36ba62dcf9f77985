#include "engine/checkpoint/pages_ahead.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#include "engine/base/limits.h"
#include "engine/platform/blocked_signals.h"

namespace small_db {
namespace {

constexpr uintptr_t kPageBytes = 4096;
constexpr size_t kStepBytes = 4 * kMiB;  // some 2 ms: the destructor waits for one

}  // namespace

PagesAhead::PagesAhead(MutableBytes memory) : memory_(memory) {
  const BlockedSignals blocked;
  thread_ = std::thread([this] { run(); });
}

PagesAhead::~PagesAhead() {
  stopping_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void PagesAhead::run() noexcept {
  const auto begin = reinterpret_cast<uintptr_t>(memory_.data());
  const uintptr_t end = begin + memory_.size();
  for (uintptr_t at = begin / kPageBytes * kPageBytes; at < end; at += kStepBytes) {
    if (stopping_.load(std::memory_order_relaxed)) return;
    void* pages = reinterpret_cast<void*>(at);  // NOLINT(performance-no-int-to-ptr)
    if (madvise(pages, std::min<size_t>(kStepBytes, end - at), kMadvPopulateWrite) != 0) return;
  }
}

}  // namespace small_db
