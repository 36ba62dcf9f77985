// A thread of the simulation: runs until it pauses itself, and goes on when the scheduler says so.
// So what the engine does in a blocking call (follow a primary, wait for backups) is one step after
// the other, in the order that the seed gives, and its code is the same as in production.
#pragma once

#include <functional>
#include <memory>

namespace small_db {

class Fiber {
 public:
  explicit Fiber(std::function<void()> body);
  ~Fiber();  // REQUIRES: it has ended
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs it until its next pause, or to its end; nothing when it has ended. REQUIRES: the caller is
  // no fiber.
  void resume();
  bool has_ended() const;
  bool is_running() const;

  // In a fiber: back to who resumed it.
  static void pause();
  static bool is_within();

 private:
  struct Context;
  static void enter();
  std::unique_ptr<Context> context_;
};

}  // namespace small_db
