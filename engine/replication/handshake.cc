#include "engine/replication/handshake.h"

#include <algorithm>

namespace small_db {

namespace {

// The newest revision that both may hold, of a backup that holds one that is not from here. Never
// too high for a term that is known here: what lies above is what the backup saves.
uint64_t common_revision(const std::vector<Term>& terms, uint64_t revision,
                         const Hello& hello) noexcept {
  const auto shared = std::find_if(terms.begin(), terms.end(),
                                   [&](const Term& term) { return term.id == hello.term_id; });
  if (shared == terms.end()) {
    // Older than the whole list: whose it is can't be told any more. Otherwise of a writer that
    // this node has never heard of, and so is whatever was before it.
    const bool too_old = !terms.empty() && hello.revision <= terms.front().after_revision;
    return too_old ? std::min(hello.revision, revision) : 0;
  }
  if (hello.revision <= shared->after_revision) return 0;  // no history has both
  const auto next = shared + 1;
  const uint64_t end = next == terms.end() ? UINT64_MAX : next->after_revision;
  return std::min({hello.revision, end, revision});
}

}  // namespace

const char* verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kResume:
      return "resume";
    case Verdict::kBootstrap:
      return "bootstrap-needed";
    case Verdict::kDiverged:
      return "diverged";
    case Verdict::kOtherCluster:
      return "other-cluster";
    case Verdict::kFenced:
      return "fenced";
    case Verdict::kNotPrimary:
      return "not-primary";
  }
  return "unknown";
}

Judgement judge(const NodeIdentity& node, uint64_t revision, uint64_t oldest_revision,
                const Hello& hello) noexcept {
  const bool is_blank = hello.cluster_id == Uid{};
  if (!is_blank && hello.cluster_id != node.cluster_id) return {Verdict::kOtherCluster, 0};
  if (node.role != Role::kPrimary) return {Verdict::kNotPrimary, 0};
  if (hello.epoch > node.epoch) return {Verdict::kFenced, 0};
  if (is_blank) return {Verdict::kBootstrap, 0};
  const bool holds_nothing = hello.revision == 0 && hello.term_id == Uid{};
  if (!holds_nothing) {
    const Term* term = term_of(node.terms, hello.revision);
    const bool same_writers = term != nullptr && term->id == hello.term_id;
    if (!same_writers || hello.revision > revision) {
      return {Verdict::kDiverged, common_revision(node.terms, revision, hello)};
    }
  }
  if (hello.revision < oldest_revision) return {Verdict::kBootstrap, 0};
  return {Verdict::kResume, 0};
}

}  // namespace small_db
