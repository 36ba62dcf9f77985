#include "ngx_module/api/representation.h"

#include "ngx_module/api/header_text.h"

namespace small_db {

std::optional<ValueEncoding> value_encoding_named(std::string_view name) noexcept {
  if (equals_ignoring_case(name, "base64")) return ValueEncoding::kBase64;
  for (const char* text : {"utf-8", "utf8", "plain", "text"}) {
    if (equals_ignoring_case(name, text)) return ValueEncoding::kUtf8;
  }
  return std::nullopt;
}

std::optional<Problem> choose_encoding(const Query& query, ValueEncoding* encoding) noexcept {
  *encoding = ValueEncoding::kBase64;
  const std::optional<std::string_view> name = query.value(Parameter::kEncoding);
  if (!name) return std::nullopt;
  const std::optional<ValueEncoding> known = value_encoding_named(*name);
  if (!known) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"the parameter 'encoding' must be base64 or utf-8, and not '",
                         QuotedInput(*name).text(), "'"});
  }
  *encoding = *known;
  return std::nullopt;
}

std::optional<Problem> choose_representation(const Query& query, const Accept& accept,
                                             Representation* choice) noexcept {
  ValueEncoding encoding = ValueEncoding::kBase64;
  if (auto problem = choose_encoding(query, &encoding)) return problem;
  const bool has_encoding = query.has(Parameter::kEncoding);
  if (query.flag(Parameter::kRaw)) {
    *choice = Representation::kBytes;
    if (!has_encoding) return std::nullopt;
    return make_problem(ProblemKind::kInvalidQuery,
                        {"the parameters 'raw' and 'encoding' contradict each other"});
  }
  *choice = encoding == ValueEncoding::kUtf8 ? Representation::kUtf8 : Representation::kBase64;
  const bool is_told = has_encoding || query.has(Parameter::kRaw);
  if (!is_told && accept.prefers_bytes()) *choice = Representation::kBytes;
  return std::nullopt;
}

}  // namespace small_db
