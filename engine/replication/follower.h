// What a backup does with its primary: asks for the log behind what it holds, hands on the frames
// that come, and takes a checkpoint where the log does not reach back. The receiving thread of the
// storage process; blocking calls are the upstream's, so that interrupt() ends everything here.
//
//   connecting ──200──▶ streaming ──(ends)──▶ connecting
//       └──410, 409 diverged, log in a later epoch──▶ bootstrapping ──(file verified)──▶ install
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/platform/clock.h"
#include "engine/platform/event_log.h"
#include "engine/platform/file_system.h"
#include "engine/replication/bootstrap.h"
#include "engine/replication/replicated_frames.h"
#include "engine/replication/stream.h"
#include "engine/replication/upstream.h"
#include "engine/shm/region.h"

namespace small_db {

// What the follower asks of the store that it feeds. Receiving thread.
class FollowerHost {
 public:
  virtual ~FollowerHost() = default;
  // What this node holds: durable, and nothing else on its way.
  virtual Hello hello() = 0;
  virtual NodeHistory history() = 0;
  // Makes the primary's terms this node's, durably.
  virtual Status adopt(const NodeIdentity& primary) = 0;
  // This node has the primary's own id, as a copied directory has: it gets another.
  virtual Status renew_node_id() = 0;
};

class Follower : private UpstreamBody {
 public:
  Follower(Region region, Directory& directory, Clock& clock, EventLog& log, Upstream& upstream,
           ReplicatedFrames& frames, FollowerHost& host);
  ~Follower() override;

  enum class Next : uint8_t {
    kAgain,    // at once: something has changed
    kLater,    // after a pause: see pause_us
    kInstall,  // bootstrap() is to be put in force
  };
  // Connects, and follows until that ends for whatever reason.
  Next follow();

  // Nobody is followed for now.
  void rest();

  // How long to wait before the next attempt: doubled by each that brought nothing, with a random
  // part, at most kPauseMaxUs.
  uint64_t pause_us();
  const Bootstrap& bootstrap() const noexcept { return bootstrap_; }

  static constexpr uint64_t kPauseMinUs = 100'000;
  static constexpr uint64_t kPauseMaxUs = 5'000'000;

 private:
  enum class Fetch : uint8_t { kLog, kCheckpoint };

  bool begin(const UpstreamHead& head) override;
  bool take(Bytes bytes) override;
  bool begin_log(const UpstreamHead& head);
  bool begin_checkpoint(const UpstreamHead& head);
  bool take_log(Bytes bytes);
  bool take_checkpoint(Bytes bytes);
  bool handle(const StreamMessage& message);
  bool take_frame(const StreamMessage& message);
  Next after_log(const Status& status);
  Next refused();
  Next fetch_checkpoint(bool diverged);
  void set_phase(FollowPhase phase);
  void set_problem(const std::string& problem);
  Next fail(const std::string& problem);
  Next fail_by_answer();

  Region region_;
  Directory& directory_;
  Clock& clock_;
  EventLog& log_;
  Upstream& upstream_;
  ReplicatedFrames& frames_;
  FollowerHost& host_;

  Fetch fetch_ = Fetch::kLog;
  Hello hello_;
  UpstreamHead head_;
  Status failure_;  // of what this side made of the answer
  bool progressed_ = false;
  bool is_ahead_ =
      false;  // this node's log is in an epoch that the primary's next frames are not in
  bool is_copy_ = false;   // this directory is a copy of the primary's: with its node id
  uint32_t failures_ = 0;  // in a row
  std::unique_ptr<StreamParser> parser_;
  Bootstrap bootstrap_;
  // The download, which is gone on with while the primary has the same file.
  std::unique_ptr<File> file_;
  std::string etag_;
  uint64_t offset_ = 0;
  std::optional<uint64_t> total_;
  std::string told_;  // the problem that the log has a line of
};

}  // namespace small_db
