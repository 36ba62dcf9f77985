#include "engine/record/content_hash_lanes.h"

#include <algorithm>
#include <array>

#include "engine/base/assert.h"
#include "engine/record/sip_round.h"

namespace small_db {

namespace {

constexpr size_t kWordBytes = sizeof(uint64_t);
constexpr size_t kWordBits = 8 * kWordBytes;
constexpr int kLengthShift = 56;
// What a hash covers before the key: key_bytes and expires_at_ms.
constexpr size_t kPrefixBytes = sizeof(uint32_t) + sizeof(uint64_t);
static_assert(kLaneBytesMin == 2 * kWordBytes - kPrefixBytes);

// A message in words: two that the prefix has a part in, those that lie in the record as they are,
// and the last.
struct Message {
  uint64_t first = 0;
  uint64_t second = 0;
  const std::byte* words_at = nullptr;
  uint64_t words = 0;  // between the second and the last
  uint64_t last = 0;
};

// The `bytes` last bytes of the content, at most 7, as a word.
uint64_t tail_word(Bytes content, size_t bytes) noexcept {
  if (bytes == 0) return 0;
  if (content.size() >= kWordBytes) {
    const auto word = load<uint64_t>(content.data() + content.size() - kWordBytes);
    return word >> (kWordBits - 8 * bytes);
  }
  uint64_t word = 0;
  for (const std::byte byte : content.last(bytes)) {
    word = word >> 8 | std::to_integer<uint64_t>(byte) << (kWordBits - 8);
  }
  return word >> (kWordBits - 8 * bytes);
}

Message message_of(const RecordInLane& record) noexcept {
  const Bytes content = record.key_and_value;
  const size_t bytes = kPrefixBytes + content.size();
  Message message;
  message.first = record.key_bytes | record.expires_at_ms << 32;
  message.second = record.expires_at_ms >> 32 | uint64_t{load<uint32_t>(content.data())} << 32;
  message.words_at = content.data() + kLaneBytesMin;
  message.words = bytes / kWordBytes - 2;
  message.last = tail_word(content, bytes % kWordBytes) | uint64_t{bytes} << kLengthShift;
  return message;
}

uint64_t word_at(const std::byte* words, uint64_t index) noexcept {
  return load<uint64_t>(words + index * kWordBytes);
}

void hash_one_by_one(std::span<const RecordInLane> records, Hash128* hashes) noexcept {
  for (const RecordInLane& record : records) {
    const Message message = message_of(record);
    SipState<uint64_t> state = {};
    sip_begin(state, kRecordKeyLow, kRecordKeyHigh);
    sip_compress(state, message.first);
    sip_compress(state, message.second);
    for (uint64_t i = 0; i < message.words; ++i) sip_compress(state, word_at(message.words_at, i));
    sip_compress(state, message.last);
    sip_finish(state, hashes->low, hashes->high);
    ++hashes;
  }
}

#if defined(__x86_64__)
// Fewer lanes take longer than their records one by one.
constexpr size_t kLanesWorthwhile = 3;

// The messages, lane by lane. A lane without a record has no words between.
using PerLane = std::array<uint64_t, kHashLanes>;
struct Lanes {
  PerLane first = {};
  PerLane second = {};
  PerLane words = {};
  PerLane last = {};
  std::array<const std::byte*, kHashLanes> words_at = {};
};

void set_lane(Lanes& lanes, size_t lane, const Message& message) noexcept {
  lanes.first[lane] = message.first;
  lanes.second[lane] = message.second;
  lanes.words[lane] = message.words;
  lanes.last[lane] = message.last;
  lanes.words_at[lane] = message.words_at;
}

// How many lanes have more than `done` words.
size_t lanes_beyond(const Lanes& lanes, uint64_t done) noexcept {
  size_t count = 0;
  for (const uint64_t words : lanes.words) count += words > done ? 1 : 0;
  return count;
}

// Returns up to which word all lanes go on that have more than `done`; the others read along with
// the longest. REQUIRES: there is one that has more.
uint64_t next_stop(Lanes& lanes, uint64_t done) noexcept {
  const auto longest = std::max_element(lanes.words.begin(), lanes.words.end());
  const std::byte* along = lanes.words_at[static_cast<size_t>(longest - lanes.words.begin())];
  uint64_t stop = *longest;
  for (size_t i = 0; i < kHashLanes; ++i) {
    if (lanes.words[i] > done) {
      stop = std::min(stop, lanes.words[i]);
    } else {
      lanes.words_at[i] = along;
    }
  }
  return stop;
}

// A word of each lane: in one register of AVX-512, or in two of AVX2. GCC would take a vector that
// is longer than a register apart, to single words.
using Words8 = uint64_t __attribute__((vector_size(8 * kWordBytes)));
using Words4 = uint64_t __attribute__((vector_size(4 * kWordBytes)));
struct TwoWords4 {
  Words4 lower;
  Words4 upper;

