#include "tests/cluster/fiber.h"

#include <ucontext.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/base/assert.h"
#include "engine/base/limits.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace small_db {
namespace {

constexpr size_t kStackBytes = 256 * kKiB;

using Stack = std::unique_ptr<std::byte[]>;

// Stacks are used again: to make one is dearer than most fibers.
std::vector<Stack>& spare_stacks() {
  static std::vector<Stack> stacks;
  return stacks;
}

Stack take_stack() {
  if (spare_stacks().empty()) return Stack(new std::byte[kStackBytes]);
  Stack stack = std::move(spare_stacks().back());
  spare_stacks().pop_back();
  return stack;
}

}  // namespace

struct Fiber::Context {
  std::function<void()> body;
  Stack stack = take_stack();
  ucontext_t own{};
  ucontext_t resumer{};
  bool ended = false;
  // AddressSanitizer is told of each switch: it keeps a shadow of the stack.
  void* own_shadow = nullptr;
  const void* resumer_stack = nullptr;
  size_t resumer_stack_bytes = 0;

  static Context* current;
  void switch_in();
  void switch_out();
};

Fiber::Context* Fiber::Context::current = nullptr;

void Fiber::Context::switch_in() {
  current = this;
#ifdef __SANITIZE_ADDRESS__
  void* shadow = nullptr;
  __sanitizer_start_switch_fiber(&shadow, stack.get(), kStackBytes);
  swapcontext(&resumer, &own);
  __sanitizer_finish_switch_fiber(shadow, nullptr, nullptr);
#else
  swapcontext(&resumer, &own);
#endif
  current = nullptr;
}

void Fiber::Context::switch_out() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(ended ? nullptr : &own_shadow, resumer_stack, resumer_stack_bytes);
  swapcontext(&own, &resumer);
  __sanitizer_finish_switch_fiber(own_shadow, &resumer_stack, &resumer_stack_bytes);
#else
  swapcontext(&own, &resumer);
#endif
}

Fiber::Fiber(std::function<void()> body) : context_(std::make_unique<Context>()) {
  context_->body = std::move(body);
  getcontext(&context_->own);
  context_->own.uc_stack.ss_sp = context_->stack.get();
  context_->own.uc_stack.ss_size = kStackBytes;
  context_->own.uc_link = nullptr;  // the end switches by itself
  makecontext(&context_->own, &Fiber::enter, 0);
}

Fiber::~Fiber() {
  SMALL_DB_ASSERT(context_->ended);
  spare_stacks().push_back(std::move(context_->stack));
}

void Fiber::enter() {
  Context& self = *Context::current;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &self.resumer_stack, &self.resumer_stack_bytes);
#endif
  self.body();
  self.ended = true;
  self.switch_out();
}

void Fiber::resume() {
  SMALL_DB_ASSERT(Context::current == nullptr);
  if (!context_->ended) context_->switch_in();
}

bool Fiber::has_ended() const { return context_->ended; }

void Fiber::pause() {
  SMALL_DB_ASSERT(Context::current != nullptr);
  Context::current->switch_out();
}

bool Fiber::is_running() const { return Context::current == context_.get(); }

bool Fiber::is_within() { return Context::current != nullptr; }

}  // namespace small_db
