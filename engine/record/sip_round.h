// SipHash-2-4's steps, on one message or on several side by side: a Word is a uint64_t, or several
// in the registers of a vector unit, with a message in each lane. Always inlined, so that they are
// compiled for the processor that the caller is compiled for; and words go by reference, since how
// vectors are passed by value depends on that processor.
//
// Source: as content_hash.h.
#pragma once

#include <cstdint>

namespace small_db {

template <typename Word>
struct SipState {
  Word v0, v1, v2, v3;
};

template <typename Word>
[[gnu::always_inline]] inline void sip_rotate(Word& word, int bits) noexcept {
  word = word << bits | word >> (64 - bits);
}

// Before the first word of a message, for 128 bits of output. REQUIRES: the state is all zeros.
template <typename Word>
[[gnu::always_inline]] inline void sip_begin(SipState<Word>& state, uint64_t k0,
                                             uint64_t k1) noexcept {
  state.v0 ^= k0 ^ 0x736f6d6570736575;
  state.v1 ^= k1 ^ 0x646f72616e646f6d ^ 0xee;
  state.v2 ^= k0 ^ 0x6c7967656e657261;
  state.v3 ^= k1 ^ 0x7465646279746573;
}

template <typename Word>
[[gnu::always_inline]] inline void sip_round(SipState<Word>& state) noexcept {
  state.v0 += state.v1;
  state.v2 += state.v3;
  sip_rotate(state.v1, 13);
  sip_rotate(state.v3, 16);
  state.v1 ^= state.v0;
  state.v3 ^= state.v2;
  sip_rotate(state.v0, 32);
  state.v2 += state.v1;
  state.v0 += state.v3;
  sip_rotate(state.v1, 17);
  sip_rotate(state.v3, 21);
  state.v1 ^= state.v2;
  state.v3 ^= state.v0;
  sip_rotate(state.v2, 32);
}

template <typename Word>
[[gnu::always_inline]] inline void sip_compress(SipState<Word>& state, const Word& word) noexcept {
  state.v3 ^= word;
  sip_round(state);
  sip_round(state);
  state.v0 ^= word;
}

template <typename Word>
[[gnu::always_inline]] inline void sip_output(SipState<Word>& state, Word& output) noexcept {
  for (int i = 0; i < 4; ++i) sip_round(state);
  output = state.v0;
  output ^= state.v1;
  output ^= state.v2;
  output ^= state.v3;
}

// After the last word, which holds the rest of the message and its length.
template <typename Word>
[[gnu::always_inline]] inline void sip_finish(SipState<Word>& state, Word& low,
                                              Word& high) noexcept {
  state.v2 ^= 0xee;
  sip_output(state, low);
  state.v1 ^= 0xdd;
  sip_output(state, high);
}

}  // namespace small_db
