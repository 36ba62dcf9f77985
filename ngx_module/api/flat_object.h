// A JSON object whose members are texts, whole numbers, booleans or null: what every request to the
// store is made of.
//
// Strict: anything but the members that the caller names, once each, with the types that it allows,
// is refused with the cause and the 0-based byte where it stands. Parsed as a stream of events,
// without a tree: the first event that the object has no place for ends the parse, so that nesting
// costs nothing.
//
// Pure functions over the caller's memory; worker processes call them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ngx_module/api/problem.h"

namespace small_db {

enum JsonTypes : uint8_t {
  kJsonNull = 1,
  kJsonBoolean = 2,
  kJsonInteger = 4,  // within 64 bits, signed
  kJsonString = 8,
};

struct MemberRule {
  const char* name;
  uint8_t types;        // one or more of JsonTypes
  const char* must_be;  // "a string": what to tell who gave another type
};

struct Member {
  uint8_t type = 0;  // one of JsonTypes; 0: the member is not there
  std::string text;
  int64_t number = 0;
  bool is_true = false;
  size_t last_byte = 0;  // of its token

  bool is_given() const noexcept { return type != 0; }
};

struct JsonFault {
  bool is_syntax = false;  // the text is no JSON; else it is, and says what it may not
  bool is_too_large = false;
  size_t position = 0;
  std::string cause;
};

// "at byte 12 of the body: CAUSE", of this kind; 413 without the position for what is too large.
Problem problem_of_fault(const JsonFault& fault, ProblemKind kind) noexcept;

class FlatObject {
 public:
  // REQUIRES: the rules outlive the object.
  explicit FlatObject(std::span<const MemberRule> rules) : rules_(rules), members_(rules.size()) {}

  // Parses `text`, which must stay valid for as long as positions are asked for. what: "the body",
  // for who wrote something else than an object. May throw std::bad_alloc.
  [[nodiscard]] std::optional<JsonFault> parse(std::string_view text, const char* what);

  // By the index of its rule.
  Member& operator[](size_t index) noexcept { return members_[index]; }
  const Member& operator[](size_t index) const noexcept { return members_[index]; }

  // A fault of the member's text, where it starts, or at byte `position` of its content.
  // REQUIRES: the member is given; what stands before `position` is ASCII.
  JsonFault fault_at(const Member& member, std::initializer_list<DetailPiece> cause) const;
  JsonFault fault_within(const Member& member, size_t position, const char* cause) const;
  // A fault of the whole, at its closing brace.
  JsonFault fault_at_end(std::initializer_list<DetailPiece> cause) const;

 private:
  friend class FlatObjectEvents;

  std::span<const MemberRule> rules_;
  std::vector<Member> members_;
  std::string_view text_;
  size_t end_ = 0;  // of the closing brace
};

// The bytes that a text stands for. `encoding` may be absent, and then says base64 for a value and
// UTF-8 for a key; it ignores case; utf8, plain and text are synonyms of utf-8. The member's text
// is moved from. REQUIRES: `value` is given.
[[nodiscard]] std::optional<JsonFault> decode_value(FlatObject& object, Member& value,
                                                    const Member& encoding, size_t bytes_max,
                                                    std::string* bytes);
[[nodiscard]] std::optional<JsonFault> decode_key(FlatObject& object, Member& key,
                                                  const Member& encoding, size_t bytes_max,
                                                  std::string* bytes);

// Whether the encoding that the member names is base64; absent: `otherwise`.
[[nodiscard]] std::optional<JsonFault> read_encoding(const FlatObject& object,
                                                     const Member& encoding, bool otherwise,
                                                     bool* is_base64);

// What `ttl` and `expires_at` say; at most one of them may be given.
struct Expiry {
  bool is_given = false;
  uint64_t expires_at_ms = 0;  // 0: never
};
[[nodiscard]] std::optional<JsonFault> read_expiry(const FlatObject& object, const Member& ttl,
                                                   const Member& expires_at, uint64_t now_ms,
                                                   Expiry* expiry);

}  // namespace small_db
