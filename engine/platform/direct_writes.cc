#include "engine/platform/direct_writes.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "engine/base/limits.h"

namespace small_db {
namespace {

constexpr size_t kMemoryAlignment = 4096;
constexpr size_t kBufferBytes = kMiB;

bool is_aligned(const std::byte* memory) noexcept {
  return reinterpret_cast<uintptr_t>(memory) % kMemoryAlignment == 0;
}

bool takes_sectors(int descriptor) noexcept {
#ifdef STATX_DIOALIGN
  struct statx attributes {};
  if (::statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &attributes) != 0) return false;
  const uint32_t offset = attributes.stx_dio_offset_align;
  const uint32_t memory = attributes.stx_dio_mem_align;
  return (attributes.stx_mask & STATX_DIOALIGN) != 0 && offset != 0 && memory != 0 &&
         kSectorBytes % offset == 0 && kMemoryAlignment % memory == 0;
#else
  (void)descriptor;
  return false;
#endif
}

}  // namespace

Bytes DirectWrites::next(int descriptor, uint64_t offset, Bytes bytes) noexcept {
  const bool direct = wanted_ && offset % kSectorBytes == 0 && bytes.size() % kSectorBytes == 0 &&
                      is_able(descriptor) && (is_aligned(bytes.data()) || has_buffer());
  if (direct != flag_ && !set_flag(descriptor, direct)) return bytes;
  if (!direct || is_aligned(bytes.data())) return bytes;
  const Bytes piece = bytes.first(std::min(bytes.size(), kBufferBytes));
  std::memcpy(buffer_.get(), piece.data(), piece.size());
  return {buffer_.get(), piece.size()};
}

bool DirectWrites::give_up(int descriptor) noexcept {
  if (!flag_) return false;
  ability_ = Ability::kNone;
  return set_flag(descriptor, false);
}

bool DirectWrites::is_able(int descriptor) noexcept {
  if (ability_ == Ability::kUnknown) {
    ability_ = takes_sectors(descriptor) ? Ability::kSectors : Ability::kNone;
  }
  return ability_ == Ability::kSectors;
}

// False: the flag stays as it was.
bool DirectWrites::set_flag(int descriptor, bool direct) noexcept {
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags == -1) return false;
  if (::fcntl(descriptor, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == -1) {
    ability_ = Ability::kNone;
    return false;
  }
  flag_ = direct;
  return true;
}

bool DirectWrites::has_buffer() noexcept {
  if (buffer_ == nullptr) {
    buffer_.reset(static_cast<std::byte*>(std::aligned_alloc(kMemoryAlignment, kBufferBytes)));
  }
  return buffer_ != nullptr;
}

}  // namespace small_db
