// Changes that are kept or undone as a whole, see table.h. While one is open, all that was there
// before it stays as it is: nodes are copied even if the open batch made them, see reclaimer.h. To
// undo it is to free what was born in it, and to go on from the trees that were before.
#include <algorithm>
#include <utility>

#include "engine/table/table.h"

namespace small_db {
namespace {

// Frees the nodes and separators that were born in the open change. Each of them hangs below nodes
// that were born in it too: so nothing below an older one is looked at.
class Removal {
 public:
  Removal(ArenaView view, const Reclaimer& reclaimer, RecordWriter& blocks) noexcept
      : view_(view), reclaimer_(reclaimer), blocks_(blocks) {}

  void run(const Tree& tree) {
    if (tree.height != 0) remove(tree.root, tree.height - 1, tree.order == TreeOrder::kKey);
  }

  // The change's records in the tree by key.
  std::vector<BlockRef>& records() noexcept { return records_; }

 private:
  void remove(BlockRef ref, uint32_t level, bool owns_records) {
    const Node* node = node_at(view_, ref, level);
    if (node == nullptr || !reclaimer_.is_own(node->birth)) return;
    for (uint32_t i = 0; i < node->count; ++i) {
      const BlockRef holder = node->holder(i);
      if (view_.at(holder).empty()) continue;  // damaged
      if (!node->is_leaf()) {
        if (reclaimer_.is_own(separator_birth(view_.at(holder)))) blocks_.free(holder);
      } else if (owns_records && reclaimer_.is_own(reclaimer_.birth_of_record(holder))) {
        records_.push_back(holder);
      }
    }
    for (uint32_t i = 0; !node->is_leaf() && i <= node->count; ++i) {
      remove(node->child(i), level - 1, owns_records);
    }
    blocks_.free(ref);
  }

  ArenaView view_;
  const Reclaimer& reclaimer_;
  RecordWriter& blocks_;
  std::vector<BlockRef> records_;
};

}  // namespace

void Table::begin_change(uint64_t revision) {
  SMALL_DB_ASSERT(batch_is_open_ && !change_ && !loading_ && revision > revision_max_);
  change_.emplace(
      Change{revision, trees_, keys_, data_bytes_, content_.settled(), revision_max_, {}, {}});
  reclaimer_.begin_change(revision);
}

void Table::keep_change() {
  SMALL_DB_ASSERT(change_);
  content_.settle();  // what the change let go of is freed
  reclaimer_.keep_change();
  for (const BlockRef record : change_->replaced) records_.free(record);
  change_.reset();
}

void Table::undo_change() {
  SMALL_DB_ASSERT(change_);
  Removal removal(view_, reclaimer_, records_);
  removal.run(trees_.by_expiry);
  removal.run(trees_.by_key);
  std::vector<BlockRef>& records = removal.records();
  records.insert(records.end(), change_->replaced.begin(), change_->replaced.end());
  free_or_reserve(records, std::move(change_->committed));
  reclaimer_.undo_change();
  trees_ = change_->trees;
  keys_ = change_->keys;
  data_bytes_ = change_->data_bytes;
  content_.reset(change_->content);
  revision_max_ = change_->revision_max;
  change_.reset();
  memory_.refill();
  show_memory();
}

// Reserves those of the change's records again that the caller had committed; frees the others.
void Table::free_or_reserve(const std::vector<BlockRef>& records, std::vector<BlockRef> committed) {
  const auto less = [](BlockRef left, BlockRef right) { return left.word() < right.word(); };
  std::sort(committed.begin(), committed.end(), less);
  for (const BlockRef record : records) {
    if (std::binary_search(committed.begin(), committed.end(), record, less)) {
      reserved_.push_back(record);
    } else {
      records_.free(record);
    }
  }
}

}  // namespace small_db
