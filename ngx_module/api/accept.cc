#include "ngx_module/api/accept.h"

#include <optional>

#include "ngx_module/api/header_text.h"

namespace small_db {
namespace {

constexpr uint32_t kFullPermille = 1000;
constexpr std::string_view kType = "application/";

// "0", "0.25", "1.000" as thousandths. Nothing when it is not a quality (section 12.4.2).
std::optional<uint32_t> parse_quality(std::string_view text) noexcept {
  constexpr size_t kLongest = sizeof("0.999") - 1;
  if (text.empty() || text.size() > kLongest || (text[0] != '0' && text[0] != '1')) {
    return std::nullopt;
  }
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  uint32_t permille = text[0] == '1' ? kFullPermille : 0;
  uint32_t unit = kFullPermille / 10;
  for (size_t i = 2; i < text.size(); i++, unit /= 10) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    permille += static_cast<uint32_t>(text[i] - '0') * unit;
  }
  if (permille > kFullPermille) return std::nullopt;
  return permille;
}

// The quality among a range's parameters; 1 when there is none. Nothing when it can't be read.
std::optional<uint32_t> quality_of(std::string_view parameters) noexcept {
  while (!parameters.empty()) {
    const std::string_view parameter = before_separator(parameters, ';');
    parameters.remove_prefix(parameter.size() + (parameter.size() < parameters.size() ? 1 : 0));
    const std::string_view text = without_spaces(parameter);
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    if (equals_ignoring_case(text.substr(0, equals), "q")) {
      return parse_quality(text.substr(equals + 1));
    }
  }
  return kFullPermille;
}

}  // namespace

void Accept::add(std::string_view field) noexcept {
  if (field == "*/*") return add_anything();  // what curl sends
  while (!field.empty()) {
    const std::string_view element = before_separator(field, ',');
    field.remove_prefix(element.size() + (element.size() < field.size() ? 1 : 0));
    add_range(without_spaces(element));
  }
}

void Accept::add_anything() noexcept {
  for (Preference* preference : {&bytes_, &json_}) {
    if (preference->specificity <= 1) *preference = {1, kFullPermille};
  }
}

void Accept::apply(std::string_view range, uint32_t permille, std::string_view subtype,
                   Preference* preference) noexcept {
  uint32_t specificity = 0;
  if (range == "*/*") specificity = 1;
  if (equals_ignoring_case(range.substr(0, kType.size()), kType)) {
    const std::string_view rest = range.substr(kType.size());
    if (rest == "*") specificity = 2;
    if (equals_ignoring_case(rest, subtype)) specificity = 3;
  }
  if (specificity == 0 || specificity < preference->specificity) return;
  if (specificity == preference->specificity && permille <= preference->permille) return;
  *preference = {specificity, permille};
}

void Accept::add_range(std::string_view element) noexcept {
  const std::string_view range = before_separator(element, ';');
  const std::string_view parameters =
      range.size() < element.size() ? element.substr(range.size() + 1) : std::string_view();
  const std::optional<uint32_t> permille = quality_of(parameters);
  if (!permille) return;
  apply(without_spaces(range), *permille, "octet-stream", &bytes_);
  apply(without_spaces(range), *permille, "json", &json_);
}

}  // namespace small_db
