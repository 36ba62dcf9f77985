#include "ngx_module/api/operation.h"

#include <iterator>

namespace small_db {
namespace {

constexpr const char* kString = "a string";
constexpr const char* kTime = "a whole number of seconds or a string";

enum OperationMember : size_t { kOp, kKey, kKeyEncoding, kValue, kEncoding, kTtl, kExpiresAt };
constexpr MemberRule kOperationMembers[] = {
    {"op", kJsonString, kString},
    {"key", kJsonString, kString},
    {"key_encoding", kJsonString, kString},
    {"value", kJsonString, kString},
    {"encoding", kJsonString, kString},
    {"ttl", kJsonInteger | kJsonString, kTime},
    {"expires_at", kJsonInteger | kJsonString, kTime},
};

enum ComparisonMember : size_t {
  kOfKey,
  kOfKeyEncoding,
  kRevision,
  kExists,
  kOfValue,
  kOfEncoding
};
constexpr MemberRule kComparisonMembers[] = {
    {"key", kJsonString, kString},
    {"key_encoding", kJsonString, kString},
    {"revision", kJsonInteger, "a whole number within 64 bits"},
    {"exists", kJsonBoolean, "true or false"},
    {"value", kJsonString, kString},
    {"encoding", kJsonString, kString},
};

const char* name_of(OperationKind kind) noexcept {
  switch (kind) {
    case OperationKind::kPut:
      return "put";
    case OperationKind::kDelete:
      return "delete";
    case OperationKind::kGet:
      break;
  }
  return "get";
}

bool may_have(OperationKind kind, size_t member) noexcept {
  if (member == kOp || member == kKey || member == kKeyEncoding) return true;
  if (kind == OperationKind::kGet) return member == kEncoding;
  return kind == OperationKind::kPut;
}

}  // namespace

OperationParser::OperationParser(const OperationLimits& limits)
    : limits_(limits), operation_(kOperationMembers), comparison_(kComparisonMembers) {}

std::optional<JsonFault> OperationParser::parse_line(std::string_view text, Operation* operation) {
  if (auto fault = operation_.parse(text, "the line")) return fault;
  if (auto fault = read_kind(true, &operation->kind)) return fault;
  return read_operation(operation);
}

std::optional<JsonFault> OperationParser::parse_operation(std::string_view text,
                                                          Operation* operation) {
  if (auto fault = operation_.parse(text, "the operation")) return fault;
  if (auto fault = read_kind(false, &operation->kind)) return fault;
  return read_operation(operation);
}

std::optional<JsonFault> OperationParser::read_kind(bool is_line, OperationKind* kind) const {
  const Member& op = operation_[kOp];
  *kind = OperationKind::kPut;
  if (!op.is_given()) {
    if (is_line) return std::nullopt;
    return operation_.fault_at_end({"the member 'op' is missing"});
  }
  for (const OperationKind each :
       {OperationKind::kPut, OperationKind::kDelete, OperationKind::kGet}) {
    if (op.text != name_of(each) || (is_line && each == OperationKind::kGet)) continue;
    *kind = each;
    return std::nullopt;
  }
  return operation_.fault_at(op, {"unknown op '", QuotedInput(op.text).text(), "': it must be ",
                                  is_line ? "put or delete" : "put, delete or get"});
}

std::optional<JsonFault> OperationParser::check_members(OperationKind kind) const {
  for (size_t member = 0; member < std::size(kOperationMembers); member++) {
    if (!operation_[member].is_given() || may_have(kind, member)) continue;
    return operation_.fault_at(operation_[member], {"a ", name_of(kind), " has no member '",
                                                    kOperationMembers[member].name, "'"});
  }
  if (!operation_[kKey].is_given()) {
    return operation_.fault_at_end({"the member 'key' is missing"});
  }
  if (kind == OperationKind::kPut && !operation_[kValue].is_given()) {
    return operation_.fault_at_end({"the member 'value' is missing"});
  }
  return std::nullopt;
}

std::optional<JsonFault> OperationParser::read_operation(Operation* operation) {
  if (auto fault = check_members(operation->kind)) return fault;
  if (auto fault = decode_key(operation_, operation_[kKey], operation_[kKeyEncoding],
                              limits_.key_bytes_max, &operation->key)) {
    return fault;
  }
  operation->value.clear();
  operation->expires_at_ms = 0;
  if (operation->kind == OperationKind::kGet) {
    bool is_base64 = true;
    auto fault = read_encoding(operation_, operation_[kEncoding], true, &is_base64);
    operation->wants_text = !is_base64;
    return fault;
  }
  if (operation->kind == OperationKind::kDelete) return std::nullopt;
  Expiry expiry;
  if (auto fault = read_expiry(operation_, operation_[kTtl], operation_[kExpiresAt], limits_.now_ms,
                               &expiry)) {
    return fault;
  }
  operation->expires_at_ms = expiry.expires_at_ms;
  return decode_value(operation_, operation_[kValue], operation_[kEncoding],
                      limits_.value_bytes_max, &operation->value);
}

std::optional<JsonFault> OperationParser::parse_comparison(std::string_view text,
                                                           Comparison* comparison) {
  if (auto fault = comparison_.parse(text, "the comparison")) return fault;
  if (!comparison_[kOfKey].is_given()) {
    return comparison_.fault_at_end({"the member 'key' is missing"});
  }
  const int given = comparison_[kRevision].is_given() + comparison_[kExists].is_given() +
                    comparison_[kOfValue].is_given();
  if (given != 1) {
    return comparison_.fault_at_end(
        {"a comparison has one of the members 'revision', 'exists' and 'value'"});
  }
  if (comparison_[kOfEncoding].is_given() && !comparison_[kOfValue].is_given()) {
    return comparison_.fault_at(comparison_[kOfEncoding], {"'encoding' needs a 'value'"});
  }
  if (auto fault = decode_key(comparison_, comparison_[kOfKey], comparison_[kOfKeyEncoding],
                              limits_.key_bytes_max, &comparison->key)) {
    return fault;
  }
  comparison->value.clear();
  if (comparison_[kOfValue].is_given()) {
    comparison->kind = ComparisonKind::kValue;
    return decode_value(comparison_, comparison_[kOfValue], comparison_[kOfEncoding],
                        limits_.value_bytes_max, &comparison->value);
  }
  comparison->exists = comparison_[kExists].is_true;
  comparison->kind =
      comparison_[kExists].is_given() ? ComparisonKind::kExists : ComparisonKind::kRevision;
  if (comparison_[kRevision].number < 0) {
    return comparison_.fault_at(comparison_[kRevision], {"a revision is never negative"});
  }
  comparison->revision = static_cast<uint64_t>(comparison_[kRevision].number);
  return std::nullopt;
}

}  // namespace small_db
