// Threads are made with all signals blocked: they are for the process's own thread.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace small_db {

// While it lives, in the thread that made it, and for good in the threads that this one makes.
class BlockedSignals {
 public:
  BlockedSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace small_db
