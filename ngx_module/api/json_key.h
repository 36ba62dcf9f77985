// A key as a member of a JSON object: "key":"…", or, where it is not UTF-8,
// "key":"BASE64","key_encoding":"base64".
#pragma once

#include <cstddef>

#include "engine/base/bytes.h"

namespace small_db {

class JsonKey {
 public:
  // The key must outlive this.
  explicit JsonKey(Bytes key) noexcept;

  size_t bytes() const noexcept;

  // Returns the end of the output. REQUIRES: room for bytes().
  char* write(char* to) const noexcept;

 private:
  Bytes key_;
  bool is_text_;
  size_t escaped_bytes_;  // of a text
};

}  // namespace small_db
