#include "engine/wal/log_space.h"

#include <algorithm>
#include <array>

namespace small_db {
namespace {

constexpr uint64_t kBlockBytes = 4096;  // of a file system, as most have it

// Never written; as a constant it would take as much of the program's file. No longer, because some
// kernels let a commit wait until such a write is done.
alignas(kBlockBytes) std::array<std::byte, 256 * kKiB> zeros;

}  // namespace

LogSpace::LogSpace(std::unique_ptr<File> file, uint64_t prepared_end, uint64_t step_bytes)
    : file_(std::move(file)), step_bytes_(step_bytes), prepared_end_(prepared_end) {
  SMALL_DB_ASSERT(step_bytes >= kSectorBytes && step_bytes % kSectorBytes == 0);
}

Result<bool> LogSpace::prepare_step(uint64_t wanted_end) {
  if (!failure_.is_ok()) return failure_;
  const uint64_t begin = prepared_end();
  if (begin >= wanted_end) return false;
  const uint64_t end = begin + step_bytes_;
  SMALL_DB_RETURN_IF_ERROR(prepare(begin, end));
  prepared_end_.store(end, std::memory_order_release);  // pairs with prepared_end()'s acquire
  return end < wanted_end;
}

// Until the sync, an error for want of space harms nothing: no frame is in the range. A sync that
// fails, for whatever reason, may have dropped pages of frames.
Status LogSpace::prepare(uint64_t begin, uint64_t end) {
  Status status = cut_ ? Status::ok() : cut_to(begin);
  if (status.is_ok()) status = file_->allocate(begin, end - begin);
  if (status.is_ok()) status = write_zeros(*file_, begin, end);
  if (status.code() == Code::kNoDiskSpace) return status;
  if (status.is_ok()) status = file_->sync_data();
  if (status.is_ok()) return status;
  failure_ = status.code() == Code::kNoDiskSpace
                 ? Status(Code::kIoError, "log: sync of prepared space", status.error_number())
                 : status;
  failed_.store(true, std::memory_order_release);  // pairs with failed()'s acquire
  return failure_;
}

// A former owner may have made the file longer and died after a sync that failed: that length is in
// the page cache alone, marked clean, and no sync would ever write it. Cut off, it is made anew.
Status LogSpace::cut_to(uint64_t prepared_end) {
  const Result<uint64_t> size = file_->size();
  if (!size.is_ok()) return size.status();
  if (size.value() > prepared_end) SMALL_DB_RETURN_IF_ERROR(file_->truncate(prepared_end));
  cut_ = true;
  return Status::ok();
}

// Whole blocks: of one that holds a part of a frame, the kernel would write that part again.
void LogSpace::release_from(uint64_t end) noexcept {
  const uint64_t begin = (end + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  if (begin < prepared_end()) file_->release(begin, prepared_end() - begin);
}

Status write_zeros(File& file, uint64_t begin, uint64_t end) {
  while (begin < end) {
    const size_t bytes = std::min<uint64_t>(zeros.size(), end - begin);
    SMALL_DB_RETURN_IF_ERROR(file.write_at(begin, Bytes(zeros.data(), bytes)));
    begin += bytes;
  }
  return Status::ok();
}

}  // namespace small_db
