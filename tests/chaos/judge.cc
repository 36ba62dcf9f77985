#include "tests/chaos/judge.h"

#include <algorithm>
#include <sstream>

namespace small_db::testing {
namespace {

bool explains(DisturbanceKind kind, const Trouble& trouble) {
  switch (trouble.kind) {
    case Trouble::Kind::kNoAnswer:
      return kind == DisturbanceKind::kWorkerKill || kind == DisturbanceKind::kPower ||
             (trouble.http2 &&
              (kind == DisturbanceKind::kReload || kind == DisturbanceKind::kFault));
    case Trouble::Kind::kUnavailable:
      return kind == DisturbanceKind::kFault || kind == DisturbanceKind::kPower;
    case Trouble::Kind::kNotPrimary:
    case Trouble::Kind::kWrong:
      break;
  }
  return false;
}

bool holds(const std::string& line, const char* text) {
  return line.find(text) != std::string::npos;
}

}  // namespace

std::string judge(const Trouble& trouble, const std::vector<Disturbance>& disturbances) {
  const bool explained =
      std::any_of(disturbances.begin(), disturbances.end(), [&](const Disturbance& one) {
        return explains(one.kind, trouble) && one.begin <= trouble.end && trouble.start <= one.end;
      });
  if (explained) return "";
  std::ostringstream text;
  text << "from " << trouble.start << " to " << trouble.end << " ns"
       << (trouble.http2 ? " over HTTP/2" : "") << ": " << trouble.text;
  for (const Disturbance& one : disturbances) {
    constexpr int64_t kNear = 1'000'000'000;
    if (one.begin > trouble.end || one.end + kNear < trouble.start) continue;
    text << "\n  near it: disturbance " << static_cast<int>(one.kind) << " from " << one.begin
         << " to " << one.end;
  }
  return text.str();
}

uint64_t count_reads_during_kills(const History& history,
                                  const std::vector<Disturbance>& disturbances) {
  std::vector<Disturbance> kills;
  std::copy_if(disturbances.begin(), disturbances.end(), std::back_inserter(kills),
               [](const Disturbance& one) { return one.kind == DisturbanceKind::kStorageKill; });
  uint64_t count = 0;
  for (const Operation& operation : history) {
    if (operation.is_write()) continue;
    // The last kill before the get began: there is one disturbance after the other.
    const auto after =
        std::upper_bound(kills.begin(), kills.end(), operation.start,
                         [](int64_t time, const Disturbance& one) { return time < one.begin; });
    if (after != kills.begin() && operation.end <= std::prev(after)->end) count++;
  }
  return count;
}

std::vector<std::string> judge_error_log(const std::string& log,
                                         const std::vector<Disturbance>& disturbances) {
  const auto count = [&](auto... kinds) {
    return std::count_if(disturbances.begin(), disturbances.end(),
                         [&](const Disturbance& one) { return ((one.kind == kinds) || ...); });
  };
  auto kills = count(DisturbanceKind::kStorageKill, DisturbanceKind::kWorkerKill);
  auto faults = count(DisturbanceKind::kFault);
  std::vector<std::string> unexplained;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    if (!holds(line, "[alert]") && !holds(line, "[emerg]") && !holds(line, "[crit]")) continue;
    if (holds(line, "exited on signal 9") && kills-- > 0) continue;
    if ((holds(line, "exited on signal 11") || holds(line, "exited on signal 6")) && faults-- > 0) {
      continue;
    }
    unexplained.push_back(line);
  }
  return unexplained;
}

}  // namespace small_db::testing
