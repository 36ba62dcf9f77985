// Who wrote which revisions: the node's own id, and the terms of its data. One file, `history`, in
// the data directory, whole or not there at all: text, at most 64 KiB, each line ends with \n.
//
//   small-db history 1
//   node HEX                    32 lower-case hex digits
//   term EPOCH HEX AFTER        any number, the oldest first; EPOCH from 1 on, HEX not all zeros
//   heard EPOCH                 only if there is such an epoch; from 1 on
//   follows                     only if the newest term is another node's
//   set-aside NAME              only if there is such a name; bytes 0 to 20, 7f to ff and % as %XX
//   crc HHHHHHHH                CRC32C of all bytes before this line, 8 lower-case hex digits
//
// Numbers are decimal, up to 2^64 - 1, without leading zeros. Epochs ascend; AFTER does not
// descend. At most the newest 1000 terms are kept, fewer where they would not fit.
//
// A term is one writer's time: from its promotion (or the making of the store) to the next one. Two
// nodes whose histories have the same term, epoch and id, at a revision, hold the same data up to
// that revision: a writer never writes one revision twice, and terms begin where the one before was
// known durable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/limits.h"
#include "engine/base/status.h"
#include "engine/platform/file_system.h"
#include "engine/wal/format.h"

namespace small_db {

inline constexpr size_t kHistoryBytesMax = 64 * kKiB;
inline constexpr size_t kHistoryTermsMax = 1000;
inline constexpr size_t kSetAsideBytesMax = 4 * kKiB;

struct Term {
  uint64_t epoch = 1;
  Uid id{};                     // random, made with the term; never zeros
  uint64_t after_revision = 0;  // its writes have higher ones
  bool operator==(const Term&) const = default;
};

struct NodeHistory {
  Uid node_id{};            // random, made with the file
  std::vector<Term> terms;  // ascending epochs, revisions not descending; the newest is the last
  // The highest epoch that was heard of: above that of the newest term, this node was fenced.
  uint64_t heard_epoch = 0;
  // The newest term is a primary's that this node has followed, not its own.
  bool follows = false;
  // Name of the primary that a promotion of this node has set aside; empty: none. While it is what
  // the configuration names, this node does not follow it.
  std::string set_aside;
  bool operator==(const NodeHistory&) const = default;

  uint64_t epoch() const noexcept { return terms.empty() ? 0 : terms.back().epoch; }
  // As in term_of.
  const Term* term_of(uint64_t revision) const noexcept;
};

// The term that wrote the revision; nullptr for revision 0, and for one that is older than all of
// the list.
const Term* term_of(const std::vector<Term>& terms, uint64_t revision) noexcept;

// "epoch:id:after_revision", id as 32 hex digits, joined by commas; the newest `max` of them.
std::string encode_terms(const std::vector<Term>& terms, size_t max = 16);
// Nothing for text that encode_terms would not write.
std::optional<std::vector<Term>> parse_terms(std::string_view text);

std::string encode_uid(const Uid& uid);  // 32 lower-case hex digits
std::optional<Uid> parse_uid(std::string_view text);

// The file's text, with as many of the newest terms as it may hold. Errors: kInvalidArgument for
// what is no history: terms out of order, or a name that is too long.
Result<std::string> encode_history(const NodeHistory& history);
// Nothing for text that encode_history would not write.
std::optional<NodeHistory> parse_history(std::string_view text);

// Errors: kNotFound when there is no such file; kCorruption when it is not what write_history
// writes; those of the file system. What a process wrote that was killed may not be durable yet:
// who promises something that rests on it syncs the directory first.
Result<NodeHistory> read_history(Directory& directory);
// Durable when it returns: written as history.tmp, synced, renamed, directory synced. Errors: as of
// encode_history, nothing was changed then; those of the file system: either the old one or the new
// one is there.
Status write_history(Directory& directory, const NodeHistory& history);

// The same in the file history.N: the history of a state that is not in force yet, and will be with
// generation N.
Status write_history_of(Directory& directory, const NodeHistory& history, uint64_t generation);

// True when there is such a file. Errors: those of the file system.
Result<bool> has_next_history(Directory& directory);

// Makes a history.N that of the node when N is `generation`, the one in force, and removes any
// other. Errors: those of the file system. REQUIRES: `version` is durable.
Status settle_history(Directory& directory, uint64_t generation);

}  // namespace small_db
