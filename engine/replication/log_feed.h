// The sender's end of the log stream: reads the log files of a data directory, which their owner
// goes on writing, and makes messages (stream.h) of their frames. Only reads, and takes no lock; a
// worker of nginx runs it, one for each follower.
//
// What is durable is said by the caller, from ReplicationState::durable_revision, and nothing
// beyond is looked at: so a frame that is expected here is whole in its file. Whether a log ends
// where it seems to is said by the START of the next one (format.h, rule 6); it is looked at
// behind the durable revision, so that frames which a HEAL made void are never sent.
//
// Memory: one frame, or what is read ahead.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/record/content_hash.h"
#include "engine/wal/log_reader.h"

namespace small_db {

class LogFeed {
 public:
  // Frames behind revision `from` are sent. directory: outlives the feed.
  LogFeed(Directory& directory, uint64_t from) noexcept;

  // The lowest revision from which on the logs here go on without a gap. Errors: kNotFound, there
  // is no log; kCorruption, kWrongFormat; those of the file system.
  static Result<uint64_t> oldest_revision(Directory& directory);

  // Appends whole messages to *out until about `bytes_max` were, or none is left that is durable.
  // Looks at a few MiB of the log at most. The first frame may begin at or before `from`: the
  // receiver passes over what it has.
  // Returns: true when there is more to do now.
  // Errors: kNotFound, the log that goes on is not there any more; kCorruption, a frame that was
  // durable is damaged; kWrongFormat; kIoError. The feed is of no use then.
  Result<bool> step(uint64_t durable_revision, size_t bytes_max, std::string* out);

  // Asks for a STATE message behind that revision, at which a state was published that has this
  // hash. Nothing when it was passed or sent already, or another one is on its way.
  void announce_state(uint64_t revision, const Hash128& content) noexcept;

  // The last revision that was sent; `from` before the first.
  uint64_t revision() const noexcept { return revision_; }
  // The log that is read, or was last; 0 before the first step.
  uint64_t generation() const noexcept { return generation_; }
  // How many bytes of log are not read yet, up to that place. About right: files that are given up
  // or hold prepared space count whole. 0 when it is unknown.
  uint64_t bytes_behind(uint64_t end_generation, uint64_t end_offset) const;

 private:
  // What another log's reader needs to know of a log.
  struct LogStart {
    LogHeader header;
    bool started = false;  // its START is there, or it needs none
    bool heals = false;
    StartBody body;
  };
  enum class Move : uint8_t { kOn, kCaughtUp };

  static Result<LogStart> read_start(Directory& directory, uint64_t generation);

  Status locate();
  Status look_at_successor();
  Result<Move> advance(uint64_t durable_revision, std::string* out);
  Result<Move> follow();
  Result<Move> look_again(const char* site);
  Status send(uint64_t durable_revision, std::string* out);
  void send_state(uint64_t durable_revision, std::string* out);

  struct State {
    uint64_t revision;
    Hash128 content;
  };

  Directory& directory_;
  uint64_t revision_;
  uint64_t generation_ = 0;
  std::unique_ptr<LogReader> reader_;  // nullptr: the place is to be found
  std::optional<LogStart> successor_;  // of the log that is read, once it has its START
  uint64_t looked_bytes_ = 0;          // in this step
  bool looked_again_ = false;          // since the last frame that was sent
  uint64_t epoch_ = 0;                 // of the last frame that was sent
  std::optional<State> state_;         // to be sent behind its revision
  uint64_t stated_revision_ = 0;       // of the last one that was sent
};

}  // namespace small_db
