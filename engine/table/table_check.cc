// Table::check(): every granule that is given out is accounted for exactly once.
//
// The newest trees, the garbage, the live roots, the reserve and the reserved records are disjoint,
// and together they are what the arena has given out. Older states reach nothing else.
#include <vector>

#include "engine/table/table.h"
#include "engine/table/tree_check.h"

namespace small_db {

class TableCheck {
 public:
  explicit TableCheck(const Table& table)
      : table_(table), accounted_(table.arena_.granules(), false) {}

  Status run() {
    SMALL_DB_RETURN_IF_ERROR(table_.arena_.check());
    SMALL_DB_RETURN_IF_ERROR(account_newest());
    SMALL_DB_RETURN_IF_ERROR(account_garbage());
    for (const BlockRef node : table_.memory_.reserve()) SMALL_DB_RETURN_IF_ERROR(account(node));
    for (const BlockRef record : table_.reserved_) SMALL_DB_RETURN_IF_ERROR(account(record));
    if (table_.change_) SMALL_DB_RETURN_IF_ERROR(account_change(*table_.change_));
    for (const Reclaimer::LiveRoot& root : table_.reclaimer_.roots()) {
      SMALL_DB_RETURN_IF_ERROR(account(root.ref));
    }
    for (const Reclaimer::LiveRoot& root : table_.reclaimer_.roots()) {
      SMALL_DB_RETURN_IF_ERROR(check_older(root));
    }
    for (uint64_t granule = 1; granule < accounted_.size(); ++granule) {
      if (accounted_[granule] != table_.arena_.is_given_out(granule)) {
        return {Code::kCorruption, "check: lost granule"};
      }
    }
    return Status::ok();
  }

 private:
  Status account_newest() {
    const auto visit = [this](BlockRef block) { return account(block); };
    return check_state(table_.trees_, table_.keys_, table_.data_bytes_, table_.content(), visit);
  }

  // Both trees, which must have the same records with an expiry.
  template <typename Visit>
  Status check_state(const Trees& trees, uint64_t keys, uint64_t data_bytes, const Hash128& content,
                     Visit visit) {
    TreeCheck by_key(table_.view_, visit);
    SMALL_DB_RETURN_IF_ERROR(by_key.run(trees.by_key));
    if (by_key.keys() != keys || by_key.data_bytes() != data_bytes || by_key.content() != content) {
      return {Code::kCorruption, "check: counts"};
    }
    TreeCheck by_expiry(table_.view_, visit);
    SMALL_DB_RETURN_IF_ERROR(by_expiry.run(trees.by_expiry));
    const bool same = by_key.expiring() == by_expiry.expiring();
    return same ? Status::ok() : Status(Code::kCorruption, "check: expiry");
  }

  Status account_garbage() {
    Status status;
    table_.reclaimer_.for_each_garbage([&](BlockRef block) {
      if (status.is_ok()) status = account(block);
    });
    return status;
  }

  // What an open change replaced, and the state before it.
  Status account_change(const Table::Change& change) {
    for (const BlockRef record : change.replaced) SMALL_DB_RETURN_IF_ERROR(account(record));
    const auto visit = [this](BlockRef block) { return require_accounted(block); };
    return check_state(change.trees, change.keys, change.data_bytes, change.content, visit);
  }

  Status check_older(const Reclaimer::LiveRoot& live) {
    const RootBlock* root = root_at(table_.view_, live.ref);
    if (root == nullptr || root->batch != live.batch) return {Code::kCorruption, "check: root"};
    const auto visit = [this](BlockRef block) { return require_accounted(block); };
    return check_state({root->root.by_key(), root->root.by_expiry()}, root->root.keys,
                       root->root.data_bytes, root->root.content, visit);
  }

  Status account(BlockRef block) {
    return for_each_part(block, [this](uint64_t granule) {
      if (accounted_[granule]) return false;
      accounted_[granule] = true;
      return true;
    });
  }

  Status require_accounted(BlockRef block) {
    return for_each_part(block, [this](uint64_t granule) { return accounted_[granule] == true; });
  }

  // Calls visit(granule) for each granule of the block and of its extents, if it has any.
  template <typename Visit>
  Status for_each_part(BlockRef block, Visit&& visit) {
    Status status = visit_granules(block, visit);
    if (!status.is_ok() || !block.has_extents()) return status;
    const Result<StoredRecord> record = read_stored_record(table_.view_, block);
    if (!record.is_ok()) return record.status();
    SMALL_DB_RETURN_IF_ERROR(record.value().value.for_each_extent([&](BlockRef extent) {
      if (status.is_ok()) status = visit_granules(extent, visit);
    }));
    return status;
  }

  template <typename Visit>
  Status visit_granules(BlockRef block, Visit&& visit) {
    if (table_.view_.at(block).empty()) return {Code::kCorruption, "check: reference"};
    for (uint64_t i = 0; i < block.granules(); ++i) {
      if (!visit(block.granule() + i)) return {Code::kCorruption, "check: granule twice"};
    }
    return Status::ok();
  }

  const Table& table_;
  std::vector<bool> accounted_;
};

Status Table::check() const { return TableCheck(*this).run(); }

}  // namespace small_db
