// A follower for tests: asks a node for its log as a backup does, verifies each message, and keeps
// what it was told. One thread: bytes are taken only within its calls, so that a follower which is
// not called is one that does not read.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/replication/stream.h"
#include "tests/nginx/http_client.h"

namespace small_db::testing {

// What a node says of itself in an answer to anybody.
struct NodeHeaders {
  std::string cluster;
  std::string node;
  std::string epoch;
  std::string role;
  std::string term;  // the newest one's id
};
NodeHeaders node_headers(const HttpResponse& response);

// Asks with a bad cluster id: every node answers that.
NodeHeaders ask_node(int port);

inline constexpr const char* kNoUid = "00000000000000000000000000000000";
inline constexpr const char* kFollowerId = "0123456789abcdef0123456789abcdef";

std::string log_target(const NodeHeaders& node, uint64_t from,
                       const std::string& follower = kFollowerId);

class LogFollower {
 public:
  LogFollower(int port, const std::string& target, bool http2 = false);
  ~LogFollower();
  LogFollower(const LogFollower&) = delete;
  LogFollower& operator=(const LogFollower&) = delete;

  // Takes what comes until `done` holds, the answer ends, or the time is over. True: it holds.
  bool read_until(const std::function<bool()>& done, int timeout_ms = 20'000);
  bool read_to(uint64_t revision, int timeout_ms = 20'000) {
    return read_until([&] { return last_revision >= revision; }, timeout_ms);
  }
  bool has_ended() const { return ended_; }
  long status() const;

  std::map<std::string, std::string> records;  // as the frames left them
  uint64_t first_revision = 0;                 // of the first frame; 0: none came
  uint64_t last_revision = 0;                  // of the last one
  uint64_t frames = 0;
  uint64_t alives = 0;
  uint64_t bytes_behind = 0;  // as told last
  uint64_t bytes = 0;         // of the body
  std::string error;          // what was wrong with it

 private:
  struct Handle;
  void take(std::string_view bytes);
  void take(const StreamMessage& message);
  std::unique_ptr<Handle> handle_;
  const std::string target_;
  StreamParser parser_;
  bool ended_ = false;
};

}  // namespace small_db::testing
