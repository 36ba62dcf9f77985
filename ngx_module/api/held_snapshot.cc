#include "ngx_module/api/held_snapshot.h"

namespace small_db {
namespace {

HeldSnapshot* first = nullptr;

}  // namespace

HeldSnapshot::HeldSnapshot() noexcept : next_(first) {
  if (next_ != nullptr) next_->previous_ = this;
  first = this;
}

HeldSnapshot::~HeldSnapshot() {
  if (next_ != nullptr) next_->previous_ = previous_;
  (previous_ == nullptr ? first : previous_->next_) = next_;
}

Status HeldSnapshot::take(Client& client) noexcept {
  uint32_t held = 0;
  for (const HeldSnapshot* each = first; each != nullptr; each = each->next_) {
    if (each->client_ == &client) held++;
  }
  if (held >= kHeldSnapshotsMax) return {Code::kOverloaded, "held snapshots"};
  Result<Snapshot> snapshot = client.snapshot();
  if (!snapshot.is_ok()) return snapshot.status();
  snapshot_.emplace(std::move(snapshot).value());
  client_ = &client;
  return Status::ok();
}

void HeldSnapshot::let_go() noexcept {
  snapshot_.reset();
  client_ = nullptr;
}

void take_back_snapshots(const Client* client) noexcept {
  for (HeldSnapshot* each = first; each != nullptr; each = each->next_) {
    if (client == nullptr || each->client_ == client) each->let_go();
  }
}

}  // namespace small_db
