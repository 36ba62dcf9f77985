#include "engine/replication/replicated_frames.h"

#include <utility>

namespace small_db {

void ReplicatedFrames::ask_to_open() {
  const std::lock_guard<std::mutex> guard(mutex_);
  closed_ = true;
  asked_.store(true, std::memory_order_seq_cst);
}

bool ReplicatedFrames::push(ReplicatedFrame&& frame) {
  std::unique_lock<std::mutex> lock(mutex_);
  room_.wait(lock, [&] { return closed_ || bytes_ < kBytesMax; });
  if (closed_) return false;
  bytes_ += frame.body.size();
  frames_.push_back(std::move(frame));
  return true;
}

const ReplicatedFrame* ReplicatedFrames::front() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return closed_ || frames_.empty() ? nullptr : &frames_.front();
}

void ReplicatedFrames::pop() {
  const std::lock_guard<std::mutex> guard(mutex_);
  bytes_ -= frames_.front().body.size();
  frames_.pop_front();
  room_.notify_one();
}

bool ReplicatedFrames::empty() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return closed_ || frames_.empty();
}

bool ReplicatedFrames::is_closed() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return closed_;
}

void ReplicatedFrames::close() {
  const std::lock_guard<std::mutex> guard(mutex_);
  closed_ = true;
  room_.notify_all();
}

void ReplicatedFrames::open() {
  const std::lock_guard<std::mutex> guard(mutex_);
  frames_.clear();
  bytes_ = 0;
  closed_ = false;
  asked_.store(false, std::memory_order_seq_cst);
}

}  // namespace small_db
