#include "ngx_module/api/follower_request.h"

#include <charconv>

namespace small_db {
namespace {

Problem malformed(Parameter parameter, std::string_view what, std::string_view value) noexcept {
  return make_problem(ProblemKind::kInvalidQuery,
                      {"the parameter '", parameter_name(parameter), "' must be ", what,
                       ", and not '", QuotedInput(value).text(), "'"});
}

Problem missing(Parameter parameter) noexcept {
  return make_problem(ProblemKind::kInvalidQuery,
                      {"the parameter '", parameter_name(parameter), "' is missing"});
}

std::optional<Problem> read_uid(const Query& query, Parameter parameter, Uid* uid) noexcept {
  const auto text = query.value(parameter);
  if (!text) return missing(parameter);
  const std::optional<Uid> parsed = parse_uid(*text);
  if (!parsed) return malformed(parameter, "32 lower-case hexadecimal digits", *text);
  *uid = *parsed;
  return std::nullopt;
}

std::optional<Problem> read_number(const Query& query, Parameter parameter,
                                   uint64_t* number) noexcept {
  const auto text = query.value(parameter);
  if (!text) return missing(parameter);
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, *number);
  if (error != std::errc() || stop != end) {
    return malformed(parameter, "a whole number of 64 bits", *text);
  }
  return std::nullopt;
}

// Far more than there will be promotions: one who says more would leave no epoch to be promoted to.
constexpr uint64_t kEpochMax = uint64_t{1} << 40;

std::optional<Problem> read_epoch(const Query& query, uint64_t* epoch) noexcept {
  if (auto problem = read_number(query, Parameter::kEpoch, epoch)) return problem;
  if (*epoch <= kEpochMax) return std::nullopt;
  return malformed(Parameter::kEpoch, "an epoch, at most 2^40", *query.value(Parameter::kEpoch));
}

ProblemKind kind_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kBootstrap:
      return ProblemKind::kBootstrapNeeded;
    case Verdict::kOtherCluster:
      return ProblemKind::kOtherCluster;
    case Verdict::kFenced:
      return ProblemKind::kFenced;
    case Verdict::kNotPrimary:
      return ProblemKind::kNotPrimary;
    case Verdict::kDiverged:
    case Verdict::kResume:
      break;
  }
  return ProblemKind::kDiverged;
}

}  // namespace

std::optional<Problem> read_node(const Query& query, Uid* node_id) noexcept {
  if (auto problem = read_uid(query, Parameter::kNode, node_id)) return problem;
  if (*node_id == Uid{}) return malformed(Parameter::kNode, "a node's id", "0…");
  return std::nullopt;
}

std::optional<Problem> read_hello(const Query& query, Hello* hello) noexcept {
  if (auto problem = read_node(query, &hello->node_id)) return problem;
  if (auto problem = read_uid(query, Parameter::kCluster, &hello->cluster_id)) return problem;
  if (auto problem = read_epoch(query, &hello->epoch)) return problem;
  if (auto problem = read_number(query, Parameter::kFrom, &hello->revision)) return problem;
  return read_uid(query, Parameter::kTerm, &hello->term_id);
}

std::optional<Problem> read_ack(const Query& query, AckReport* report) noexcept {
  FollowerProgress& progress = report->progress;
  if (auto problem = read_uid(query, Parameter::kCluster, &report->cluster_id)) return problem;
  if (auto problem = read_node(query, &report->node_id)) return problem;
  if (auto problem = read_epoch(query, &report->epoch)) return problem;
  if (auto problem = read_number(query, Parameter::kReceived, &progress.received)) return problem;
  if (auto problem = read_number(query, Parameter::kFlushed, &progress.flushed)) return problem;
  if (auto problem = read_number(query, Parameter::kApplied, &progress.applied)) return problem;
  if (progress.flushed <= progress.received && progress.applied <= progress.flushed) {
    return std::nullopt;
  }
  return make_problem(ProblemKind::kInvalidQuery,
                      {"'received', 'flushed' and 'applied' must not ascend"});
}

Problem not_primary_problem(Role role) noexcept {
  Problem problem = make_problem(ProblemKind::kNotPrimary, {"its role is ", role_name(role)});
  problem.status = 409;
  return problem;
}

Problem verdict_problem(const Judgement& judgement, const NodeIdentity& node, const Hello& hello) {
  const ProblemKind kind = kind_of(judgement.verdict);
  switch (judgement.verdict) {
    case Verdict::kBootstrap:
      if (hello.cluster_id == Uid{}) {
        return make_problem(kind, {"the follower belongs to no cluster yet"});
      }
      return make_problem(kind,
                          {"the log behind revision ", hello.revision, " is not here any more"});
    case Verdict::kDiverged:
      return make_problem(kind, {"the follower's revision ", hello.revision,
                                 " is not of this node's history; common may be all up to ",
                                 judgement.common_revision});
    case Verdict::kOtherCluster:
      return make_problem(kind, {"this node's is ", std::string_view(encode_uid(node.cluster_id))});
    case Verdict::kFenced:
      return make_problem(
          kind, {"epoch ", hello.epoch, " was heard of, and this node's is ", node.epoch});
    case Verdict::kNotPrimary:
    case Verdict::kResume:
      break;
  }
  return not_primary_problem(node.role);
}

std::optional<Problem> ack_problem(const NodeIdentity& node, const AckReport& report) noexcept {
  const uint64_t epoch = report.epoch;
  if (report.cluster_id != node.cluster_id) {
    return make_problem(ProblemKind::kOtherCluster, {"the report is of another cluster's node"});
  }

  if (node.role == Role::kBackup) return not_primary_problem(node.role);
  if (epoch > node.epoch) {
    return make_problem(ProblemKind::kFenced,
                        {"epoch ", epoch, " was heard of, and this node's is ", node.epoch});
  }
  if (node.role != Role::kPrimary) return not_primary_problem(node.role);
  if (epoch < node.epoch) {
    return make_problem(ProblemKind::kStaleEpoch,
                        {"the report is of epoch ", epoch, ", and this node's is ", node.epoch});
  }
  return std::nullopt;
}

}  // namespace small_db
