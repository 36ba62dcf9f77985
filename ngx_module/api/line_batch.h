// A batch of puts and deletes as lines of JSON (operation.h), on its way to one write set: the
// lines of a body in pieces of any length, then the operations in the order of their keys.
//
// Each call does little, so that a worker can take a long batch in slices. No key may stand there
// twice: what was meant can't be told. The order of lines means nothing then.
//
// Worker processes use it; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>

#include "engine/record/write_set.h"
#include "ngx_module/api/operation.h"
#include "ngx_module/api/problem.h"

namespace small_db {

// Cuts a body into lines. A line feed ends a line; the last one may lack it.
class LineReader {
 public:
  // Where the body's next piece is to be appended.
  std::string* buffer() noexcept { return &buffer_; }

  // The next line, without its line feed, valid until the buffer changes; nothing when the buffer
  // holds no whole one. is_last: no more pieces will come, so that what is left is a line.
  std::optional<std::string_view> next(bool is_last);

  // Bytes of a line that are there while its end is not.
  size_t pending_bytes() const noexcept { return buffer_.size() - at_; }

 private:
  std::string buffer_;
  size_t at_ = 0;       // where the next line starts
  size_t scanned_ = 0;  // no line feed lies between
};

class LineBatch {
 public:
  enum class Purpose : uint8_t {
    kChanges,  // puts and deletes
    kContents  // puts alone: all that there will be under the prefix
  };

  // prefix: of kContents; each key must begin with it.
  LineBatch(const OperationLimits& limits, Purpose purpose, std::string prefix);
  LineBatch(const LineBatch&) = delete;
  LineBatch& operator=(const LineBatch&) = delete;

  // Takes the next line. Errors: kInvalidBody, kInvalidOperation, kTooLarge, with the line's number
  // and the byte in it. May throw std::bad_alloc.
  [[nodiscard]] std::optional<Problem> add(std::string_view line);

  size_t operations() const noexcept { return entries_->size(); }

  // The longest line that can make sense.
  size_t line_bytes_max() const noexcept;
  // 413 for a longer one, which is the next.
  Problem too_long(size_t bytes) const noexcept;

  // Adds the next operations to `set`, in the order of keys, until that has grown by about
  // `bytes_max`. False: all are there. May throw std::bad_alloc.
  bool build(size_t bytes_max, WriteSetBuilder* set);

 private:
  struct Entry {
    Bytes value;
    uint64_t expires_at_ms;
    uint32_t line;
    bool is_delete;
  };
  struct KeyLess {
    bool operator()(Bytes left, Bytes right) const noexcept {
      return compare_bytes(left, right) < 0;
    }
  };
  using Entries = std::pmr::map<Bytes, Entry, KeyLess>;

  Bytes keep(std::string_view text);
  std::optional<Problem> enter(const Operation& operation);
  std::optional<Problem> refuse(const JsonFault& fault) const;
  std::optional<Problem> refuse_key(std::string_view key, const char* why) const;

  const OperationLimits limits_;
  const Purpose purpose_;
  const std::string prefix_;
  OperationParser parser_;
  Operation operation_;  // keeps its memory from line to line
  uint32_t line_ = 0;
  size_t set_bytes_ = kWriteSetHeaderBytes;
  // Keys, values and the map itself lie here, and go with it at once: freeing a long batch entry by
  // entry would hold the event loop up.
  std::pmr::monotonic_buffer_resource memory_;
  Entries* entries_;
  Entries::const_iterator next_;
  bool building_ = false;
};

}  // namespace small_db
