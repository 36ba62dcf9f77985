#include "engine/table/table.h"

#include <algorithm>
#include <new>

#include "engine/base/kill_point.h"
#include "engine/table/adoption.h"

namespace small_db {

Table::Table(Region region)
    : region_(region),
      view_(region.arena()),
      arena_(region.arena()),
      records_(arena_, view_),
      reclaimer_(region, records_),
      memory_(arena_, view_, reclaimer_) {}

void Table::clear() {
  region_.header().published_root.store(0);
  forget_everything();
  arena_.clear();
  show_memory();
}

Status Table::adopt() {
  forget_everything();
  const auto word = region_.header().published_root.load();
  if (word == 0) {
    arena_.clear();
    show_memory();
    return Status::ok();
  }
  const RootBlock* root = root_at(view_, BlockRef::from_word(word));
  if (root == nullptr) return {Code::kCorruption, "table: root"};
  arena_.begin_mark();
  SMALL_DB_RETURN_IF_ERROR(
      Adoption(view_, arena_, reclaimer_).run(BlockRef::from_word(word), *root));
  arena_.end_mark();
  start_from(*root);
  show_memory();
  return Status::ok();
}

Status Table::rollback() {
  // No later owner may take an unpublished root for one that a pin holds.
  reclaimer_.break_unpublished_seals();
  return adopt();
}

void Table::forget_everything() {
  reclaimer_.clear();
  memory_.forget_reserve();
  reserved_.clear();
  trees_ = Trees();
  keys_ = 0;
  data_bytes_ = 0;
  content_.reset();
  change_.reset();
  batch_is_open_ = false;
  last_batch_ = 0;
  revision_max_ = 0;
  loading_.reset();
}

void Table::start_from(const RootBlock& root) {
  trees_ = {root.root.by_key(), root.root.by_expiry()};
  keys_ = root.root.keys;
  data_bytes_ = root.root.data_bytes;
  content_.reset(root.root.content);
  last_batch_ = root.batch;
  revision_max_ = root.root.revision;
}

void Table::begin_batch(uint64_t first_revision) {
  SMALL_DB_ASSERT(!change_);
  content_.settle();  // of what was put in a batch that is begun again, and will be rolled back
  batch_is_open_ = true;
  first_revision_ = first_revision;
  reclaimer_.begin_batch(last_batch_ + 1);
  reclaimer_.collect();
  memory_.refill();
  show_memory();
}

Result<BlockRef> Table::reserve_put(const RecordView& prefix, uint32_t value_bytes) {
  Result<BlockRef> record = records_.allocate(prefix, value_bytes);
  if (record.is_ok()) reserved_.push_back(record.value());
  return record;
}

void Table::fill_put(BlockRef record, uint32_t at, Bytes bytes) {
  records_.fill(record, at, bytes);
}

void Table::discard_put(BlockRef record) {
  const auto found = std::find(reserved_.rbegin(), reserved_.rend(), record);
  SMALL_DB_ASSERT(found != reserved_.rend());
  reserved_.erase(std::next(found).base());
  records_.free(record);
}

Status Table::commit_put(BlockRef record, uint64_t revision) {
  SMALL_DB_ASSERT(batch_is_open_);
  const auto found = std::find(reserved_.rbegin(), reserved_.rend(), record);
  SMALL_DB_ASSERT(found != reserved_.rend());
  SMALL_DB_RETURN_IF_ERROR(insert(record, revision));
  reserved_.erase(std::next(found).base());
  if (change_) change_->committed.push_back(record);
  return Status::ok();
}

Status Table::put(const RecordView& record) {
  SMALL_DB_ASSERT(batch_is_open_);
  const Result<BlockRef> ref = records_.make(record);
  if (!ref.is_ok()) return ref.status();
  const Status status = insert(ref.value(), record.revision);
  if (!status.is_ok()) records_.free(ref.value());
  return status;
}

// Puts the record into the trees. Errors: kNoMemory, nothing is changed; kCorruption.
Status Table::insert(BlockRef record, uint64_t revision) {
  SMALL_DB_ASSERT(!change_ || revision == change_->revision);
  // What a put leaves must be enough for the deletes that make room again.
  memory_.refill();
  if (!memory_.reserve_is_full()) return {Code::kNoMemory, "table: reserve"};
  records_.set_revision(record, revision);
  BlockRef replaced;
  SMALL_DB_RETURN_IF_ERROR(put_in_trees(memory_, trees_, record, &replaced));
  revision_max_ = std::max(revision_max_, revision);
  count_record(record, true);
  retire_replaced(replaced);
  return Status::ok();
}

Status Table::erase(Bytes key, uint64_t revision, bool* existed) {
  SMALL_DB_ASSERT(batch_is_open_ && (!change_ || revision == change_->revision));
  if (!has_node_reserve()) memory_.refill();
  BlockRef removed;
  SMALL_DB_RETURN_IF_ERROR(erase_from_trees(memory_, trees_, key, &removed));
  revision_max_ = std::max(revision_max_, revision);
  if (existed != nullptr) *existed = !removed.is_null();
  retire_replaced(removed);
  return Status::ok();
}

void Table::begin_load() {
  SMALL_DB_ASSERT(batch_is_open_ && trees_.by_key.height == 0 && !loading_);
  loading_ = std::make_unique<BulkLoad>(memory_);
}

Status Table::load(const RecordView& record) {
  SMALL_DB_RETURN_IF_ERROR(load_unhashed(record));
  content_.add(ContentHash::of_record(record.key, record.expires_at_ms,
                                      [&](const auto& visit) { visit(record.value); }));
  return Status::ok();
}

Status Table::load_unhashed(const RecordView& record) {
  SMALL_DB_ASSERT(loading_);
  const Result<BlockRef> ref = records_.make(record);
  if (!ref.is_ok()) return ref.status();
  const Status status = loading_->add(ref.value(), record.expires_at_ms);
  if (!status.is_ok()) {
    records_.free(ref.value());
    return status;
  }
  revision_max_ = std::max(revision_max_, record.revision);
  ++keys_;
  data_bytes_ += record.key.size() + record.value.size();
  return Status::ok();
}

Status Table::end_load() {
  SMALL_DB_ASSERT(loading_);
  const Result<Trees> trees = loading_->finish();
  loading_.reset();
  if (!trees.is_ok()) return trees.status();
  trees_ = trees.value();
  show_memory();
  return Status::ok();
}

Result<StoredRecord> Table::find(Bytes key) const { return find_record(view_, trees_.by_key, key); }

StoredRecord Table::stored_record(BlockRef record) const {
  return read_stored_record(view_, record).value();
}

bool Table::has_node_reserve() const { return memory_.reserve_holds(nodes_for_erase(trees_)); }

Result<uint64_t> Table::next_expiry_ms() const {
  Cursor cursor(view_, trees_.by_expiry);
  SMALL_DB_RETURN_IF_ERROR(cursor.seek_first());
  if (!cursor.is_valid()) return uint64_t{0};
  const Result<StoredRecord> record = cursor.record();
  if (!record.is_ok()) return record.status();
  return record.value().expires_at_ms;
}

Status Table::collect_expired(uint64_t now_ms, size_t max, std::vector<std::string>* keys) const {
  Cursor cursor(view_, trees_.by_expiry);
  Status status = cursor.seek_first();
  for (size_t count = 0; count < max && status.is_ok() && cursor.is_valid(); ++count) {
    const Result<StoredRecord> record = cursor.record();
    if (!record.is_ok()) return record.status();
    if (record.value().expires_at_ms > now_ms) return Status::ok();
    keys->emplace_back(as_text(record.value().key));
    status = cursor.next();
  }
  return status;
}

BlockRef Table::seal_batch(uint64_t last_revision, uint64_t epoch, const LogPosition& log) {
  SMALL_DB_ASSERT(batch_is_open_ && !change_ && last_revision + 1 >= first_revision_);
  const BlockRef ref = memory_.new_root_block();
  auto* block = new (view_.at(ref).data()) RootBlock;
  block->root.revision = last_revision;
  block->root.tree = trees_.by_key.root.word();
  block->root.tree_height = trees_.by_key.height;
  block->root.expiry_tree = trees_.by_expiry.root.word();
  block->root.expiry_tree_height = trees_.by_expiry.height;
  block->root.keys = keys_;
  block->root.data_bytes = data_bytes_;
  block->root.content = content_.settled();
  block->root.epoch = epoch;
  block->root.log = log;
  SMALL_DB_KILL_POINT("root: half written");
  block->batch = reclaimer_.open_batch();
  block->seal = root_seal(ref);
  batch_is_open_ = false;
  last_batch_ = reclaimer_.open_batch();
  revision_max_ = std::max(revision_max_, last_revision);
  reclaimer_.add_root({ref, last_batch_, revision_max_});
  show_memory();
  return ref;
}

const Root* Table::published() const {
  const auto word = region_.header().published_root.load();
  const RootBlock* block = root_at(view_, BlockRef::from_word(word));
  return block == nullptr ? nullptr : &block->root;
}

void Table::retire_replaced(BlockRef record) {
  if (record.is_null()) return;
  count_record(record, false);
  const uint64_t birth = reclaimer_.birth_of_record(record);
  if (reclaimer_.is_own(birth) && change_) {
    change_->replaced.push_back(record);
    return;
  }
  if (reclaimer_.is_own(birth)) content_.settle();  // it is freed at once
  reclaimer_.retire(record, birth);
}

void Table::count_record(BlockRef ref, bool added) {
  const Result<StoredRecord> record = read_stored_record(view_, ref);
  if (!record.is_ok()) return;  // a damaged one that is being replaced
  const uint64_t bytes = record.value().key.size() + record.value().value.bytes();
  keys_ += added ? 1 : -1;
  data_bytes_ += added ? bytes : -bytes;
  added ? add_record(content_, view_, ref, record.value())
        : subtract_record(content_, view_, ref, record.value());
}

void Table::show_memory() const {
  region_.header().arena_used_bytes.store(arena_.used_bytes(), std::memory_order_relaxed);
  region_.header().arena_free_bytes.store(arena_.free_bytes(), std::memory_order_relaxed);
}

void set_root_log(Region region, BlockRef root, const LogPosition& log) noexcept {
  reinterpret_cast<RootBlock*>(ArenaView(region.arena()).at(root).data())->root.log = log;
}

void publish_root(Region region, BlockRef root) noexcept {
  const RootBlock* block = root_at(ArenaView(region.arena()), root);
  SMALL_DB_ASSERT(block != nullptr);
  RegionHeader& header = region.header();
  header.keys.store(block->root.keys, std::memory_order_relaxed);
  header.revision.store(block->root.revision, std::memory_order_relaxed);
  header.epoch.store(block->root.epoch, std::memory_order_relaxed);
  SMALL_DB_KILL_POINT("publish: counters stored");
  // Sequentially consistent, see reader.h; and releases the batch's stores to the readers.
  header.published_root.store(root.word());
  SMALL_DB_KILL_POINT("publish: root stored");
}

}  // namespace small_db
