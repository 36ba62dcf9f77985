#include "ngx_module/api/query.h"

#include <algorithm>
#include <iterator>

#include "ngx_module/api/percent.h"

namespace small_db {
namespace {

struct ParameterRow {
  Parameter parameter;
  std::string_view name;
  bool is_flag;
};

constexpr ParameterRow kParameters[] = {
    {Parameter::kKey, "key", false},
    {Parameter::kRaw, "raw", true},
    {Parameter::kEncoding, "encoding", false},
    {Parameter::kTtl, "ttl", false},
    {Parameter::kExpiresAt, "expires_at", false},
    {Parameter::kIncr, "incr", false},
    {Parameter::kInit, "init", false},
    {Parameter::kPrefix, "prefix", false},
    {Parameter::kStart, "start", false},
    {Parameter::kEnd, "end", false},
    {Parameter::kLimit, "limit", false},
    {Parameter::kCursor, "cursor", false},
    {Parameter::kDelimiter, "delimiter", false},
    {Parameter::kValues, "values", true},
    {Parameter::kReverse, "reverse", true},
    {Parameter::kCount, "count", true},
    {Parameter::kAll, "all", true},
    {Parameter::kReplace, "replace", true},
    {Parameter::kFresh, "fresh", true},
    {Parameter::kFrom, "from", false},
    {Parameter::kCluster, "cluster", false},
    {Parameter::kNode, "node", false},
    {Parameter::kEpoch, "epoch", false},
    {Parameter::kTerm, "term", false},
    {Parameter::kReceived, "received", false},
    {Parameter::kFlushed, "flushed", false},
    {Parameter::kApplied, "applied", false},
};

constexpr bool rows_are_in_order() {
  for (size_t i = 0; i < std::size(kParameters); i++) {
    if (kParameters[i].parameter != static_cast<Parameter>(i)) return false;
  }
  return std::size(kParameters) <= 32;
}
static_assert(rows_are_in_order(), "a parameter is the index of its row, and a bit of a word");

const ParameterRow* row_of(std::string_view name) noexcept {
  const auto* row = std::find_if(std::begin(kParameters), std::end(kParameters),
                                 [&](const ParameterRow& each) { return each.name == name; });
  return row == std::end(kParameters) ? nullptr : row;
}

std::optional<Problem> decode_value(const ParameterRow& row, std::string_view text,
                                    std::string* value) {
  value->reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const DecodedByte decoded = decode_byte(text.substr(at));
    if (decoded.taken == 0) {
      return make_problem(ProblemKind::kInvalidQuery,
                          {"at byte ", at, " of the parameter '", row.name, "': ", kTwoDigits});
    }
    value->push_back(decoded.byte);
    at += decoded.taken;
  }
  return std::nullopt;
}

bool is_true(std::string_view value) noexcept {
  return value.empty() || value == "true" || value == "1";
}

bool is_false(std::string_view value) noexcept { return value == "false" || value == "0"; }

std::optional<Problem> parse_parameter(std::string_view parameter, Query* query) {
  const size_t equals = parameter.find('=');
  const std::string_view name = parameter.substr(0, equals);
  const ParameterRow* row = row_of(name);
  if (row == nullptr) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"unknown parameter '", QuotedInput(name).text(), "'"});
  }
  if (query->has(row->parameter)) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"the parameter '", row->name, "' is given twice"});
  }
  std::string value;
  if (equals != std::string_view::npos) {
    if (auto problem = decode_value(*row, parameter.substr(equals + 1), &value)) return problem;
  }
  if (row->is_flag && !is_true(value) && !is_false(value)) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"the parameter '", row->name,
                         "' is a flag: it takes no value, true or 1, false or 0, and not '",
                         QuotedInput(value).text(), "'"});
  }
  query->set(row->parameter, std::move(value));
  return std::nullopt;
}

// "key, raw, encoding", or "none".
std::string names_of(Parameters parameters) {
  std::string names;
  for (const ParameterRow& row : kParameters) {
    if (!parameters.has(row.parameter)) continue;
    if (!names.empty()) names += ", ";
    names += row.name;
  }
  return names.empty() ? "none" : names;
}

}  // namespace

const Query::Given* Query::find(Parameter parameter) const noexcept {
  const auto given = std::find_if(given_.begin(), given_.end(), [parameter](const Given& each) {
    return each.parameter == parameter;
  });
  return given == given_.end() ? nullptr : &*given;
}

std::string_view Query::text(Parameter parameter) const noexcept {
  const Given* given = find(parameter);
  return given == nullptr ? std::string_view() : std::string_view(given->value);
}

std::optional<std::string_view> Query::value(Parameter parameter) const noexcept {
  const Given* given = find(parameter);
  if (given == nullptr) return std::nullopt;
  return given->value;
}

bool Query::flag(Parameter parameter) const noexcept {
  const Given* given = find(parameter);
  return given != nullptr && is_true(given->value);
}

void Query::set(Parameter parameter, std::string value) {
  given_.push_back({parameter, std::move(value)});
}

std::optional<Problem> Query::check(Parameters known) const {
  for (const Given& given : given_) {
    if (known.has(given.parameter)) continue;
    const std::string names = names_of(known);
    return make_problem(
        ProblemKind::kInvalidQuery,
        {"the parameter '", parameter_name(given.parameter),
         "' means nothing to this request; the ones it takes: ", std::string_view(names)});
  }
  return std::nullopt;
}

std::string_view parameter_name(Parameter parameter) noexcept {
  return kParameters[static_cast<size_t>(parameter)].name;
}

std::optional<Problem> parse_query(std::string_view args, Query* query) {
  if (args.empty()) return std::nullopt;
  for (;;) {
    const size_t end = args.find('&');
    if (auto problem = parse_parameter(args.substr(0, end), query)) return problem;
    if (end == std::string_view::npos) return std::nullopt;
    args.remove_prefix(end + 1);
  }
}

}  // namespace small_db
