// HttpUpstream against servers that are no primary, or a broken one: every call ends in bounded
// time, with a Status and words, takes bounded memory, and interrupt() ends it at once.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/resource.h>

#include <cstring>

#include "tests/nginx/processes.h"
#include "tests/nginx/upstream_probe.h"

namespace {

// Set by the test of slow names: the look-up of one of them has begun, and may end.
std::atomic<int> slow_lookups{0};
int slow_lookup_end = -1;

}  // namespace

// Stands before the C library's, which libcurl calls in a thread of its own.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  if (name != nullptr && std::strcmp(name, "slow.invalid") == 0) {
    slow_lookups++;
    pollfd end{slow_lookup_end, POLLIN, 0};
    poll(&end, 1, 10'000);
    return EAI_NONAME;
  }
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return next(name, service, hints, result);
}

namespace small_db::testing {
namespace {

// Connecting, silence, and what a loaded machine adds.
constexpr int64_t kBoundedMs = 4'000;

void expect_unavailable(const Status& status, const Upstream& upstream,
                        const std::string& words = "") {
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.text();
  const std::string failure = upstream.failure();
  EXPECT_NE(failure.find("//127.0.0.1"), std::string::npos) << failure;
  EXPECT_NE(failure.find(words), std::string::npos) << failure;
  EXPECT_EQ(failure.find("s3cret"), std::string::npos) << failure;
}

// Asks for a log of a server that answers with `answer` and closes, or stays silent.
void expect_log_fails(const std::string& answer, bool closes, const std::string& words,
                      const char* scheme = "http") {
  SCOPED_TRACE(answer.substr(0, 200));
  TalkingServer server([&](Peer& peer) {
    if (scheme == std::string("http")) peer.read_request();
    peer.send(answer);
    if (!closes) peer.wait_for_close();
  });
  const auto upstream = make_upstream(upstream_settings(server.url(scheme)));
  CollectedBody body;
  Status status;
  EXPECT_LT(milliseconds_of([&] { status = upstream->get_log(Hello{}, body); }), kBoundedMs);
  expect_unavailable(status, *upstream, words);
}

std::string ok_head(const std::string& more = "") {
  return "HTTP/1.1 200 OK\r\n" + node_headers() + more + "\r\n";
}

TEST(HostilePrimary, SaysNothingThatIsHttp) {
  expect_log_fails("", true, "");
  expect_log_fails("", false, "no answer in time");
  expect_log_fails("small-db\r\n\r\n", true, "");
  expect_log_fails("HTTP/1.1\r\n\r\n", true, "");
  expect_log_fails("HTTP/1.1 abc OK\r\n\r\n", true, "");
  expect_log_fails("HTTP/9.9 200 OK\r\n" + node_headers() + "\r\n", true, "");
  expect_log_fails("HTTP/1.1 200 OK\r\n" + node_headers(), true, "");
  expect_log_fails("HTTP/1.1 200 OK\r\n" + node_headers(), false, "no answer in time");
  expect_log_fails("HTTP/1.1 100 Continue\r\n\r\n", false, "no answer in time");
  expect_log_fails(std::string(100'000, '\0'), true, "");
  expect_log_fails("HTTP/1.1 400 Bad Request\r\n\r\n", true, "", "https");
  expect_log_fails("", false, "", "https");
}

TEST(HostilePrimary, IsNoNode) {
  expect_log_fails("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, "no small-db node");
  expect_log_fails("HTTP/1.1 200 OK\r\nSmall-Db-Epoch: 1\r\n\r\n", false, "lacks");
  expect_log_fails("HTTP/1.1 200 OK\r\n" + node_headers() + "Small-Db-Epoch: 1\r\n\r\n", false,
                   "malformed");
  expect_log_fails("HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nSmall-Db-Role: king\r\n\r\n",
                   false, "409");
  expect_log_fails("HTTP/1.1 206 Partial Content\r\n" + node_headers() +
                       "Content-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nhi",
                   false, "part");
}

TEST(HostilePrimary, BodyIsCutOff) {
  expect_log_fails(ok_head("Content-Length: 100\r\n") + "1234", true, "");
  expect_log_fails(ok_head("Content-Length: 100\r\n") + "1234", false, "stopped");
  expect_log_fails(ok_head("Transfer-Encoding: chunked\r\n") + "4\r\n1234\r\n", true, "");
  expect_log_fails(ok_head("Transfer-Encoding: chunked\r\n") + "4\r\n12", false, "stopped");
  expect_log_fails(ok_head("Transfer-Encoding: chunked\r\n") + "xyz\r\n", false, "");
  expect_log_fails(ok_head("Content-Length: -1\r\n") + "1234", false, "");
  expect_log_fails("HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\n{", true, "");
  expect_log_fails("HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\n{", false, "in time");
}

// The server goes on for as long as it can: `more` again and again, each after a pause.
void expect_endless_fails(const std::string& begin, const std::string& more, int pause_ms,
                          const std::string& words) {
  std::atomic<size_t> sent = 0;
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  {
    TalkingServer server([&](Peer& peer) {
      peer.read_request();
      bool alive = peer.send(begin);
      while (alive) {
        alive = peer.send(more) && (pause_ms == 0 || peer.wait(pause_ms));
        sent = peer.sent();
      }
    });
    const auto upstream = make_upstream(upstream_settings(server.url()));
    CollectedBody body;
    Status status;
    EXPECT_LT(milliseconds_of([&] { status = upstream->get_log(Hello{}, body); }), kBoundedMs);
    expect_unavailable(status, *upstream, words);
    EXPECT_EQ(body.begun, 0);
  }
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 * 1024) << words;
  EXPECT_LT(sent, 32u * 1024 * 1024) << words;
}

TEST(HostilePrimary, HeadersHaveNoEnd) {
  const std::string begin = "HTTP/1.1 200 OK\r\n" + node_headers();
  expect_endless_fails(begin, "X-More: " + std::string(1000, 'x') + "\r\n", 0, "too long");
  expect_endless_fails(begin, std::string(1000, 'x'), 0, "");
  expect_endless_fails(begin, "a: b\r\n", 20, "no answer in time");
  expect_endless_fails(begin, "a", 20, "no answer in time");
  expect_endless_fails("", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", 0, "too long");
  expect_endless_fails("", "HTTP/1.1 103 Early Hints\r\n\r\n", 20, "no answer in time");
}

TEST(HostilePrimary, ErrorDripsWithoutAnEnd) {
  expect_endless_fails("HTTP/1.1 409 Conflict\r\nContent-Length: 10000000\r\n\r\n", "x", 20,
                       "in time");
}

TEST(HostilePrimary, ErrorHasAnEndlessBody) {
  TalkingServer server([&](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 409 Conflict\r\n" + node_headers() + "\r\n{\"type\":\"a:diverged\"}");
    while (peer.send(std::string(10'000, ' '))) {
    }
  });
  const auto upstream = make_upstream(upstream_settings(server.url()));
  CollectedBody body;
  Status status;
  EXPECT_LT(milliseconds_of([&] { status = upstream->get_log(Hello{}, body); }), kBoundedMs);
  EXPECT_TRUE(status.is_ok()) << status.text();
  EXPECT_EQ(body.begun, 1);
  EXPECT_EQ(body.total, 0u);
  EXPECT_EQ(body.head.status, 409);
  EXPECT_EQ(body.head.problem, "diverged");
  EXPECT_TRUE(body.head.node.has_value());

  UpstreamHead head;
  EXPECT_LT(milliseconds_of([&] { status = upstream->post_ack(Uid{}, Uid{}, 1, {}, &head); }),
            kBoundedMs);
  EXPECT_TRUE(status.is_ok()) << status.text();
  EXPECT_EQ(head.status, 409);
}

TEST(HostilePrimary, IsNotThere) {
  int port = 0;
  {
    TalkingServer server([](Peer&) {});
    port = server.port();
  }
  const auto upstream =
      make_upstream(upstream_settings("http://127.0.0.1:" + std::to_string(port) + "/v1/"));
  CollectedBody body;
  UpstreamHead head;
  Status status;
  EXPECT_LT(milliseconds_of([&] { status = upstream->get_log(Hello{}, body); }), kBoundedMs);
  expect_unavailable(status, *upstream, "connect");
  EXPECT_LT(milliseconds_of([&] { status = upstream->post_ack(Uid{}, Uid{}, 1, {}, &head); }),
            kBoundedMs);
  expect_unavailable(status, *upstream, "connect");
  EXPECT_LT(milliseconds_of([&] { status = upstream->get_checkpoint(Uid{}, 0, "", body); }),
            kBoundedMs);
  expect_unavailable(status, *upstream, "connect");
  EXPECT_EQ(body.begun, 0);
}

TEST(HostilePrimary, AckIsNeverAnswered) {
  TalkingServer server([](Peer& peer) { peer.wait_for_close(); });
  const auto upstream = make_upstream(upstream_settings(server.url()));
  UpstreamHead head;
  Status status;
  const int64_t ms =
      milliseconds_of([&] { status = upstream->post_ack(Uid{}, Uid{}, 1, {}, &head); });
  EXPECT_GE(ms, 450);
  EXPECT_LT(ms, kBoundedMs);
  expect_unavailable(status, *upstream, "no answer in time");
}

TEST(HostilePrimary, AnswerOfAnAckDrips) {
  TalkingServer server([](Peer& peer) {
    peer.read_request();
    bool alive = peer.send(ok_head("Content-Length: 1000000\r\n"));
    while (alive) alive = peer.send("x") && peer.wait(20);
  });
  const auto upstream = make_upstream(upstream_settings(server.url()));
  UpstreamHead head;
  Status status;
  EXPECT_LT(milliseconds_of([&] { status = upstream->post_ack(Uid{}, Uid{}, 1, {}, &head); }),
            kBoundedMs);
  expect_unavailable(status, *upstream, "in time");
}

TEST(HostilePrimary, IsNotFollowedElsewhere) {
  TalkingServer elsewhere([](Peer& peer) { peer.read_request(); });
  TalkingServer server([&](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + elsewhere.url() +
              "replication/log\r\n\r\n");
  });
  const auto upstream = make_upstream(upstream_settings(server.url()));
  CollectedBody body;
  EXPECT_TRUE(upstream->get_log(Hello{}, body).is_ok());
  EXPECT_EQ(body.head.status, 302);
  EXPECT_FALSE(body.head.node.has_value());
  EXPECT_NE(upstream->failure().find("302"), std::string::npos) << upstream->failure();
  EXPECT_EQ(elsewhere.connections(), 0);
}

TEST(HttpUpstream, StreamLastsAsLongAsItSpeaks) {
  TalkingServer server([](Peer& peer) {
    peer.read_request();
    peer.send(ok_head());
    for (int i = 0; i < 10; i++) {
      if (!peer.wait(150) || !peer.send("x")) return;
    }
    peer.wait_for_close();
  });
  const auto upstream = make_upstream(upstream_settings(server.url()));
  CollectedBody body;
  Status status;
  const int64_t ms = milliseconds_of([&] { status = upstream->get_log(Hello{}, body); });
  EXPECT_EQ(body.total, 10u);
  EXPECT_GE(ms, 1'900);
  expect_unavailable(status, *upstream, "stopped");
}

TEST(HttpUpstream, HeadIsThereBeforeTheBody) {
  std::atomic<bool> send_body = false;
  TalkingServer server([&](Peer& peer) {
    peer.read_request();
    peer.send(ok_head());
    while (!send_body && peer.wait(5)) {
    }
    peer.send("body");
  });
  UpstreamSettings settings = upstream_settings(server.url());
  settings.timeout_ms = 20'000;
  const auto upstream = make_upstream(settings);
  CollectedBody body;
  std::thread thread([&] { EXPECT_TRUE(upstream->get_log(Hello{}, body).is_ok()); });
  EXPECT_TRUE(poll_until([&] { return body.begun == 1; }));
  EXPECT_EQ(body.total, 0u);
  send_body = true;
  thread.join();
  EXPECT_EQ(body.text, "body");
  EXPECT_EQ(upstream->failure(), "");
}

TEST(HttpUpstream, BodyEndsTheCallWhenItWants) {
  TalkingServer server([](Peer& peer) {
    peer.read_request();
    peer.send(ok_head());
    while (peer.send(std::string(10'000, 'x'))) {
    }
  });
  const auto upstream = make_upstream(upstream_settings(server.url()));
  CollectedBody first;
  first.bytes_max = 5'000'000;
  EXPECT_TRUE(upstream->get_log(Hello{}, first).is_ok());
  EXPECT_GE(first.total, first.bytes_max);
  EXPECT_LT(first.total, first.bytes_max + 1'000'000);
  CollectedBody second;
  second.wants_body = false;
  EXPECT_TRUE(upstream->get_log(Hello{}, second).is_ok());
  EXPECT_EQ(second.begun, 1);
  EXPECT_EQ(second.total, 0u);
  EXPECT_EQ(server.connections(), 2);
}

TEST(HttpUpstream, AsksAgainWhereAKeptConnectionWasClosed) {
  TalkingServer server([](Peer& peer) {
    peer.read_request();
    peer.send(ok_head("Content-Length: 0\r\n"));
  });
  const auto upstream = make_upstream(upstream_settings(server.url()));
  for (int i = 0; i < 5; i++) {
    UpstreamHead head;
    EXPECT_TRUE(upstream->post_ack(Uid{}, Uid{}, 1, {}, &head).is_ok()) << upstream->failure();
    EXPECT_EQ(head.status, 200);
    EXPECT_TRUE(head.node.has_value());
  }
  EXPECT_EQ(server.connections(), 5);
}

TEST(HttpUpstream, AsksNoProxyOfTheEnvironment) {
  TalkingServer proxy([](Peer&) {});
  TalkingServer server([](Peer& peer) {
    peer.read_request();
    peer.send(ok_head("Content-Length: 0\r\n"));
  });
  setenv("http_proxy", proxy.url().c_str(), 1);
  setenv("all_proxy", proxy.url().c_str(), 1);
  UpstreamHead head;
  EXPECT_TRUE(
      make_upstream(upstream_settings(server.url()))->post_ack(Uid{}, Uid{}, 1, {}, &head).is_ok());
  unsetenv("http_proxy");
  unsetenv("all_proxy");
  EXPECT_EQ(proxy.connections(), 0);
}

// Some authority: the system's are many, and take their time to be loaded.
constexpr const char* kAuthority =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBgDCCASWgAwIBAgIUUO/800rwb8GtTRaRqOatyqo6vxAwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJYXV0aG9yaXR5MCAXDTI2MTEyMjIzNTkzNloYDzIxMjYxMDI5\n"
    "MjM1OTM2WjAUMRIwEAYDVQQDDAlhdXRob3JpdHkwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAAQXKgTjwQDTPbz7UkhxwhF/dEYJTbUD2Nf+9sV/lsl9I1CN7/xAna0K\n"
    "VW9dVMzWnni2hWAP+9NBHmG9vUhvuMtio1MwUTAdBgNVHQ4EFgQUV8Xa0srcU+L0\n"
    "6J7q7kx8v91sLqkwHwYDVR0jBBgwFoAUV8Xa0srcU+L06J7q7kx8v91sLqkwDwYD\n"
    "VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAnKplZPtRdXnYV6Xt+2ge\n"
    "32kNNukK2tpnX7plD3PeSQECIQCJdsrwTl0uqvN62c4EE8+mE36WoST0ANfC7ZvH\n"
    "VlAHpw==\n"
    "-----END CERTIFICATE-----\n";

// Interrupts a call once `is_blocked`, several times; how long the fastest took to return.
int64_t interrupted_after_ms(Upstream& upstream, const std::function<bool()>& is_blocked,
                             const std::function<void()>& between) {
  int64_t fastest = INT64_MAX;
  for (int i = 0; i < 3; i++) {
    CollectedBody body;
    Status status;
    std::thread thread([&] { status = upstream.get_log(Hello{}, body); });
    EXPECT_TRUE(poll_until(is_blocked));
    const int64_t ms = milliseconds_of([&] {
      upstream.interrupt();
      thread.join();
    });
    fastest = std::min(fastest, ms);
    EXPECT_EQ(status.code(), Code::kInterrupted) << status.text() << upstream.failure();
    upstream.resume();
    between();
  }
  return fastest;
}

TEST(HttpUpstream, InterruptEndsACallWhereverItWaits) {
  struct Case {
    std::string answer;
    const char* scheme;
  };
  const Case cases[] = {{"", "http"}, {"", "https"}, {ok_head() + "body", "http"}};
  for (const Case& test : cases) {
    std::atomic<bool> blocked = false;
    TalkingServer server([&](Peer& peer) {
      if (test.scheme == std::string("http")) {
        peer.read_request();
        peer.send(test.answer);
        peer.wait(50);
      } else {
        peer.wait(20'000);  // the handshake has begun
      }
      blocked = true;
      peer.wait_for_close();
    });
    UpstreamSettings settings = upstream_settings(server.url(test.scheme));
    settings.timeout_ms = settings.connect_timeout_ms = 30'000;
    if (settings.is_https()) settings.ca_pem = kAuthority;
    const auto upstream = make_upstream(settings);
    EXPECT_LT(interrupted_after_ms(
                  *upstream, [&] { return blocked.load(); }, [&] { blocked = false; }),
              100)
        << test.scheme << test.answer;
  }
}

TEST(HttpUpstream, InterruptEndsTheLookUpOfAName) {
  slow_lookups = 0;
  slow_lookup_end = eventfd(0, EFD_CLOEXEC);
  UpstreamSettings settings = upstream_settings("http://slow.invalid/v1/");
  settings.connect_timeout_ms = 30'000;
  int expected = 1;
  auto upstream = make_upstream(settings);
  EXPECT_LT(interrupted_after_ms(
                *upstream, [&] { return slow_lookups == expected; }, [&] { expected++; }),
            100);

  settings.connect_timeout_ms = 200;
  upstream = make_upstream(settings);
  CollectedBody body;
  Status status;
  EXPECT_LT(milliseconds_of([&] { status = upstream->get_log(Hello{}, body); }), kBoundedMs);
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(upstream->failure(), "");
  EXPECT_LT(milliseconds_of([&] { upstream.reset(); }), 1'000);
  eventfd_write(slow_lookup_end, 1);  // stays open: the look-ups may outlive the test
}

TEST(HttpUpstream, InterruptEndsLaterCallsUntilItIsResumed) {
  TalkingServer server([](Peer& peer) {
    peer.read_request();
    peer.send(ok_head("Content-Length: 0\r\n"));
  });
  const auto upstream = make_upstream(upstream_settings(server.url()));
  upstream->interrupt();
  upstream->interrupt();
  UpstreamHead head;
  CollectedBody body;
  EXPECT_EQ(upstream->post_ack(Uid{}, Uid{}, 1, {}, &head).code(), Code::kInterrupted);
  EXPECT_EQ(upstream->get_log(Hello{}, body).code(), Code::kInterrupted);
  EXPECT_EQ(server.connections(), 0);
  upstream->resume();
  EXPECT_TRUE(upstream->post_ack(Uid{}, Uid{}, 1, {}, &head).is_ok()) << upstream->failure();
}

TEST(HttpUpstream, InterruptEndsAFloodThatNeverPauses) {
  TalkingServer server([](Peer& peer) {
    peer.read_request();
    peer.send(ok_head());
    while (peer.send(std::string(100'000, 'x'))) {
    }
  });
  const auto upstream = make_upstream(upstream_settings(server.url()));
  CollectedBody body;
  Status status;
  std::thread thread([&] { status = upstream->get_log(Hello{}, body); });
  EXPECT_TRUE(poll_until([&] { return body.total > 10'000'000; }));
  upstream->interrupt();
  EXPECT_LT(milliseconds_of([&] { thread.join(); }), 1'000);
  EXPECT_EQ(status.code(), Code::kInterrupted);
}

}  // namespace
}  // namespace small_db::testing
