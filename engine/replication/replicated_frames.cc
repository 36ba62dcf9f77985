#include "engine/replication/replicated_frames.h"

#include <utility>

namespace small_db {

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
  if (closed_) return nullptr;
  if (!has_taken() && !frames_.empty()) {
    taken_ = std::move(frames_.front());
    taken_in_ = opened_;
    frames_.pop_front();
    bytes_ -= taken_->body.size();
    room_.notify_one();
  }
  return has_taken() ? &*taken_ : nullptr;
}

void ReplicatedFrames::pop() { taken_.reset(); }

bool ReplicatedFrames::empty() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return closed_ || (!has_taken() && frames_.empty());
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
  ++opened_;
}

}  // namespace small_db
