// Writes of one file around the page cache (O_DIRECT). What they need of offsets, lengths and
// memory is asked of the file system (statx(2), STATX_DIOALIGN, Linux 6.1); where it does not say,
// or asks for more than sectors, all writes go through the cache. One thread at a time.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "engine/base/bytes.h"

namespace small_db {

class DirectWrites {
 public:
  // Whether writes that can be made so are made so from now on.
  void want(bool wanted) noexcept { wanted_ = wanted; }

  // What to give to pwrite next, of `bytes` that belong at `offset`: themselves, or a copy of their
  // beginning in memory that is aligned; valid until the next call. Sets or clears O_DIRECT of the
  // descriptor to suit them.
  Bytes next(int descriptor, uint64_t offset, Bytes bytes) noexcept;

  // After EINVAL. True when the write was to go around the cache: none will any more; ask again.
  bool give_up(int descriptor) noexcept;

 private:
  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  enum class Ability : uint8_t { kUnknown, kNone, kSectors };

  bool is_able(int descriptor) noexcept;
  bool set_flag(int descriptor, bool direct) noexcept;
  bool has_buffer() noexcept;

  bool wanted_ = false;
  bool flag_ = false;  // O_DIRECT is set
  Ability ability_ = Ability::kUnknown;
  std::unique_ptr<std::byte, Free> buffer_;
};

}  // namespace small_db
