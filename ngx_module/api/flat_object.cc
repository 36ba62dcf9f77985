#include "ngx_module/api/flat_object.h"

#include <cctype>
#include <exception>
#include <iterator>
#include <nlohmann/json.hpp>

#include "ngx_module/api/base64.h"
#include "ngx_module/api/expiry.h"

namespace small_db {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Tells how much of the text the parser has taken: its events carry no position. The parser keeps
// the copy that it was given, so the count is outside.
class CountingIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, size_t* taken) noexcept : at_(at), taken_(taken) {}
  reference operator*() const noexcept { return *at_; }
  CountingIterator& operator++() noexcept {
    ++at_;
    ++*taken_;
    return *this;
  }
  CountingIterator operator++(int) noexcept {
    const CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const noexcept { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const noexcept { return at_ != other.at_; }

 private:
  const char* at_;
  size_t* taken_;
};

bool is_escaped(std::string_view body, size_t at) noexcept {
  size_t backslashes = 0;
  while (backslashes < at && body[at - 1 - backslashes] == '\\') backslashes++;
  return backslashes % 2 == 1;
}

// Where the token starts whose last byte is body[last]. REQUIRES: the token was read whole.
size_t token_start(std::string_view body, size_t last) noexcept {
  size_t at = last;
  if (body[last] == '"') {
    while (at > 0) {
      at--;
      if (body[at] == '"' && !is_escaped(body, at)) break;
    }
    return at;
  }
  const auto in_word = [&](size_t i) {
    const auto byte = static_cast<uint8_t>(body[i]);
    return std::isalnum(byte) != 0 || byte == '+' || byte == '-' || byte == '.';
  };
  while (at > 0 && in_word(at) && in_word(at - 1)) at--;
  return at;
}

// Where byte `position` of a string's content stands in the body. start: of the opening quote.
// REQUIRES: the parser took the string, so that its escapes are whole; what stands before
// `position` is ASCII (base64 before its first fault), so that each escape is one byte.
size_t position_in_body(std::string_view body, size_t start, size_t position) noexcept {
  size_t at = start + 1;
  for (size_t i = 0; i < position; i++) {
    at += body[at] != '\\' ? 1 : (body[at + 1] != 'u' ? 2 : 6);
  }
  return at;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); i++) {
    if (std::tolower(static_cast<uint8_t>(text[i])) != lower[i]) return false;
  }
  return true;
}

// The cause within the library's message, without the copy of the input that it may hold:
// "[json.exception.parse_error.101] parse error at …: syntax error while parsing … - CAUSE; last
// read: …". Empty for the one other message, "number overflow parsing …".
std::string_view parser_cause(std::string_view message) noexcept {
  const size_t dash = message.find(" - ");
  if (dash == std::string_view::npos) return {};
  const std::string_view cause = message.substr(dash + 3);
  return cause.substr(0, cause.find("; last read: "));
}

JsonFault make_fault(size_t position, std::initializer_list<DetailPiece> cause) {
  return {false, false, position, make_problem(ProblemKind::kInvalidBody, cause).detail};
}

}  // namespace

// Receives the parser's events. False from any of them ends the parse; fault() then says why.
class FlatObjectEvents {
 public:
  FlatObjectEvents(FlatObject* object, const char* what, const size_t* taken) noexcept
      : object_(*object), what_(what), taken_(taken) {}

  bool null() { return take(kJsonNull, last_byte()) != nullptr; }
  bool boolean(bool is_true) {
    Member* member = take(kJsonBoolean, last_byte());
    if (member != nullptr) member->is_true = is_true;
    return member != nullptr;
  }
  bool number_integer(nlohmann::json::number_integer_t number) {
    Member* member = take(kJsonInteger, last_of_number());
    if (member != nullptr) member->number = number;
    return member != nullptr;
  }
  bool number_unsigned(nlohmann::json::number_unsigned_t number) {
    if (number > INT64_MAX) return wrong_type(last_of_number());
    return number_integer(static_cast<int64_t>(number));
  }
  bool number_float(nlohmann::json::number_float_t, const std::string&) {
    return wrong_type(last_of_number());
  }
  bool string(std::string& text) {
    Member* member = take(kJsonString, last_byte());
    if (member != nullptr) member->text = std::move(text);
    return member != nullptr;
  }
  bool binary(nlohmann::json::binary_t&) { return wrong_type(last_byte()); }
  bool start_array(size_t) { return wrong_type(last_byte()); }
  bool end_array() { return wrong_type(last_byte()); }

