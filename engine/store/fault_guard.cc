#include "engine/store/fault_guard.h"

#include <signal.h>

#include <array>
#include <atomic>
#include <mutex>

namespace small_db {
namespace {

constexpr std::array kFaults = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
constexpr size_t kRegionsMax = 256;

// Read by the signal handler: nothing but atomics.
std::array<std::atomic<RegionHeader*>, kRegionsMax> guarded;
std::array<struct sigaction, kFaults.size()> former;

extern "C" void note_fault(int signal) {
  for (std::atomic<RegionHeader*>& slot : guarded) {
    if (RegionHeader* header = slot.load()) header->distrust.store(1);
  }
  // The fault happens again on return, or is raised again, and takes its usual course.
  for (size_t i = 0; i < kFaults.size(); ++i) {
    if (kFaults[i] == signal) sigaction(signal, &former[i], nullptr);
  }
  raise(signal);
}

void install_once() noexcept {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_handler = note_fault;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kFaults.size(); ++i) sigaction(kFaults[i], &action, &former[i]);
  });
}

}  // namespace

void guard_against_faults(Region region) noexcept {
  install_once();
  for (std::atomic<RegionHeader*>& slot : guarded) {
    RegionHeader* free = nullptr;
    if (slot.compare_exchange_strong(free, &region.header())) return;
  }
}

void end_guard(Region region) noexcept {
  for (std::atomic<RegionHeader*>& slot : guarded) {
    RegionHeader* own = &region.header();
    slot.compare_exchange_strong(own, nullptr);
  }
}

}  // namespace small_db
