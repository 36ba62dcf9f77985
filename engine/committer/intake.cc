#include "engine/committer/intake.h"

namespace small_db {

Intake::Intake(Region region) : region_(region), sources_(region.slot_count()) {}

// A slot may have changed hands since the last look: its ring then starts again. One that its
// holder left is read to the end, unless it was left before this owner came.
void Intake::follow_holder(uint32_t slot) {
  Source& source = sources_[slot];
  const SlotHolder holder = slot_holder(region_, slot);
  if (holder.incarnation == source.holder.incarnation) return;
  source = Source();
  source.holder = holder;
  if (holder.is_held()) source.consumer.emplace(region_, slot);
}

// True when the slot has a submission in `waiting`.
bool Intake::fetch(uint32_t slot) {
  follow_holder(slot);
  Source& source = sources_[slot];
  if (source.waiting) return true;
  if (!source.consumer || source.broken) return false;
  Result<std::optional<Submission>> next = source.consumer->next();
  if (!next.is_ok()) {
    source.broken = true;
    return false;
  }
  source.waiting = next.value();
  return source.waiting.has_value();
}

std::optional<Request> Intake::next() {
  const uint32_t slots = slots_touched(region_);
  for (uint32_t tried = 0; tried <= slots; ++tried) {
    if (turn_bytes_ < kQuantumBytes && fetch(turn_)) {
      return Request{turn_, sources_[turn_].holder, *sources_[turn_].waiting};
    }
    turn_ = turn_ + 1 < slots ? turn_ + 1 : 0;
    turn_bytes_ = 0;
  }
  return std::nullopt;
}

void Intake::accept() {
  Source& source = sources_[turn_];
  turn_bytes_ += submission_entry_bytes(source.waiting->payload.size());
  source.waiting.reset();
}

bool Intake::ready() {
  const uint32_t slots = slots_touched(region_);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    follow_holder(slot);
    const Source& source = sources_[slot];
    if (source.waiting) return true;
    if (source.consumer && !source.broken && source.consumer->ready()) return true;
  }
  return false;
}

}  // namespace small_db
