// The owner dies between any two stores, within batches and changes of records that expire: whoever
// adopts the region finds a state that was published, as a whole, and goes on from it.
#include "engine/base/kill_point.h"

#ifdef SMALL_DB_KILL_POINTS

#include <sys/wait.h>
#include <unistd.h>

#include "tests/engine/table/expiry_test_support.h"

namespace small_db {
namespace {

int points = 0;
int fatal_point = 0;

void count_and_die(const char*) noexcept {
  if (++points != fatal_point) return;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

class TableKillTest : public ExpiryTest {
 protected:
  ~TableKillTest() override { kill_point_hook = nullptr; }

  // An owner's life, always the same. Notes what it publishes.
  void live() {
    std::mt19937_64 random(1);
    points = 0;
    kill_point_hook = count_and_die;
    for (int batch = 0; batch < 6; ++batch) {
      begin();
      for (int change = 0; change < 3; ++change) {
        begin_change();
        for (int i = 0; i < 20; ++i) ASSERT_OK(do_something(random, 600));
        random() % 2 == 0 ? keep_change() : undo_change();
        ASSERT_OK(do_something(random, 600));
      }
      const BlockRef root = seal();
      states_[revision_] = model_;
      publish(root);
    }
    kill_point_hook = nullptr;
  }

  void live_and_die_at(int point) {
    fatal_point = point;
    const pid_t owner = fork();
    if (owner == 0) {
      live();
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(owner, &status, 0), owner);
    ASSERT_TRUE(WIFSIGNALED(status));
  }

  std::map<uint64_t, ExpiryModel> states_{{0, {}}};  // by revision
};

TEST_F(TableKillTest, LeavesAPublishedStateWherever) {
  live();
  const int points_of_a_life = points;
  ASSERT_GT(points_of_a_life, 300);
  std::mt19937_64 random(2);
  for (int round = 0; round < 80; ++round) {
    table_->clear();
    model_.clear();
    revision_ = 0;
    ASSERT_NO_FATAL_FAILURE(live_and_die_at(1 + static_cast<int>(random() % points_of_a_life)));
    table_ = std::make_unique<Table>(region_);
    ASSERT_OK(table_->adopt());
    revision_ = table_->published() == nullptr ? 0 : table_->published()->revision;
    ASSERT_EQ(states_.count(revision_), 1U);
    model_ = states_[revision_];
    ASSERT_NO_FATAL_FAILURE(expect_model());
    begin();
    begin_change();
    for (int i = 0; i < 20; ++i) ASSERT_OK(do_something(random, 600));
    random() % 2 == 0 ? keep_change() : undo_change();
    commit();
    ASSERT_NO_FATAL_FAILURE(expect_model());
  }
}

}  // namespace
}  // namespace small_db

#endif