  bool start_object(size_t) {
    if (in_object_) return wrong_type(last_byte());
    in_object_ = true;
    return true;
  }

  bool key(std::string& name) {
    size_t index = 0;
    while (index < object_.rules_.size() && name != object_.rules_[index].name) index++;
    const size_t start = token_start(object_.text_, last_byte());
    if (index == object_.rules_.size()) {
      return fail(start, {"unknown member '", QuotedInput(name).text(), "'"});
    }
    rule_ = &object_.rules_[index];
    member_ = &object_.members_[index];
    if (!member_->is_given()) return true;
    return fail(start, {"a second member '", rule_->name, "'"});
  }

  bool end_object() {
    object_.end_ = last_byte();
    return true;
  }

  bool parse_error(size_t position, const std::string&, const std::exception& error) {
    const std::string_view cause = parser_cause(error.what());
    size_t at = position - 1;  // the library counts what it read, the end of the input included
    if (cause.empty()) return wrong_type(at);
    const bool whole_token = cause.find("unexpected ") == 0 && at < object_.text_.size();
    if (whole_token) at = token_start(object_.text_, at);
    fail(at, {cause});
    fault_.is_syntax = true;
    return false;
  }

  JsonFault& fault() noexcept { return fault_; }

 private:
  size_t last_byte() const noexcept { return *taken_ - 1; }

  // The parser has looked one byte past a number, unless the text ended there.
  size_t last_of_number() const noexcept {
    const size_t last = last_byte();
    return std::isdigit(static_cast<uint8_t>(object_.text_[last])) == 0 ? last - 1 : last;
  }

  // The member whose value comes, if it may be of this type; else nullptr.
  Member* take(uint8_t type, size_t last) {
    if (member_ == nullptr || (rule_->types & type) == 0) {
      wrong_type(last);
      return nullptr;
    }
    member_->type = type;
    member_->last_byte = last;
    return member_;
  }

  bool wrong_type(size_t last) {
    const size_t start = token_start(object_.text_, last);
    if (!in_object_) return fail(start, {what_, " must be a JSON object"});
    return fail(start, {"the member '", rule_->name, "' must be ", rule_->must_be});
  }

  bool fail(size_t position, std::initializer_list<DetailPiece> cause) {
    fault_ = make_fault(position, cause);
    return false;
  }

  FlatObject& object_;
  const char* what_;
  const size_t* const taken_;
  bool in_object_ = false;
  const MemberRule* rule_ = nullptr;
  Member* member_ = nullptr;
  JsonFault fault_;
};

Problem problem_of_fault(const JsonFault& fault, ProblemKind kind) noexcept {
  if (fault.is_too_large)
    return make_problem(ProblemKind::kTooLarge, {std::string_view(fault.cause)});
  return make_problem(
      kind, {"at byte ", fault.position, " of the body: ", std::string_view(fault.cause)});
}

std::optional<JsonFault> FlatObject::parse(std::string_view text, const char* what) {
  text_ = text;
  for (Member& member : members_) member = Member();
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    JsonFault fault = make_fault(0, {"a byte-order mark, which JSON does not allow"});
    fault.is_syntax = true;
    return fault;
  }
  size_t taken = 0;
  size_t end_taken = 0;
  FlatObjectEvents events(this, what, &taken);
  const CountingIterator first(text.data(), &taken);
  const CountingIterator last(text.data() + text.size(), &end_taken);
  if (nlohmann::json::sax_parse(first, last, &events)) return std::nullopt;
  return std::move(events.fault());
}

JsonFault FlatObject::fault_at(const Member& member,
                               std::initializer_list<DetailPiece> cause) const {
  return make_fault(token_start(text_, member.last_byte), cause);
}