  [[gnu::always_inline]] void operator+=(const TwoWords4& other) noexcept {
    lower += other.lower;
    upper += other.upper;
  }
  [[gnu::always_inline]] void operator^=(const TwoWords4& other) noexcept {
    lower ^= other.lower;
    upper ^= other.upper;
  }
  [[gnu::always_inline]] void operator^=(uint64_t other) noexcept {
    lower ^= other;
    upper ^= other;
  }
};

[[gnu::always_inline]] inline void sip_rotate(TwoWords4& words, int bits) noexcept {
  small_db::sip_rotate(words.lower, bits);
  small_db::sip_rotate(words.upper, bits);
}

[[gnu::always_inline]] inline void read_words(Words8& to, const Lanes& lanes,
                                              uint64_t index) noexcept {
  const auto& at = lanes.words_at;
  to = Words8{word_at(at[0], index), word_at(at[1], index), word_at(at[2], index),
              word_at(at[3], index), word_at(at[4], index), word_at(at[5], index),
              word_at(at[6], index), word_at(at[7], index)};
}

[[gnu::always_inline]] inline void read_words(TwoWords4& to, const Lanes& lanes,
                                              uint64_t index) noexcept {
  const auto& at = lanes.words_at;
  to.lower = Words4{word_at(at[0], index), word_at(at[1], index), word_at(at[2], index),
                    word_at(at[3], index)};
  to.upper = Words4{word_at(at[4], index), word_at(at[5], index), word_at(at[6], index),
                    word_at(at[7], index)};
}

template <typename Words>
[[gnu::always_inline]] inline void copy_words(Words& to, const PerLane& from) noexcept {
  static_assert(sizeof(Words) == sizeof(PerLane));
  std::memcpy(&to, from.data(), sizeof(to));
}

// Has the processor fetch what comes next: that there are eight streams is too much for it to see
// by itself, and records that are replaced are seldom in the cache. Fetching never faults, even
// behind a record's end.
constexpr uint64_t kWordsPerLine = 8;
constexpr uint64_t kFetchedAheadWords = 4 * kWordsPerLine;

[[gnu::always_inline]] inline void fetch_ahead(const Lanes& lanes, uint64_t index) noexcept {
  for (const std::byte* at : lanes.words_at) {
    __builtin_prefetch(at + (index + kFetchedAheadWords) * kWordBytes);
  }
}

// Copies the lanes whose length is greater than `done`.
template <typename Words>
[[gnu::always_inline]] inline void copy_longer(Words& to, const Words& from, const Words& lengths,
                                               uint64_t done) noexcept {
  const Words mask = reinterpret_cast<Words>(lengths > done);
  to = (from & mask) | (to & ~mask);
}

[[gnu::always_inline]] inline void copy_longer(TwoWords4& to, const TwoWords4& from,
                                               const TwoWords4& lengths, uint64_t done) noexcept {
  copy_longer(to.lower, from.lower, lengths.lower, done);
  copy_longer(to.upper, from.upper, lengths.upper, done);
}

// The words after `done` of the lanes that have any, one lane at a time.
template <typename Words>
void compress_rests(SipState<Words>& states, const Lanes& lanes, uint64_t done) noexcept {
  SipState<PerLane> parts;
  static_assert(sizeof(parts) == sizeof(states));
  std::memcpy(&parts, &states, sizeof(parts));
  for (size_t lane = 0; lane < kHashLanes; ++lane) {
    SipState<uint64_t> state = {parts.v0[lane], parts.v1[lane], parts.v2[lane], parts.v3[lane]};
    for (uint64_t i = done; i < lanes.words[lane]; ++i) {
      sip_compress(state, word_at(lanes.words_at[lane], i));
    }
    parts.v0[lane] = state.v0;
    parts.v1[lane] = state.v1;
    parts.v2[lane] = state.v2;
    parts.v3[lane] = state.v3;
  }
  std::memcpy(&states, &parts, sizeof(parts));
}

// Takes the states over all words between the second and the last. `running` goes on in all lanes;
// `states` in those that have not ended.
template <typename Words>
[[gnu::always_inline]] inline void compress_between(SipState<Words>& states,
                                                    Lanes& lanes) noexcept {
  Words lengths;
  copy_words(lengths, lanes.words);
  SipState<Words> running = states;
  uint64_t done = 0;
  while (lanes_beyond(lanes, done) >= kLanesWorthwhile) {
    const uint64_t before = done;
    for (const uint64_t stop = next_stop(lanes, done); done < stop; ++done) {
      if (done % kWordsPerLine == 0) fetch_ahead(lanes, done);
      Words words = {};
      read_words(words, lanes, done);
      sip_compress(running, words);
    }
    copy_longer(states.v0, running.v0, lengths, before);
    copy_longer(states.v1, running.v1, lengths, before);
    copy_longer(states.v2, running.v2, lengths, before);
    copy_longer(states.v3, running.v3, lengths, before);
  }
  if (lanes_beyond(lanes, done) != 0) compress_rests(states, lanes, done);
}

template <typename Words>
[[gnu::always_inline]] inline void hash_vectors(std::span<const RecordInLane> records,
                                                Hash128* hashes) noexcept {
  Lanes lanes;
  for (size_t i = 0; i < records.size(); ++i) set_lane(lanes, i, message_of(records[i]));
  SipState<Words> states = {};
  Words words;
  sip_begin(states, kRecordKeyLow, kRecordKeyHigh);
  copy_words(words, lanes.first);
  sip_compress(states, words);
  copy_words(words, lanes.second);
  sip_compress(states, words);
  compress_between(states, lanes);
  copy_words(words, lanes.last);
  sip_compress(states, words);
  Words low;
  Words high;
  sip_finish(states, low, high);
  for (size_t i = 0; i < records.size(); ++i) {
    std::memcpy(&hashes[i].low, reinterpret_cast<const std::byte*>(&low) + i * kWordBytes,
                kWordBytes);
    std::memcpy(&hashes[i].high, reinterpret_cast<const std::byte*>(&high) + i * kWordBytes,
                kWordBytes);
  }
}

__attribute__((target("avx2"))) void hash_avx2(std::span<const RecordInLane> records,
                                               Hash128* hashes) noexcept {
  hash_vectors<TwoWords4>(records, hashes);
}

__attribute__((target("avx512f"))) void hash_avx512(std::span<const RecordInLane> records,
                                                    Hash128* hashes) noexcept {
  hash_vectors<Words8>(records, hashes);
}

constexpr std::array<LaneVersion, 3> kVersions = {
    {{"avx512", hash_avx512}, {"avx2", hash_avx2}, {"one by one", hash_one_by_one}}};

size_t best_version() noexcept {
  if (__builtin_cpu_supports("avx512f")) return 0;
  return __builtin_cpu_supports("avx2") ? 1 : 2;
}
#else
constexpr size_t kLanesWorthwhile = 1;

constexpr std::array<LaneVersion, 1> kVersions = {{{"one by one", hash_one_by_one}}};

size_t best_version() noexcept { return 0; }
#endif

const size_t best = best_version();

}  // namespace

void hash_in_lanes(std::span<const RecordInLane> records, Hash128* hashes) noexcept {
  SMALL_DB_ASSERT(records.size() <= kHashLanes);
  const bool is_worthwhile = records.size() >= kLanesWorthwhile;
  (is_worthwhile ? kVersions[best].hash : hash_one_by_one)(records, hashes);
}

std::span<const LaneVersion> lane_versions() noexcept { return std::span(kVersions).subspan(best); }

}  // namespace small_db
