// A primary rings the bells of those workers that send its log to somebody, and of no other: also
// when a worker was killed in the middle of that.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "tests/chaos/region_view.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"

namespace small_db::testing {
namespace {

std::vector<pid_t> watchers_of(const NginxServer& server) {
  const auto view = look_at_region(server.master());
  return view ? view->log_watchers : std::vector<pid_t>();
}

TEST(LogWatchers, NothingStaysRaisedWhenAWorkerIsKilledThatSendsTheLog) {
  ReplicaPair pair({.workers = 2}, {.workers = 1});
  pair.start();
  pair.primary().allow_log("on signal 9");
  for (int i = 0; i < 3; ++i) {
    std::vector<pid_t> watchers;
    ASSERT_TRUE(poll_until([&] {
      watchers = watchers_of(pair.primary());
      const std::vector<pid_t> workers = pair.primary().workers();
      return watchers.size() == 1 &&
             std::find(workers.begin(), workers.end(), watchers[0]) != workers.end();
    })) << watchers.size();
    kill(watchers[0], SIGKILL);
    ASSERT_TRUE(poll_until([&] { return !is_running(watchers[0]); }));
    pair.put("key" + std::to_string(i), "value");
    ASSERT_TRUE(pair.backup_catches_up()) << pair.logs();
  }
  pair.backup().stop();
  EXPECT_TRUE(poll_until([&] { return watchers_of(pair.primary()).empty(); }));
}

}  // namespace
}  // namespace small_db::testing
