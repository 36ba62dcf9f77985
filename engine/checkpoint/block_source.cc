#include "engine/checkpoint/block_source.h"

#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/platform/blocked_signals.h"
#include "engine/record/content_sum.h"

namespace small_db {

namespace {

Result<bool> read_hashed(CheckpointReader& reader, HashedBlock& into) {
  const Result<bool> more = reader.next(into.block);
  if (!more.is_ok() || !more.value()) return more;
  ContentSum content;
  const Status status = into.block.for_each_record([&](const RecordView& record) {
    // The value follows the key, see record.h.
    content.add(RecordInLane{Bytes(record.key.data(), record.key.size() + record.value.size()),
                             static_cast<uint32_t>(record.key.size()), record.expires_at_ms});
    return Status::ok();
  });
  if (!status.is_ok()) return status;
  into.content = ContentHash(content.settled());
  return true;
}

class DirectSource : public BlockSource {
 public:
  explicit DirectSource(CheckpointReader& reader) : reader_(reader) {}

  Result<const HashedBlock*> next() override {
    const Result<bool> more = read_hashed(reader_, block_);
    if (!more.is_ok()) return more.status();
    return more.value() ? &block_ : nullptr;
  }

  uint64_t damage_offset() const override { return reader_.damage_offset(); }

 private:
  CheckpointReader& reader_;
  HashedBlock block_;
};

// The thread fills places in turn, and the caller empties them: `filled_` and `emptied_` count
// both, and the caller holds the place before the one it waits for.
class AheadSource : public BlockSource {
 public:
  explicit AheadSource(CheckpointReader& reader) : reader_(reader) {
    const BlockedSignals blocked;
    thread_ = std::thread([this] { run(); });
  }

  ~AheadSource() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  Result<const HashedBlock*> next() override {
    std::unique_lock lock(mutex_);
    if (holds_one_) {
      ++emptied_;
      holds_one_ = false;
      changed_.notify_all();
    }
    changed_.wait(lock, [this] { return filled_ > emptied_ || ended_; });
    if (filled_ > emptied_) {
      holds_one_ = true;
      return &places_[emptied_ % places_.size()];
    }
    if (!end_.is_ok()) return end_;
    return nullptr;
  }

  uint64_t damage_offset() const override {
    const std::lock_guard lock(mutex_);
    return damage_offset_;
  }

 private:
  void run() {
    Result<bool> more = true;
    while (wait_for_place()) {
      more = read_hashed(reader_, places_[filled_ % places_.size()]);
      const std::lock_guard lock(mutex_);
      if (more.is_ok() && more.value()) {
        ++filled_;
      } else {
        end_ = more.status();
        damage_offset_ = reader_.damage_offset();
        ended_ = true;
      }
      changed_.notify_all();
    }
  }

  bool wait_for_place() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || filled_ - emptied_ < places_.size(); });
    return !stopping_ && !ended_;
  }

  CheckpointReader& reader_;
  std::array<HashedBlock, 4> places_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t filled_ = 0;   // written by the thread alone
  uint64_t emptied_ = 0;  // written by the caller alone
  bool holds_one_ = false;
  bool stopping_ = false;
  bool ended_ = false;
  Status end_;
  uint64_t damage_offset_ = 0;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<BlockSource> make_block_source(CheckpointReader& reader, bool ahead) {
  if (ahead) return std::make_unique<AheadSource>(reader);
  return std::make_unique<DirectSource>(reader);
}

}  // namespace small_db
