#include "ngx_module/api/put_envelope.h"

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <nlohmann/json.hpp>

#include "ngx_module/api/base64.h"

namespace small_db {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Tells how much of the body the parser has taken: its events carry no position. The parser keeps
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

// Receives the parser's events. False from any of them ends the parse; problem() then says why.
class EnvelopeEvents {
 public:
  EnvelopeEvents(std::string_view body, const size_t* taken) noexcept
      : body_(body), taken_(taken) {}

  bool null() { return wrong_type(); }
  bool boolean(bool) { return wrong_type(); }
  bool number_integer(nlohmann::json::number_integer_t) { return wrong_number(); }
  bool number_unsigned(nlohmann::json::number_unsigned_t) { return wrong_number(); }
  bool number_float(nlohmann::json::number_float_t, const std::string&) { return wrong_number(); }
  bool binary(nlohmann::json::binary_t&) { return wrong_type(); }
  bool start_array(size_t) { return wrong_type(); }
  bool end_array() { return wrong_type(); }

  bool start_object(size_t) {
    if (in_object_) return wrong_type();
    in_object_ = true;
    return true;
  }

  bool key(std::string& name) {
    if (name != "value" && name != "encoding") {
      return fail(token_start(body_, last_byte()),
                  {"unknown member '", QuotedInput(name).text(), "'"});
    }
    member_ = name == "value" ? &value_ : &encoding_;
    member_name_ = name == "value" ? "value" : "encoding";
    if (!member_->given) return true;
    return fail(token_start(body_, last_byte()), {"a second member '", member_name_, "'"});
  }

  bool string(std::string& text) {
    if (member_ == nullptr) return wrong_type();
    member_->given = true;
    member_->last_byte = last_byte();
    member_->text = std::move(text);
    return true;
  }

  bool end_object() {
    if (value_.given) return true;
    return fail(last_byte(), {"the member 'value' is missing"});
  }

  bool parse_error(size_t position, const std::string&, const std::exception& error) {
    const std::string_view cause = parser_cause(error.what());
    size_t at = position - 1;  // the library counts what it read, the end of the input included
    if (cause.empty()) return wrong_type_at(token_start(body_, at));
    const bool whole_token = cause.find("unexpected ") == 0 && at < body_.size();
    if (whole_token) at = token_start(body_, at);
    return fail(at, {cause});
  }

  // Checks and decodes what the members say. REQUIRES: the parse succeeded.
  bool decode(size_t value_bytes_max, std::string* value) {
    bool base64 = true;
    if (encoding_.given && !read_encoding(&base64)) return false;
    const size_t bytes = base64 ? base64_decoded_bytes(value_.text) : value_.text.size();
    if (bytes > value_bytes_max) {
      problem_ = too_large("the value", bytes, "max_value_size", value_bytes_max);
      return false;
    }
    if (base64 && !decode_base64(bytes)) return false;
    *value = std::move(value_.text);
    return true;
  }

  Problem& problem() noexcept { return problem_; }

 private:
  struct Member {
    bool given = false;
    size_t last_byte = 0;  // of its text, the closing quote
    std::string text;
  };

  size_t last_byte() const noexcept { return *taken_ - 1; }

  bool fail(size_t position, std::initializer_list<DetailPiece> cause) {
    problem_ = make_problem(ProblemKind::kInvalidBody, {"at byte ", position, " of the body: "});
    problem_.detail += make_problem(ProblemKind::kInvalidBody, cause).detail;
    return false;
  }

  bool wrong_type_at(size_t position) {
    if (!in_object_) return fail(position, {"the body must be a JSON object"});
    return fail(position, {"the member '", member_name_, "' must be a string"});
  }
  bool wrong_type() { return wrong_type_at(token_start(body_, last_byte())); }
  // The parser has looked one byte past a number, unless the body ended there.
  bool wrong_number() {
    const size_t last = last_byte();
    const bool looked_past = std::isdigit(static_cast<uint8_t>(body_[last])) == 0;
    return wrong_type_at(token_start(body_, looked_past ? last - 1 : last));
  }

  bool read_encoding(bool* base64) {
    *base64 = equals_ignoring_case(encoding_.text, "base64");
    if (*base64) return true;
    for (const char* name : {"utf-8", "utf8", "plain", "text"}) {
      if (equals_ignoring_case(encoding_.text, name)) return true;
    }
    return fail(token_start(body_, encoding_.last_byte),
                {"unknown encoding '", QuotedInput(encoding_.text).text(),
                 "': it must be base64 or utf-8"});
  }

  // In place: a value may be tens of megabytes.
  bool decode_base64(size_t bytes) {
    const auto error = base64_decode(value_.text, reinterpret_cast<std::byte*>(value_.text.data()));
    if (error) {
      const size_t start = token_start(body_, value_.last_byte);
      return fail(position_in_body(body_, start, error->position), {error->what});
    }
    value_.text.resize(bytes);
    return true;
  }

  const std::string_view body_;
  const size_t* const taken_;
  bool in_object_ = false;
  Member value_;
  Member encoding_;
  Member* member_ = nullptr;
  const char* member_name_ = "";
  Problem problem_;
};

std::optional<Problem> parse(std::string_view body, size_t value_bytes_max, std::string* value) {
  if (body.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    return make_problem(ProblemKind::kInvalidBody,
                        {"at byte 0 of the body: a byte-order mark, which JSON does not allow"});
  }
  size_t taken = 0;
  size_t end_taken = 0;
  EnvelopeEvents events(body, &taken);
  const CountingIterator first(body.data(), &taken);
  const CountingIterator last(body.data() + body.size(), &end_taken);
  if (!nlohmann::json::sax_parse(first, last, &events) || !events.decode(value_bytes_max, value)) {
    return std::move(events.problem());
  }
  return std::nullopt;
}

}  // namespace

std::optional<Problem> parse_put_envelope(std::string_view body, size_t value_bytes_max,
                                          std::string* value) noexcept {
  try {
    return parse(body, value_bytes_max, value);
  } catch (const std::exception&) {
    // The library throws nothing of its own here: errors come as events.
    return make_problem(ProblemKind::kOverloaded, {"the process is out of memory"});
  }
}

}  // namespace small_db
