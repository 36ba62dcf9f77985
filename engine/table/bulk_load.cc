#include "engine/table/bulk_load.h"

#include <algorithm>
#include <memory>

namespace small_db {

Status BulkLoad::add(BlockRef record, uint64_t expires_at_ms) {
  SMALL_DB_RETURN_IF_ERROR(by_key_.add(record));
  if (expires_at_ms != 0) expiring_.push_back({expires_at_ms, record});
  return Status::ok();
}

Result<Trees> BulkLoad::finish() {
  const Result<Tree> by_key = by_key_.finish();
  if (!by_key.is_ok()) return by_key.status();
  const Result<Tree> by_expiry = build_by_expiry();
  if (!by_expiry.is_ok()) return by_expiry.status();
  return Trees{by_key.value(), by_expiry.value()};
}

// Those that expire at the same time stay in the order of their keys, in which they came.
Result<Tree> BulkLoad::build_by_expiry() {
  std::stable_sort(expiring_.begin(), expiring_.end(),
                   [](const Expiring& left, const Expiring& right) {
                     return left.expires_at_ms < right.expires_at_ms;
                   });
  const auto builder = std::make_unique<BulkBuilder>(memory_, TreeOrder::kExpiry);
  for (const Expiring& expiring : expiring_) {
    SMALL_DB_RETURN_IF_ERROR(builder->add(expiring.record));
  }
  return builder->finish();
}

}  // namespace small_db
