#include "tests/chaos/run.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "tests/chaos/footprint.h"
#include "tests/chaos/judge.h"
#include "tests/chaos/linearizability.h"
#include "tests/chaos/prepared_store.h"

namespace small_db::testing {
namespace {

constexpr size_t kViolationsShown = 10;

class ChaosRun {
 public:
  explicit ChaosRun(const ChaosOptions& options);
  ChaosReport run();

 private:
  NginxOptions nginx_options() const;
  void disturb();
  void read_everything();
  void check_rest(const Footprint& before);
  void judge_notes();
  void judge_history(const History& history);
  void violation(const std::string& text);

  const ChaosOptions options_;
  TempDirectory data_;
  NginxServer server_;
  std::unique_ptr<ChaosClients> clients_;
  std::unique_ptr<ChaosClient> probe_;  // the run's own
  std::unique_ptr<Disturber> disturber_;
  ChaosReport report_;
};

ChaosRun::ChaosRun(const ChaosOptions& options) : options_(options), server_(nginx_options()) {
  // A process that faults on purpose leaves no core.
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  for (const char* text : {"exited on signal 9", "exited on signal 11", "exited on signal 6"}) {
    server_.allow_log(text);  // they are counted
  }
}

// Checkpoints come often, so that they are made while all else goes on.
NginxOptions ChaosRun::nginx_options() const {
  NginxOptions nginx;
  nginx.workers = options_.workers;
  nginx.memory = std::to_string(options_.memory_mib) + "m";
  nginx.data_directory = data_.path() + "/store";
  nginx.store_lines = "checkpoint interval=2s log_size=32m;\n";
  // nginx 1.22 does not tell a connection of HTTP/2 that it accepts while a worker begins to drain
  // to go away: that worker stays until the connection was idle for this long.
  nginx.http_lines = "keepalive_timeout 5s;\n";
  return nginx;
}

void ChaosRun::violation(const std::string& text) { report_.violations.push_back(text); }

void ChaosRun::disturb() {
  const int64_t end = now_ns() + static_cast<int64_t>(options_.seconds * 1e9);
  const uint64_t most = options_.disturbances_max;
  while (now_ns() < end && (most == 0 || disturber_->done().size() < most) &&
         !::testing::Test::HasFailure()) {
    disturber_->do_anything(options_.mix);
    disturber_->pause(options_.pause_ms_max);
  }
}

void ChaosRun::read_everything() {
  for (uint32_t key = 0; key <= options_.clients.keys; key++) {
    if (!probe_->get(key)) violation("can't be read in the end: key " + std::to_string(key));
  }
}

void ChaosRun::check_rest(const Footprint& before) {
  Footprint after;
  if (!await_rest(server_, static_cast<size_t>(options_.workers), &after)) {
    violation("does not come to rest: " + describe(after));
  }
  report_.footprint = describe(after);
  if (after.master != before.master) return;  // all of it was replaced
  const std::string leak = find_leak(before, after);
  if (!leak.empty()) violation("a leak:\n" + leak);
}

void ChaosRun::judge_history(const History& history) {
  for (const Operation& operation : history) {
    report_.operations++;
    if (!operation.is_write()) continue;
    (operation.is_unknown() ? report_.unknown : report_.writes_acknowledged)++;
  }
  report_.reads_in_kills = count_reads_during_kills(history, disturber_->done());
  for (const Verdict& verdict : {check_linearizable(history), check_revisions(history)}) {
    if (!verdict.holds) violation(verdict.why_not);
  }
}

void ChaosRun::judge_notes() {
  std::vector<const Notes*> all = {&probe_->notes()};
  for (const auto& client : clients_->all()) all.push_back(&client->notes());
  History history;
  for (const Notes* notes : all) {
    history.insert(history.end(), notes->history.begin(), notes->history.end());
    report_.sent_again += notes->sent_again;
    report_.longest = std::max(report_.longest, notes->longest);
    for (const Trouble& trouble : notes->troubles) {
      report_.unanswered += trouble.kind == Trouble::Kind::kNoAnswer ? 1 : 0;
      report_.unavailable += trouble.kind == Trouble::Kind::kUnavailable ? 1 : 0;
      const std::string complaint = judge(trouble, disturber_->done());
      if (!complaint.empty()) violation(complaint);
    }
  }
  judge_history(history);
  const bool may_close_connections =
      options_.mix.worker_kills + options_.mix.reloads + options_.mix.powers + options_.mix.faults >
      0;
  if (report_.sent_again > 0 && !may_close_connections) {
    violation(std::to_string(report_.sent_again) + " kept connections were closed under a request");
  }
  for (const std::string& line : judge_error_log(server_.error_log(), disturber_->done())) {
    violation("in the error log: " + line);
  }
}

ChaosReport ChaosRun::run() {
  if (options_.prepared_keys > 0 && !prepare_store(server_.data_directory(), options_.prepared_keys,
                                                   options_.memory_mib * 1024 * 1024)) {
    violation("the store could not be prepared");
    return report_;
  }
  server_.start();
  // A key of its own, behind those of the others.
  const uint32_t probe_key = options_.clients.keys;
  probe_ =
      std::make_unique<ChaosClient>(1'000'000, server_.port(), HttpVersion::k1_1, options_.clients);
  disturber_ = std::make_unique<Disturber>(&server_, probe_.get(), probe_key, options_.seed);
  clients_ = std::make_unique<ChaosClients>(server_.port(), server_.http2_port(), options_.clients);
  Footprint before;
  if (!await_rest(server_, static_cast<size_t>(options_.workers), &before)) {
    violation("does not come to rest at the start: " + describe(before));
  }
  clients_->start();
  disturb();
  clients_->stop();
  read_everything();
  check_rest(before);
  // What is on disk is the same.
  server_.kill_everything();
  server_.start();
  read_everything();
  server_.stop();
  server_.start();
  read_everything();
  server_.stop();
  for (size_t kind = 0; kind < kDisturbanceKinds; kind++) {
    report_.disturbances[kind] = disturber_->count(static_cast<DisturbanceKind>(kind));
  }
  report_.resume_times = disturber_->resume_times();
  report_.reload_times = disturber_->reload_times();
  judge_notes();
  return report_;
}

std::string times_text(const std::vector<int64_t>& times) {
  char text[120];
  std::snprintf(text, sizeof(text), "median %.1f, p99 %.1f, max %.1f ms (of %zu)",
                percentile_ms(times, 50), percentile_ms(times, 99), percentile_ms(times, 100),
                times.size());
  return text;
}

}  // namespace

double percentile_ms(std::vector<int64_t> times, double percent) {
  if (times.empty()) return 0;
  std::sort(times.begin(), times.end());
  const double last = static_cast<double>(times.size() - 1);
  return static_cast<double>(times[static_cast<size_t>(last * percent / 100 + 0.5)]) / 1e6;
}

std::string ChaosReport::text() const {
  std::string text;
  const auto line = [&](const std::string& name, const std::string& value) {
    text += name + std::string(name.size() < 34 ? 34 - name.size() : 1, ' ') + value + "\n";
  };
  const auto number = [&](const std::string& name, uint64_t value) {
    line(name, std::to_string(value));
  };
  const auto done = [&](DisturbanceKind kind) { return disturbances[static_cast<size_t>(kind)]; };
  number("kills of the storage process", done(DisturbanceKind::kStorageKill));
  number("kills of an HTTP worker", done(DisturbanceKind::kWorkerKill));
  number("faults of the storage process", done(DisturbanceKind::kFault));
  number("reloads", done(DisturbanceKind::kReload));
  number("kills of everything", done(DisturbanceKind::kPower));
  number("operations", operations);
  number("writes acknowledged", writes_acknowledged);
  number("writes of unknown outcome", unknown);
  number("requests without an answer", unanswered);
  number("answers 503", unavailable);
  number("requests sent again", sent_again);
  number("reads during kills of storage", reads_in_kills);
  line("longest answer", std::to_string(longest / 1'000'000) + " ms");
  line("writes resume after a kill in", times_text(resume_times));
  line("writes resume after a fault in", times_text(reload_times));
  line("at rest", footprint);
  number("violations", violations.size());
  for (size_t i = 0; i < std::min(violations.size(), kViolationsShown); i++) {
    text += "VIOLATION " + violations[i] + "\n";
  }
  return text;
}

ChaosReport run_chaos(const ChaosOptions& options) { return ChaosRun(options).run(); }

}  // namespace small_db::testing
