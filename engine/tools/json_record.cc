#include "engine/tools/json_record.h"

#include <exception>
#include <nlohmann/json.hpp>

#include "ngx_module/api/base64.h"
#include "ngx_module/api/json_text.h"
#include "ngx_module/api/utf8.h"

namespace small_db::tools {

namespace {

// Receives the parser's events: one flat object of strings and numbers.
class LineEvents {
 public:
  bool null() { return wrong_type(); }
  bool boolean(bool) { return wrong_type(); }
  bool number_integer(nlohmann::json::number_integer_t) { return wrong_type(); }
  bool number_float(nlohmann::json::number_float_t, const std::string&) { return wrong_type(); }
  bool binary(nlohmann::json::binary_t&) { return wrong_type(); }
  bool start_array(size_t) { return wrong_type(); }
  bool end_array() { return wrong_type(); }
  bool end_object() { return true; }

  bool start_object(size_t) {
    if (in_object_) return wrong_type();
    in_object_ = true;
    return true;
  }

  bool number_unsigned(nlohmann::json::number_unsigned_t number) {
    if (number_ == nullptr) return wrong_type();
    *number_ = number;
    return true;
  }

  bool key(std::string& name) {
    text_ = nullptr;
    number_ = nullptr;
    member_ = name;
    if (name == "key") return expect(key_, &text_);
    if (name == "value") return expect(value_, &text_);
    if (name == "key_encoding") return expect(key_encoding_, &text_);
    if (name == "encoding") return expect(encoding_, &text_);
    if (name == "revision") return expect(revision_, &number_);
    if (name == "expires_at_ms") return expect(expires_at_ms_, &number_);
    return fail("unknown member '" + name + "'");
  }

  bool string(std::string& text) {
    if (text_ == nullptr) return wrong_type();
    *text_ = std::move(text);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const std::exception&) {
    return fail("no valid JSON at byte " + std::to_string(position));
  }

  // REQUIRES: the parse succeeded.
  bool decode(ParsedRecord* record) {
    if (!key_ || !value_) return fail(std::string("no member '") + (key_ ? "value" : "key") + "'");
    if (!decode_text("key", key_encoding_.value_or("utf-8"), *key_)) return false;
    if (!decode_text("value", encoding_.value_or("base64"), *value_)) return false;
    if (key_->empty() || key_->size() > kKeyBytesMax) {
      return fail("a key of " + std::to_string(key_->size()) + " bytes; 1 to " +
                  std::to_string(kKeyBytesMax) + " are possible");
    }
    if (value_->size() > kValueBytesMax) return fail("a value of more than 64 MiB");
    // The highest is kept free: the next revision must exist.
    if (revision_ && (*revision_ == 0 || *revision_ >= UINT64_MAX / 2)) {
      return fail("a revision out of range");
    }
    record->key = std::move(*key_);
    record->value = std::move(*value_);
    record->revision = revision_;
    record->expires_at_ms = expires_at_ms_.value_or(0);
    return true;
  }

  const std::string& problem() const { return problem_; }

 private:
  template <typename T>
  bool expect(std::optional<T>& member, T** target) {
    if (member) return fail("a second member '" + member_ + "'");
    *target = &member.emplace();
    return true;
  }

  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }
  bool wrong_type() {
    return fail(in_object_ ? "the member '" + member_ + "' has the wrong type"
                           : std::string("a line must be a JSON object"));
  }

  bool decode_text(const char* name, const std::string& encoding, std::string& text) {
    if (encoding == "utf-8") return true;
    if (encoding != "base64") return fail("an encoding is neither base64 nor utf-8");
    const size_t bytes = base64_decoded_bytes(text);
    const auto error = base64_decode(text, reinterpret_cast<std::byte*>(text.data()));
    if (error) return fail(std::string("in the ") + name + ": " + error->what);
    text.resize(bytes);
    return true;
  }

  bool in_object_ = false;
  std::string member_;
  std::string* text_ = nullptr;
  uint64_t* number_ = nullptr;
  std::optional<std::string> key_;
  std::optional<std::string> value_;
  std::optional<std::string> key_encoding_;
  std::optional<std::string> encoding_;
  std::optional<uint64_t> revision_;
  std::optional<uint64_t> expires_at_ms_;
  std::string problem_;
};

}  // namespace

bool append_json_string(Bytes text, std::string& to) {
  const bool is_text = is_utf8(text);
  const size_t at = to.size() + 1;
  to += '"';
  to.resize(at + (is_text ? json_escaped_bytes(as_text(text)) : base64_encoded_bytes(text.size())));
  if (is_text) {
    write_json_escaped(as_text(text), to.data() + at);
  } else {
    Base64Encoder encoder(to.data() + at);
    encoder.add(text);
    encoder.finish();
  }
  to += '"';
  return is_text;
}

void append_record_line(const RecordView& record, std::string& to) {
  to += "{\"key\":";
  if (!append_json_string(record.key, to)) to += ",\"key_encoding\":\"base64\"";
  to += ",\"value\":";
  const bool is_text = append_json_string(record.value, to);
  to += is_text ? ",\"encoding\":\"utf-8\"" : ",\"encoding\":\"base64\"";
  to += ",\"revision\":" + std::to_string(record.revision);
  if (record.expires_at_ms != 0) {
    to += ",\"expires_at_ms\":" + std::to_string(record.expires_at_ms);
  }
  to += "}\n";
}

std::string parse_record_line(std::string_view line, ParsedRecord* record) {
  LineEvents events;
  const bool parsed =
      nlohmann::json::sax_parse(line.begin(), line.end(), &events) && events.decode(record);
  return parsed ? std::string() : events.problem();
}

}  // namespace small_db::tools
