// The primary as a backup sees it: three requests, whatever carries them. The storage process has
// an implementation over HTTP, tests have one in memory.
//
// Every call blocks until its answer has ended, and is made by one thread at a time; two threads
// that ask at the same time have an Upstream each. interrupt() may come from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/bytes.h"
#include "engine/base/status.h"
#include "engine/replication/handshake.h"
#include "engine/wal/format.h"

namespace small_db {

// What stands before the body of an answer. Fields that the answer does not have are empty.
struct UpstreamHead {
  int status = 0;                       // of HTTP
  std::optional<NodeIdentity> node;     // who answers; nothing when it is no node at all
  uint64_t common_revision = 0;         // of 409 diverged
  uint64_t generation = 0;              // of a checkpoint
  std::string etag;                     // of a checkpoint
  std::optional<uint64_t> total_bytes;  // of the whole checkpoint, whichever part is sent
  std::string problem;                  // `type`'s last word, of an answer that is an error
  std::string detail;                   // for people, of the same
};

// Takes the body of an answer as it comes. Either function returns false to end the request.
class UpstreamBody {
 public:
  virtual ~UpstreamBody() = default;
  virtual bool begin(const UpstreamHead& head) = 0;
  virtual bool take(Bytes bytes) = 0;
};

// What a backup has done with the log so far: last revisions.
struct FollowerProgress {
  uint64_t received = 0;
  uint64_t flushed = 0;  // durable here
  uint64_t applied = 0;  // visible here
};

class Upstream {
 public:
  virtual ~Upstream() = default;

  // Asks for the log behind hello.revision. `body` gets the head of any answer, and the bytes of
  // one with status 200. Returns ok when the answer has ended, or the body has ended it. Errors:
  // kUnavailable, no connection or a broken one, or silence for longer than the time that is set
  // for it; kInterrupted.
  virtual Status get_log(const Hello& hello, UpstreamBody& body) = 0;

  // Asks for the newest checkpoint, from byte `offset` on if it still is the file with that etag:
  // status 206 then, 200 and all of it otherwise. Errors: as above.
  virtual Status get_checkpoint(const Uid& node_id, uint64_t offset, std::string_view etag,
                                UpstreamBody& body) = 0;

  // Reports what was done. Errors: as above.
  virtual Status post_ack(const Uid& cluster_id, const Uid& node_id, uint64_t epoch,
                          const FollowerProgress& progress, UpstreamHead* head) = 0;

  // Ends the call at work, and every later one at its start, until resume().
  virtual void interrupt() noexcept = 0;
  virtual void resume() noexcept = 0;

  // Sets what failed last, in words without secrets. The thread that made the call.
  virtual std::string failure() const = 0;
};

// Makes Upstreams for one primary.
class UpstreamFactory {
 public:
  virtual ~UpstreamFactory() = default;
  virtual std::unique_ptr<Upstream> make() = 0;
  // The primary's URL without user and password: for people, and to recognise it.
  virtual const std::string& name() const = 0;
};

}  // namespace small_db
