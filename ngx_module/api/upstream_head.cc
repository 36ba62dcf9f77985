#include "ngx_module/api/upstream_head.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "ngx_module/api/header_text.h"

namespace small_db {
namespace {

constexpr size_t kEntityTagBytesMax = 256;
constexpr size_t kProblemBytesMax = 64;
constexpr size_t kDetailBytesMax = 512;
// Of the fields that make a node: cluster, node, epoch, role, history.
constexpr uint32_t kNodeFields = 0x1f;

constexpr const char* kFieldNames[] = {
    node_header::kCluster, node_header::kNode,   node_header::kEpoch,      node_header::kRole,
    node_header::kHistory, node_header::kCommon, node_header::kGeneration,
};

std::optional<uint64_t> parse_number(std::string_view text) noexcept {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

std::optional<Role> parse_role(std::string_view text) noexcept {
  for (const Role role : {Role::kPrimary, Role::kBackup, Role::kFenced}) {
    if (text == role_name(role)) return role;
  }
  return std::nullopt;
}

// The object's member, if it is a string.
std::string_view text_member(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  const auto* text = found->get_ptr<const std::string*>();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

}  // namespace

UpstreamHeadParser::Field UpstreamHeadParser::field_of(std::string_view name) noexcept {
  for (size_t i = 0; i < std::size(kFieldNames); ++i) {
    if (equals_ignoring_case(name, kFieldNames[i])) return static_cast<Field>(i);
  }
  return kNoField;
}

// "HTTP/1.1 200 OK": begins an answer. What came before it was interim.
void UpstreamHeadParser::begin(std::string_view status_line) {
  const size_t bytes = bytes_;
  *this = UpstreamHeadParser();
  bytes_ = bytes;
  const size_t space = status_line.find(' ');
  if (space == std::string_view::npos) return;
  const auto status = parse_number(status_line.substr(space + 1, 3));
  if (status) head_.status = static_cast<int>(*status);
}

bool UpstreamHeadParser::set_node_field(Field field, std::string_view value) {
  const auto set = [](const auto& parsed, auto* to) {
    if (parsed) *to = *parsed;
    return parsed.has_value();
  };
  switch (field) {
    case kCluster:
      return set(parse_uid(value), &node_.cluster_id);
    case kNode:
      return set(parse_uid(value), &node_.node_id);
    case kEpoch:
      return set(parse_number(value), &node_.epoch);
    case kRole:
      return set(parse_role(value), &node_.role);
    case kHistory:
      return set(parse_terms(value), &node_.terms);
    case kCommon:
      return set(parse_number(value), &head_.common_revision);
    case kGeneration:
      return set(parse_number(value), &head_.generation);
    case kNoField:
      break;
  }
  return true;
}

void UpstreamHeadParser::add_node_field(Field field, std::string_view value) {
  const uint32_t bit = uint32_t{1} << field;
  // nginx sends what add_header has added to a 416 twice.
  const bool is_repeated = (seen_ & bit) != 0 && values_[field] == value;
  if (is_repeated) return;
  if ((seen_ & bit) != 0 || !set_node_field(field, value)) malformed_ = true;
  seen_ |= bit;
  values_[field] = value;
}

// "bytes 10-99/100", the last number may be *.
void UpstreamHeadParser::add_content_range(std::string_view value) noexcept {
  constexpr std::string_view kUnit = "bytes ";
  head_.total_bytes.reset();
  first_byte_.reset();
  const size_t dash = value.find('-');
  const size_t slash = value.find('/');
  if (!value.starts_with(kUnit) || dash == std::string_view::npos ||
      slash == std::string_view::npos || slash < dash) {
    return;
  }
  first_byte_ = parse_number(value.substr(kUnit.size(), dash - kUnit.size()));
  head_.total_bytes = parse_number(value.substr(slash + 1));
}

bool UpstreamHeadParser::add_line(std::string_view line) {
  bytes_ += line.size();
  if (bytes_ > kBytesMax) return false;
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    begin(line);
    return true;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = without_spaces(line.substr(colon + 1));
  if (const Field field = field_of(name); field != kNoField) {
    add_node_field(field, value);
  } else if (equals_ignoring_case(name, "Content-Length")) {
    content_length_ = parse_number(value);
  } else if (equals_ignoring_case(name, "Content-Range")) {
    add_content_range(value);
  } else if (equals_ignoring_case(name, "ETag")) {
    head_.etag = is_strong_entity_tag(value) ? std::string(value) : std::string();
  }
  return true;
}

const char* UpstreamHeadParser::fault() const noexcept {
  if (malformed_) return "has a malformed Small-Db header";
  const uint32_t node = seen_ & kNodeFields;
  if (node == kNodeFields) return nullptr;
  return node == 0 ? "comes from no small-db node" : "lacks a Small-Db header";
}

UpstreamHead UpstreamHeadParser::take() {
  if (fault() == nullptr) head_.node = std::move(node_);
  if (malformed_) head_.common_revision = head_.generation = 0;
  if (head_.status == 200) head_.total_bytes = content_length_;
  if (head_.status != 200 && head_.status != 206) head_.total_bytes.reset();
  return std::move(head_);
}

bool is_strong_entity_tag(std::string_view text) noexcept {
  return text.size() >= 2 && text.size() <= kEntityTagBytesMax && text.front() == '"' &&
         text.back() == '"' && std::all_of(text.begin() + 1, text.end() - 1, [](char character) {
           const auto byte = static_cast<uint8_t>(character);
           return byte > 0x20 && byte < 0x7f && character != '"';
         });
}

std::string printable_text(std::string_view text, size_t bytes_max) {
  std::string result(text.substr(0, bytes_max));
  std::replace_if(
      result.begin(), result.end(),
      [](char character) { return character < 0x20 || character >= 0x7f; }, '?');
  return result;
}

void parse_problem(std::string_view body, UpstreamHead* head) {
  const nlohmann::json problem =
      nlohmann::json::parse(body, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!problem.is_object()) return;
  const std::string_view type = text_member(problem, "type");
  head->problem = printable_text(type.substr(type.find_last_of(":/") + 1), kProblemBytesMax);
  head->detail = printable_text(text_member(problem, "detail"), kDetailBytesMax);
}

}  // namespace small_db
