#include "ngx_module/api/conditions.h"

namespace small_db {
namespace {

std::vector<uint64_t> revisions_of(const EntityTags& tags, bool with_weak) {
  std::vector<uint64_t> revisions;
  for (const EntityTag& tag : tags.tags) {
    if (tag.revision != 0 && (with_weak || !tag.is_weak)) revisions.push_back(tag.revision);
  }
  return revisions;
}

}  // namespace

std::optional<Problem> parse_conditions(std::optional<std::string_view> if_match,
                                        std::optional<std::string_view> if_none_match,
                                        Conditions* conditions) {
  if (if_match) {
    conditions->if_match.emplace();
    if (auto problem = parse_entity_tags("If-Match", *if_match, &*conditions->if_match)) {
      return problem;
    }
  }
  if (!if_none_match) return std::nullopt;
  conditions->if_none_match.emplace();
  return parse_entity_tags("If-None-Match", *if_none_match, &*conditions->if_none_match);
}

void add_guards(const Conditions& conditions, Bytes key, WriteSetBuilder* set) {
  if (conditions.if_match) {
    if (conditions.if_match->is_any) {
      set->guard(GuardKind::kPresent, key);
    } else {
      set->guard(GuardKind::kRevisionIn, key, revisions_of(*conditions.if_match, false));
    }
  }
  if (conditions.if_none_match) {
    if (conditions.if_none_match->is_any) {
      set->guard(GuardKind::kAbsent, key);
    } else {
      set->guard(GuardKind::kRevisionNotIn, key, revisions_of(*conditions.if_none_match, true));
    }
  }
}

Problem condition_problem(const Conditions& conditions, uint64_t revision) noexcept {
  const bool is_match = conditions.if_match && !conditions.if_match->match_strongly(revision);
  const char* name = is_match ? "If-Match" : "If-None-Match";
  const char* weak = is_match && conditions.if_match->has_weak()
                         ? "; a weak tag (W/) never matches in If-Match"
                         : "";
  if (revision == 0) {
    return make_problem(ProblemKind::kConditionFailed,
                        {name, " does not hold: the key is absent", weak});
  }
  return make_problem(ProblemKind::kConditionFailed,
                      {name, " does not hold: the key's ETag is \"", revision, "\"", weak});
}

}  // namespace small_db
