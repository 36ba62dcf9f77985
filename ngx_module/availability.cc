#include "ngx_module/availability.h"

#include <new>
#include <string>

#include "engine/record/write_set.h"
#include "ngx_module/api/replication_figures.h"
#include "ngx_module/api/response_body.h"
#include "ngx_module/nginx.h"

namespace small_db {
namespace {

// "the store is loading, 42 % done", "the store is refused: checkpoint.3: …".
std::string state_detail(const Region& region) {
  const StoreState state = region.told_state();
  std::string detail = std::string("the store is ") + state_name(state);
  if (state == StoreState::kLoading) {
    const uint32_t permille = region.header().progress_permille.load(std::memory_order_relaxed);
    detail += ", " + std::to_string(permille / 10) + " % done";
  }
  if (state == StoreState::kHandedOver) {
    detail += ": its directory has another owner, or nginx is about to end; nothing was changed";
  }
  const std::string reason = region.reason();
  if (!reason.empty() && state != StoreState::kServing) detail += ": " + reason;
  return detail;
}

std::string memory_detail(const Region& region) {
  const RegionHeader& header = region.header();
  const uint64_t used = header.arena_used_bytes.load(std::memory_order_relaxed);
  return "no room for the value: " + std::to_string(used) + " bytes of " +
         std::to_string(header.arena_bytes) + " are in use; the limit is the directive memory";
}

// Where writes go instead.
std::string role_detail(const Region& region) {
  const ReplicationState& state = region.replication();
  const std::string primary = state.primary_name.get();
  const auto role = static_cast<Role>(state.role.load(std::memory_order_relaxed));
  if (role == Role::kBackup) {
    return "this node is a backup" + (primary.empty() ? "" : ": the primary is " + primary);
  }
  return "this node was fenced: a later primary has been heard of, of epoch " +
         std::to_string(state.heard_epoch.load(std::memory_order_relaxed));
}

std::string detail_of(const Region& region, Code code) {
  switch (code) {
    case Code::kNotPrimary:
      return role_detail(region);
    case Code::kNotReplicated:
      return "fewer backups answer than writes wait for; nothing was changed";
    case Code::kUnavailable:
    case Code::kReadOnly:
      return state_detail(region);
    case Code::kNoMemory:
      return memory_detail(region);
    case Code::kNoDiskSpace:
      return "no space for the log in the store's directory; nothing was changed";
    case Code::kOverloaded:
      return "too many requests wait for the disk; nothing was changed";
    case Code::kNotFound:
      return {};
    case Code::kNotANumber:
      return "the key's value is no decimal number of 64 bits; nothing was changed";
    case Code::kOutOfRange:
      return "the counter would leave the range of 64 bits; nothing was changed";
    case Code::kTooLarge:
      return "what would be written at once does not fit one frame of the log, which has at most " +
             std::to_string(kWriteSetBytesMax) + " bytes; nothing was changed";
    case Code::kOutcomeUnknown:
      return "the write was submitted, and may be durable or not";
    default:
      return code_name(code);
  }
}

std::string checkpoint_detail_of(const Region& region, Code code) {
  switch (code) {
    case Code::kUnavailable:
    case Code::kReadOnly:
      return state_detail(region);
    case Code::kNoDiskSpace:
      return "no space for the checkpoint in the store's directory; the one before stays in force";
    case Code::kOverloaded:
      return "too many requests wait for the store; ask again";
    case Code::kOutcomeUnknown:
      return "its end was not seen here: storage was replaced, or it takes very long; ask again";
    default:
      return std::string(code_name(code)) +
             "; the one before stays in force; nginx's error log says what happened";
  }
}

}  // namespace

std::optional<Problem> why_no_reads(const Region& region) noexcept {
  const StoreState state = region.told_state();
  if (state == StoreState::kServing || state == StoreState::kReadOnly) return std::nullopt;
  // A worker that drains reads on from what the last owner left. One that is to stay waits for the
  // next owner: somebody else may have written meanwhile.
  if (state == StoreState::kHandedOver && ngx_exiting != 0 &&
      region.header().published_root.load(std::memory_order_acquire) != 0) {
    return std::nullopt;
  }
  return refusal(region, Code::kUnavailable);
}

bool is_set_aside(const Region& region) noexcept {
  return told_role(region.replication()) != Role::kPrimary;
}

std::optional<Problem> why_no_writes(const Region& region) noexcept {
  const StoreState state = region.told_state();
  if (state == StoreState::kServing) {
    if (is_set_aside(region)) return refusal(region, Code::kNotPrimary);
    return std::nullopt;
  }
  return refusal(region, state == StoreState::kReadOnly ? Code::kReadOnly : Code::kUnavailable);
}

Problem refusal(const Region& region, Code code) noexcept {
  try {
    return problem_of(code, detail_of(region, code));
  } catch (const std::bad_alloc&) {
    return problem_of(code, {});
  }
}

Problem promotion_refusal(const Region& region, Code code) noexcept {
  Problem problem = refusal(region, code);
  if (code == Code::kOutcomeUnknown) {
    problem.title = "This node may be the primary or not";
    problem.detail.clear();
  }
  return problem;
}

Problem checkpoint_refusal(const Region& region, Code code) noexcept {
  if (code == Code::kNotPrimary) return refusal(region, code);
  try {
    return checkpoint_problem(code, checkpoint_detail_of(region, code));
  } catch (const std::bad_alloc&) {
    return checkpoint_problem(code, {});
  }
}

}  // namespace small_db
