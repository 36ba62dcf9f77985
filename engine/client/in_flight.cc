#include "engine/client/in_flight.h"

#include <bit>
#include <new>
#include <utility>

#include "engine/base/assert.h"

namespace small_db {

namespace {
constexpr size_t kPlacesMin = 64;
}  // namespace

bool InFlightTable::make_room() noexcept {
  if ((size_ + 1) * 4 <= places_.size() * 3) return true;
  std::vector<InFlight> old;
  try {
    old.resize(places_.empty() ? kPlacesMin : places_.size() * 2);
  } catch (const std::bad_alloc&) {
    return false;
  }
  std::swap(old, places_);
  size_ = 0;
  for (const InFlight& request : old) {
    if (request.sequence != 0) insert(request);
  }
  return true;
}

InFlight* InFlightTable::find(uint64_t cookie) noexcept {
  if (places_.empty()) return nullptr;
  InFlight& found = places_[place_of(cookie)];
  return found.sequence == 0 ? nullptr : &found;
}

void InFlightTable::insert(const InFlight& request) noexcept {
  InFlight& place = places_[place_of(request.cookie)];
  SMALL_DB_ASSERT(place.sequence == 0);
  place = request;
  ++size_;
}

// What follows moves up, so that nobody's way from its home to its place leads over a free one.
void InFlightTable::erase(InFlight* request) noexcept {
  auto hole = static_cast<size_t>(request - places_.data());
  for (size_t place = after(hole); places_[place].sequence != 0; place = after(place)) {
    const size_t mask = places_.size() - 1;
    const size_t way = (place - home_of(places_[place].cookie)) & mask;
    if (way < ((place - hole) & mask)) continue;  // its home lies behind the hole
    places_[hole] = places_[place];
    hole = place;
  }
  places_[hole] = {};
  --size_;
}

// Fibonacci hashing (Knuth, The Art of Computer Programming 6.4): consecutive cookies, or those
// that differ in high bits only, spread over all places.
size_t InFlightTable::home_of(uint64_t cookie) const noexcept {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;  // 2^64 divided by the golden ratio
  return static_cast<size_t>(cookie * kGolden >> std::countl_zero(places_.size() - 1));
}

size_t InFlightTable::place_of(uint64_t cookie) const noexcept {
  size_t place = home_of(cookie);
  while (places_[place].sequence != 0 && places_[place].cookie != cookie) place = after(place);
  return place;
}

}  // namespace small_db
