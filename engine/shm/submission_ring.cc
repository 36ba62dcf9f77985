// Both ends of the submission ring. The producer trusts nothing of the head, the consumer nothing
// of the tail or of the ring's bytes beyond what it checks.
#include "engine/shm/submission_ring.h"

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "engine/base/assert.h"
#include "engine/base/kill_point.h"

namespace small_db {
namespace {

static_assert(submission_entry_bytes(submission_payload_bytes_max(kSubmissionBytesMin)) * 2 <=
                  kSubmissionBytesMin,
              "an entry and its padding, which is shorter, fit into an empty ring");

// One load and no more: a compiler may read plain memory again after a check, when another process
// has scribbled over it. Relaxed: the tail orders it.
template <typename T>
T load_once(std::byte* from) noexcept {
  return std::atomic_ref<T>(*reinterpret_cast<T*>(from)).load(std::memory_order_relaxed);
}

// What is there of a header at `at`: `bytes_there` is a multiple of kEntryAlignment, not 0.
SubmissionHeader copy_header(std::byte* at, uint64_t bytes_there) noexcept {
  SubmissionHeader header{};
  header.entry_bytes = load_once<uint32_t>(at + offsetof(SubmissionHeader, entry_bytes));
  header.kind =
      static_cast<SubmissionKind>(load_once<uint32_t>(at + offsetof(SubmissionHeader, kind)));
  if (bytes_there < sizeof(header)) return header;
  header.sequence = load_once<uint64_t>(at + offsetof(SubmissionHeader, sequence));
  header.cookie = load_once<uint64_t>(at + offsetof(SubmissionHeader, cookie));
  header.payload_bytes = load_once<uint32_t>(at + offsetof(SubmissionHeader, payload_bytes));
  header.reserved = load_once<uint32_t>(at + offsetof(SubmissionHeader, reserved));
  return header;
}

// `bytes_there`: up to the ring's end or the tail, whichever comes first.
bool is_valid_entry(const SubmissionHeader& header, uint64_t bytes_there,
                    size_t ring_bytes) noexcept {
  const auto kind = static_cast<uint32_t>(header.kind);
  if (kind < static_cast<uint32_t>(SubmissionKind::kOperation) ||
      kind > static_cast<uint32_t>(SubmissionKind::kPromote)) {
    return false;
  }
  if (header.payload_bytes > submission_payload_bytes_max(ring_bytes) ||
      header.entry_bytes != submission_entry_bytes(header.payload_bytes) ||
      header.entry_bytes > bytes_there) {
    return false;
  }
  const bool bare = header.kind == SubmissionKind::kStreamAbort ||
                    header.kind == SubmissionKind::kCheckpoint ||
                    header.kind == SubmissionKind::kPromote;
  if (bare && header.payload_bytes != 0) return false;
  return header.sequence != 0 && header.reserved == 0;
}

}  // namespace

SubmissionProducer::SubmissionProducer(Region region, uint32_t slot) noexcept
    : ring_(region.submissions(slot)),
      slot_(&region.slot(slot)),
      // Relaxed: only this process stores it.
      tail_(slot_->submission_tail.load(std::memory_order_relaxed)),
      // Pairs with release_submissions' store.
      head_seen_(slot_->submission_head.load(std::memory_order_acquire)) {}

size_t SubmissionProducer::payload_bytes_max() const noexcept {
  return submission_payload_bytes_max(ring_.size());
}

bool SubmissionProducer::has_room(size_t bytes) noexcept {
  // A head that makes no sense gives more than the ring's size used: full.
  const auto fits = [&] {
    const uint64_t used = tail_ - head_seen_;
    return used <= ring_.size() && bytes <= ring_.size() - used;
  };
  if (fits()) return true;
  // Pairs with release_submissions' store: the bytes before it were read; sequentially consistent
  // for the bell (completion_ring.h).
  head_seen_ = slot_->submission_head.load(std::memory_order_seq_cst);
  return fits();
}

std::byte* SubmissionProducer::reserve(size_t bytes) noexcept {
  SMALL_DB_ASSERT(bytes <= payload_bytes_max());
  entry_bytes_ = 0;
  const size_t entry_bytes = submission_entry_bytes(bytes);
  const size_t offset = tail_ & (ring_.size() - 1);
  const size_t to_end = ring_.size() - offset;
  const size_t padding_bytes = entry_bytes > to_end ? to_end : 0;
  missed_ = !has_room(padding_bytes + entry_bytes);
  if (missed_) {
    missed_bytes_ = bytes;
    return nullptr;
  }
  padding_bytes_ = padding_bytes;
  entry_bytes_ = entry_bytes;
  payload_bytes_ = bytes;
  const size_t entry_offset = padding_bytes == 0 ? offset : 0;
  return ring_.data() + entry_offset + sizeof(SubmissionHeader);
}

bool SubmissionProducer::room_came() noexcept {
  return missed_ && reserve(missed_bytes_) != nullptr;
}

void SubmissionProducer::publish(SubmissionKind kind, uint64_t sequence, uint64_t cookie) noexcept {
  SMALL_DB_ASSERT(entry_bytes_ != 0 && kind != SubmissionKind::kPadding && sequence != 0);
  size_t offset = tail_ & (ring_.size() - 1);
  if (padding_bytes_ != 0) {
    std::byte* padding = ring_.data() + offset;
    store(padding + offsetof(SubmissionHeader, entry_bytes), static_cast<uint32_t>(padding_bytes_));
    store(padding + offsetof(SubmissionHeader, kind), SubmissionKind::kPadding);
    offset = 0;
  }
  const SubmissionHeader header{static_cast<uint32_t>(entry_bytes_),   kind, sequence, cookie,
                                static_cast<uint32_t>(payload_bytes_), 0};
  store(ring_.data() + offset, header);
  SMALL_DB_KILL_POINT("submission: written");
  tail_ += padding_bytes_ + entry_bytes_;
  entry_bytes_ = 0;
  // Pairs with the consumer's loads. Whether the owner wakes is ring_doorbell's business.
  slot_->submission_tail.store(tail_, std::memory_order_release);
  SMALL_DB_KILL_POINT("submission: published");
}

SubmissionConsumer::SubmissionConsumer(Region region, uint32_t slot) noexcept
    : ring_(region.submissions(slot)),
      slot_(&region.slot(slot)),
      // Relaxed: this owner's own store, or that of a former one, which the directory's lock
      // orders.
      position_(slot_->submission_head.load(std::memory_order_relaxed)) {}

bool SubmissionConsumer::ready() const noexcept {
  // Pairs with publish's store.
  return slot_->submission_tail.load(std::memory_order_acquire) != position_;
}

Result<std::optional<Submission>> SubmissionConsumer::next() noexcept {
  // Pairs with publish's store.
  const uint64_t tail = slot_->submission_tail.load(std::memory_order_acquire);
  if (tail == position_) return std::optional<Submission>();
  const uint64_t unread = tail - position_;
  if (unread > ring_.size() || unread % kEntryAlignment != 0 || position_ % kEntryAlignment != 0) {
    return Status(Code::kCorruption, "submission ring: positions");
  }
  uint64_t offset = position_ & (ring_.size() - 1);
  uint64_t there = std::min<uint64_t>(unread, ring_.size() - offset);
  uint64_t padding = 0;
  SubmissionHeader header = copy_header(ring_.data() + offset, there);
  if (header.kind == SubmissionKind::kPadding) {
    padding = header.entry_bytes;
    // It reaches the ring's end exactly, and an entry follows it.
    if (padding != ring_.size() - offset || padding >= unread) {
      return Status(Code::kCorruption, "submission ring: padding");
    }
    offset = 0;
    there = unread - padding;
    header = copy_header(ring_.data(), there);
  }
  if (!is_valid_entry(header, there, ring_.size())) {
    return Status(Code::kCorruption, "submission ring: entry");
  }
  position_ += padding + header.entry_bytes;
  return std::optional(Submission{
      header.kind, header.sequence, header.cookie,
      Bytes(ring_.data() + offset + sizeof(SubmissionHeader), header.payload_bytes), position_});
}

void release_submissions(Region region, uint32_t slot, uint64_t position) noexcept {
  // Pairs with the producer's loads: what was read is read. Sequentially consistent for the bell
  // (completion_ring.h).
  region.slot(slot).submission_head.store(position, std::memory_order_seq_cst);
}

}  // namespace small_db
