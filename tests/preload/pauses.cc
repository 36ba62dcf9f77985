// Makes races likely: loaded with LD_PRELOAD, it stands before calls of the C library at which
// threads and processes meet, and lets now and then one of them rest for up to 3 ms before or after
// the call.
//
// SMALL_DB_PAUSES says how many of 1000 calls, and, behind a space, in which file of 8 bytes all
// processes count the rests. Read when the library is loaded: nginx hides its environment from its
// workers.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace {

constexpr uint32_t kPauseMaxUs = 3000;

const char* setting() {
  const char* text = getenv("SMALL_DB_PAUSES");
  return text == nullptr ? "" : text;
}

const int pauses_permille = atoi(setting());

std::atomic<uint64_t>* const counter = []() -> std::atomic<uint64_t>* {
  const char* space = strchr(setting(), ' ');
  const int file = space == nullptr ? -1 : open(space + 1, O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* memory = mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<std::atomic<uint64_t>*>(memory);
}();

// xorshift: calls of the C library from within its calls are best avoided.
uint32_t random_number() {
  thread_local uint32_t state = 0;
  if (state == 0) {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const auto place = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&state) >> 4);
    state = (static_cast<uint32_t>(now.tv_nsec) ^ place ^ static_cast<uint32_t>(getpid())) | 1;
  }
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

void may_pause() {
  if (pauses_permille == 0 || random_number() % 1000 >= static_cast<uint32_t>(pauses_permille)) {
    return;
  }
  if (counter != nullptr) counter->fetch_add(1, std::memory_order_relaxed);
  const timespec pause = {0, static_cast<long>(random_number() % kPauseMaxUs) * 1000};
  nanosleep(&pause, nullptr);
}

template <typename Function>
Function* next_of(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

template <typename Function, typename... Arguments>
auto call_with_pauses(Function* real, Arguments... arguments) {
  may_pause();
  const auto result = real(arguments...);
  may_pause();
  return result;
}

}  // namespace

extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static const auto real = next_of<int(pthread_mutex_t*)>("pthread_mutex_lock");
  return call_with_pauses(real, mutex);
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  static const auto real = next_of<int(pthread_mutex_t*)>("pthread_mutex_unlock");
  return call_with_pauses(real, mutex);
}

int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  static const auto real = next_of<int(pthread_cond_t*)>("pthread_cond_signal");
  return call_with_pauses(real, condition);
}

int pthread_join(pthread_t thread, void** result) {
  static const auto real = next_of<int(pthread_t, void**)>("pthread_join");
  return call_with_pauses(real, thread, result);
}

int madvise(void* memory, size_t bytes, int advice) noexcept {
  static const auto real = next_of<int(void*, size_t, int)>("madvise");
  return call_with_pauses(real, memory, bytes, advice);
}

int fdatasync(int fd) {
  static const auto real = next_of<int(int)>("fdatasync");
  return call_with_pauses(real, fd);
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  static const auto real = next_of<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return call_with_pauses(real, fd, bytes, count, offset);
}

}  // extern "C"
