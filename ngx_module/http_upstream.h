// The primary over HTTP, by libcurl. No header of nginx's and none of libcurl's is seen here.
//
// Runs in the storage process, in the threads that follow a primary; each has an HttpUpstream of
// its own, which keeps its connection from one call to the next. Every call ends in bounded time:
// connecting (names, TLS) has a limit, the head of an answer has one from then on, so has silence
// in a body that is a stream, and any other body ends within the limit of its head.
//
// What an answer says is not believed: a 200 or 206 that does not come from a node, or is not the
// part that was asked for, is kUnavailable, and the body never sees it. The head of any other
// answer goes to the body once that answer has ended, with its problem.
//
// SIGPIPE must be blocked or ignored, as it is in all of nginx: OpenSSL writes without
// MSG_NOSIGNAL. User and password are in no text and no log.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "engine/replication/upstream.h"
#include "ngx_module/api/upstream_settings.h"

namespace small_db {

class HttpUpstream final : public Upstream {
 public:
  explicit HttpUpstream(std::shared_ptr<const UpstreamSettings> settings);
  ~HttpUpstream() override;
  HttpUpstream(const HttpUpstream&) = delete;
  HttpUpstream& operator=(const HttpUpstream&) = delete;

  Status get_log(const Hello& hello, UpstreamBody& body) override;
  Status get_checkpoint(const Uid& node_id, uint64_t offset, std::string_view etag,
                        UpstreamBody& body) override;
  Status post_ack(const Uid& cluster_id, const Uid& node_id, uint64_t epoch,
                  const FollowerProgress& progress, UpstreamHead* head) override;
  void interrupt() noexcept override;
  void resume() noexcept override;
  // Of the last call; empty when its answer was the one that was hoped for.
  std::string failure() const override { return failure_; }

 private:
  struct Handles;
  class Transfer;
  struct Request;
  Status transfer(const Request& request, UpstreamBody* body, UpstreamHead* head);
  Status fail(const char* site, std::string_view words);

  const std::shared_ptr<const UpstreamSettings> settings_;
  const std::unique_ptr<Handles> handles_;
  // interrupt() and resume() store, the thread at work loads; libcurl's wake-up orders nothing.
  std::atomic<bool> interrupted_{false};
  std::string failure_;
};

class HttpUpstreamFactory final : public UpstreamFactory {
 public:
  explicit HttpUpstreamFactory(UpstreamSettings settings);
  // The first call in a process initialises libcurl.
  std::unique_ptr<Upstream> make() override;
  const std::string& name() const override { return settings_->name; }

 private:
  const std::shared_ptr<const UpstreamSettings> settings_;
};

}  // namespace small_db
