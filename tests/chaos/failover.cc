#include "tests/chaos/failover.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>

#include "tests/chaos/failover_clients.h"
#include "tests/chaos/linearizability.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"

namespace small_db::testing {
namespace {

constexpr int kDeadlineMs = 60'000;
constexpr size_t kViolationsShown = 10;

// A node may acknowledge writes that were under way within this time.
struct Span {
  size_t node = 0;
  int64_t begin = 0;
  int64_t end = kNever;
};

bool holds(const Span& span, size_t node, const Operation& operation) {
  return span.node == node && span.begin <= operation.start && operation.end <= span.end;
}

bool meets(const Span& span, size_t node, const Operation& operation) {
  return span.node == node && span.begin <= operation.end && operation.start <= span.end;
}

class FailoverRun {
 public:
  explicit FailoverRun(const FailoverOptions& options);
  FailoverReport run();

 private:
  NginxOptions with_lines(const std::string& lines) const;
  std::string backup_line(size_t node);
  NginxServer& server(size_t node) { return *servers_[node]; }
  std::string logs() const;
  size_t other() const { return kNodes - 1 - primary_; }

  bool start();
  bool await(const char* what, const std::function<bool()>& condition);
  bool streams(size_t node);
  bool await_write();
  bool do_one(Misfortune misfortune);
  bool restart_one(Misfortune misfortune);
  void befall(Misfortune misfortune);
  bool promote_the_other();
  bool bring_back(Misfortune misfortune, size_t node);
  bool become_backup(size_t node);
  bool finish();

  void judge();
  History judged_history(size_t node, const std::vector<const Notes*>& notes);
  void count(const Operation& operation);
  void violation(const std::string& text) { report_.violations.push_back(text); }

