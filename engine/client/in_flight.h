// The requests of a client that the owner has not answered, by cookie: a hash table with open
// addressing and linear probing, in one piece of memory, since every write enters and leaves it.
// Only making room takes memory, and that is done before a request is submitted. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace small_db {

struct InFlight {
  uint64_t cookie = 0;
  uint64_t sequence = 0;  // of the submission, from 1; 0: this place of the table is free
  bool cancelled = false;
  bool streaming = false;
};

class InFlightTable {
 public:
  size_t size() const noexcept { return size_; }

  // Makes room for one more. False: the process has no memory.
  bool make_room() noexcept;

  // nullptr when there is none. Valid until the next insert, erase or make_room.
  InFlight* find(uint64_t cookie) noexcept;

  // REQUIRES: make_room since the last insert; nothing is in flight under this cookie.
  void insert(const InFlight& request) noexcept;

  // REQUIRES: from find.
  void erase(InFlight* request) noexcept;

 private:
  size_t home_of(uint64_t cookie) const noexcept;
  size_t after(size_t place) const noexcept { return (place + 1) & (places_.size() - 1); }
  // Where the request under this cookie is or would be.
  size_t place_of(uint64_t cookie) const noexcept;

  std::vector<InFlight> places_;  // a power of two, a quarter of them free at least; or none
  size_t size_ = 0;
};

}  // namespace small_db