JsonFault FlatObject::fault_within(const Member& member, size_t position, const char* cause) const {
  const size_t start = token_start(text_, member.last_byte);
  return make_fault(position_in_body(text_, start, position), {cause});
}

JsonFault FlatObject::fault_at_end(std::initializer_list<DetailPiece> cause) const {
  return make_fault(end_, cause);
}

namespace {

// In place: a value may be tens of megabytes.
std::optional<JsonFault> decode_text(FlatObject& object, Member& member, bool is_base64,
                                     const char* what, const char* limit_name, size_t bytes_max,
                                     std::string* to) {
  std::string& text = member.text;
  const size_t bytes = is_base64 ? base64_decoded_bytes(text) : text.size();
  if (bytes > bytes_max) {
    JsonFault fault = object.fault_at(member, {});
    fault.is_too_large = true;
    fault.cause = too_large(what, bytes, limit_name, bytes_max).detail;
    return fault;
  }
  if (is_base64) {
    const auto error = base64_decode(text, reinterpret_cast<std::byte*>(text.data()));
    if (error) return object.fault_within(member, error->position, error->what);
    text.resize(bytes);
  }
  *to = std::move(text);
  return std::nullopt;
}

}  // namespace

std::optional<JsonFault> read_encoding(const FlatObject& object, const Member& encoding,
                                       bool otherwise, bool* is_base64) {
  *is_base64 = otherwise;
  if (!encoding.is_given()) return std::nullopt;
  *is_base64 = equals_ignoring_case(encoding.text, "base64");
  if (*is_base64) return std::nullopt;
  for (const char* name : {"utf-8", "utf8", "plain", "text"}) {
    if (equals_ignoring_case(encoding.text, name)) return std::nullopt;
  }
  return object.fault_at(encoding, {"unknown encoding '", QuotedInput(encoding.text).text(),
                                    "': it must be base64 or utf-8"});
}

std::optional<JsonFault> decode_value(FlatObject& object, Member& value, const Member& encoding,
                                      size_t bytes_max, std::string* bytes) {
  bool is_base64 = true;
  if (auto fault = read_encoding(object, encoding, true, &is_base64)) return fault;
  return decode_text(object, value, is_base64, "the value", "max_value_size", bytes_max, bytes);
}

std::optional<JsonFault> decode_key(FlatObject& object, Member& key, const Member& encoding,
                                    size_t bytes_max, std::string* bytes) {
  bool is_base64 = false;
  if (auto fault = read_encoding(object, encoding, false, &is_base64)) return fault;
  if (key.text.empty()) return object.fault_at(key, {"the key is empty"});
  return decode_text(object, key, is_base64, "the key", "max_key_size", bytes_max, bytes);
}

std::optional<JsonFault> read_expiry(const FlatObject& object, const Member& ttl,
                                     const Member& expires_at, uint64_t now_ms, Expiry* expiry) {
  *expiry = Expiry();
  if (ttl.is_given() && expires_at.is_given()) {
    const bool ttl_is_second = ttl.last_byte > expires_at.last_byte;
    return object.fault_at(ttl_is_second ? ttl : expires_at,
                           {"give either 'ttl' or 'expires_at', not both"});
  }
  const Member& member = ttl.is_given() ? ttl : expires_at;
  if (!member.is_given()) return std::nullopt;
  expiry->is_given = true;
  if (member.type == kJsonNull) return std::nullopt;
  const bool is_ttl = ttl.is_given();
  const bool is_number = member.type == kJsonInteger;
  const ParsedExpiry parsed =
      is_ttl
          ? (is_number ? expiry_after(member.number, now_ms) : parse_ttl(member.text, now_ms))
          : (is_number ? expiry_at(member.number, now_ms) : parse_expires_at(member.text, now_ms));
  expiry->expires_at_ms = parsed.expires_at_ms;
  if (parsed.is_ok()) return std::nullopt;
  return object.fault_at(member, {is_ttl ? "'ttl' " : "'expires_at' ", parsed.why_not});
}

}  // namespace small_db