  const FailoverOptions options_;
  std::array<std::unique_ptr<NginxServer>, kNodes> servers_;
  std::array<std::unique_ptr<ChaosClient>, kNodes> probes_;
  std::unique_ptr<FailoverClients> clients_;
  std::vector<pid_t> frozen_;
  std::vector<Span> readable_;  // when a node was the primary, and told
  std::vector<Span> writable_;  // when it may have acknowledged
  size_t primary_ = 0;
  uint64_t spellings_ = 0;
  FailoverReport report_;
};

FailoverRun::FailoverRun(const FailoverOptions& options) : options_(options) {
  for (size_t node = 0; node < kNodes; ++node) {
    servers_[node] = std::make_unique<NginxServer>(with_lines(""));
  }
}

// Each node may become the primary, so each waits for the other.
NginxOptions FailoverRun::with_lines(const std::string& lines) const {
  NginxOptions nginx;
  nginx.workers = 2;
  nginx.memory = "32m";
  nginx.store_lines = "checkpoint interval=3s;\n" + options_.ack_line + lines;
  return nginx;
}

// Another spelling each time: it means a primary that was not set aside.
std::string FailoverRun::backup_line(size_t node) {
  const std::string host = spellings_++ % 2 == 0 ? "127.0.0.1" : "localhost";
  return "backup_of http://" + host + ":" + std::to_string(server(kNodes - 1 - node).port()) +
         "/v1/;\n";
}

bool FailoverRun::await(const char* what, const std::function<bool()>& condition) {
  if (poll_until(condition, kDeadlineMs)) return true;
  violation(std::string("in vain: ") + what + logs());
  return false;
}

std::string FailoverRun::logs() const {
  return "\nnode 0:\n" + servers_[0]->error_log() + "node 1:\n" + servers_[1]->error_log();
}

bool FailoverRun::streams(size_t node) {
  const nlohmann::json status = status_of_node(server(node).port());
  return !status.empty() && status["role"] == "backup" && status["state"] == "serving" &&
         status["replication"]["following"]["phase"] == "streaming";
}

// A write that begins now, and is acknowledged by the primary.
bool FailoverRun::await_write() {
  return await("a write is acknowledged",
               [&] { return probes_[primary_]->put(options_.client.keys); });
}

bool FailoverRun::start() {
  server(0).start();
  server(1).configure(with_lines(backup_line(1)));
  server(1).start();
  NodePorts ports{server(0).port(), server(1).port()};
  for (size_t node = 0; node < kNodes; ++node) {
    probes_[node] = std::make_unique<ChaosClient>(static_cast<uint32_t>(1'000'000 + node),
                                                  ports[node], HttpVersion::k1_1, options_.client);
  }
  clients_ = std::make_unique<FailoverClients>(ports, options_.clients, options_.client);
  if (!await("the backup follows", [&] { return streams(1); }) || !await_write()) return false;
  readable_.push_back({0, now_ns()});
  writable_.push_back({0, 0});
  clients_->start();
  return true;
}

// What happens to the primary.
void FailoverRun::befall(Misfortune misfortune) {
  NginxServer& node = server(primary_);
  if (misfortune == Misfortune::kPromotedBeside) return;
  if (misfortune == Misfortune::kFrozen) {
    frozen_ = children_of(node.master());
    frozen_.push_back(node.master());
    for (const pid_t pid : frozen_) EXPECT_TRUE(freeze(pid));
    return;
  }
  node.kill_everything();
  if (misfortune == Misfortune::kDiskLost) std::filesystem::remove_all(node.data_directory());
}

bool FailoverRun::promote_the_other() {
  const size_t next = other();
  const int64_t begin = now_ns();
  const HttpResponse response = post_to(server(next).port(), "/v1/promote");
  if (response.status != 200) {
    violation("not promoted: " + response.error + response.body + logs());
    return false;
  }
  const int64_t done = now_ns();
  writable_.back().end = done;
  writable_.push_back({next, begin});
  readable_.push_back({next, done});
  primary_ = next;
  clients_->use(next);
  ++report_.promotions;
  return true;
}

bool FailoverRun::become_backup(size_t node) {
  const auto becomes = [&] { return role_of_node(server(node).port()) != "primary"; };
  // Nobody has told it but the promoted one.
  if (!await("the former primary is fenced", becomes)) return false;
  server(node).reload(with_lines(backup_line(node)));
  return true;
}

bool FailoverRun::bring_back(Misfortune misfortune, size_t node) {
  switch (misfortune) {
    case Misfortune::kFrozen:
      for (const pid_t pid : frozen_) kill(pid, SIGCONT);
      return become_backup(node);
    case Misfortune::kPromotedBeside:
      return become_backup(node);
    case Misfortune::kComesUnaware:
      server(node).configure(with_lines(""));
      server(node).start(Until::kListening);
      return become_backup(node);
    default:
      server(node).configure(with_lines(backup_line(node)));
      server(node).start(Until::kListening);
      return true;
  }
}

bool FailoverRun::restart_one(Misfortune misfortune) {
  if (misfortune == Misfortune::kBackupKilled) {
    server(other()).kill_everything();
    server(other()).start(Until::kListening);
    return await_write();
  }
  readable_.back().end = now_ns();
  server(primary_).kill_everything();
  server(primary_).start(Until::kListening);
  if (!await_write()) return false;
  readable_.push_back({primary_, now_ns()});
  return true;
}

bool FailoverRun::do_one(Misfortune misfortune) {
  const uint64_t enough = clients_->writes_acknowledged(primary_) + options_.writes_between;
  if (!await("clients' writes are acknowledged",
             [&] { return clients_->writes_acknowledged(primary_) >= enough; })) {
    return false;
  }
  const int64_t begin = now_ns();
  if (misfortune == Misfortune::kRestarted || misfortune == Misfortune::kBackupKilled) {
    if (!restart_one(misfortune)) return false;
  } else {
    const size_t former = primary_;
    readable_.back().end = begin;
    befall(misfortune);
    if (!promote_the_other() || !bring_back(misfortune, former) || !await_write()) return false;
  }
  int64_t& longest = report_.writes_resumed_ms[name_of(misfortune)];
  longest = std::max(longest, (now_ns() - begin) / 1'000'000);
  return await("the backup follows", [&] { return streams(other()); });
}

// Both hold the same in the end, and what they hold is judged with all else.
bool FailoverRun::finish() {
  const int port = server(primary_).port();
  const bool same = await("the backup catches up",
                          [&] { return catches_up(server(other()).port(), port, 1'000); });
  if (same) expect_same_content(server(other()).port(), port);
  for (uint32_t key = 0; key <= options_.client.keys; ++key) {
    if (!probes_[primary_]->get(key)) violation("can't be read: key " + std::to_string(key));
  }
  return same;
}

void FailoverRun::count(const Operation& operation) {
  if (!operation.is_write()) {
    report_.reads_judged++;
  } else {
    (operation.is_unknown() ? report_.unknown : report_.writes_acknowledged)++;
  }
}

History FailoverRun::judged_history(size_t node, const std::vector<const Notes*>& notes) {
  History history;
  const auto any = [&](const std::vector<Span>& spans, auto fits, const Operation& operation) {
    return std::any_of(spans.begin(), spans.end(),
                       [&](const Span& span) { return fits(span, node, operation); });
  };
  for (const Notes* some : notes) {
    for (const Trouble& trouble : some->troubles) {
      if (trouble.kind == Trouble::Kind::kWrong) violation(trouble.text);
      report_.refused += trouble.kind != Trouble::Kind::kNoAnswer ? 1 : 0;
    }
    for (const Operation& operation : some->history) {
      if (!operation.is_write() && !any(readable_, holds, operation)) {
        report_.reads_left_out++;
        continue;
      }
      if (operation.is_write() && !operation.is_unknown() && !any(writable_, meets, operation)) {
        violation("acknowledged by node " + std::to_string(node) +
                  ", which was not the primary: " + describe(operation));
      }
      count(operation);
      history.push_back(operation);
    }
  }
  return history;
}

void FailoverRun::judge() {
  History history;
  for (size_t node = 0; node < kNodes; ++node) {
    std::vector<const Notes*> notes = clients_->notes(node);
    notes.push_back(&probes_[node]->notes());
    const History part = judged_history(node, notes);
    history.insert(history.end(), part.begin(), part.end());
  }
  report_.sent_to_the_other = clients_->sent_to_the_other();
  for (const Verdict& verdict : {check_linearizable(history), check_revisions(history)}) {
    if (!verdict.holds) violation(verdict.why_not);
  }
}

FailoverReport FailoverRun::run() {
  if (!start()) return report_;
  const bool done = std::all_of(options_.misfortunes.begin(), options_.misfortunes.end(),
                                [this](Misfortune misfortune) { return do_one(misfortune); });
  clients_->stop();
  if (done) finish();
  judge();
  return report_;
}

}  // namespace

const char* name_of(Misfortune misfortune) {
  constexpr std::array<const char*, kMisfortunes> kNames = {
      "killed",          "comes back unaware", "disk lost",    "frozen",
      "promoted beside", "restarted",          "backup killed"};
  return kNames[static_cast<size_t>(misfortune)];
}

std::string FailoverReport::text() const {
  std::ostringstream text;
  text << promotions << " promotions, " << writes_acknowledged << " writes acknowledged, "
       << unknown << " of unknown outcome, " << refused << " requests refused, " << reads_judged
       << " reads judged, " << reads_left_out << " left out, " << sent_to_the_other
       << " puts to the other node\n";
  for (const auto& [name, ms] : writes_resumed_ms) {
    text << "  writes resumed after \"" << name << "\" in " << ms << " ms at most\n";
  }
  text << violations.size() << " violations\n";
  for (size_t i = 0; i < std::min(violations.size(), kViolationsShown); ++i) {
    text << "VIOLATION " << violations[i] << "\n";
  }
  return text.str();
}

FailoverReport run_failover(const FailoverOptions& options) { return FailoverRun(options).run(); }

}  // namespace small_db::testing
