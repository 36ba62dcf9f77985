#include "engine/client/in_flight.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

namespace small_db {
namespace {

uint64_t insert(InFlightTable& table, uint64_t cookie, uint64_t sequence) {
  EXPECT_TRUE(table.make_room());
  table.insert({cookie, sequence, false, false});
  return sequence;
}

TEST(InFlightTable, FindsWhatWasInsertedUntilItIsErased) {
  InFlightTable table;
  EXPECT_EQ(table.find(7), nullptr);
  insert(table, 7, 1);
  insert(table, 8, 2);
  ASSERT_NE(table.find(7), nullptr);
  EXPECT_EQ(table.find(7)->sequence, 1u);
  EXPECT_FALSE(table.find(7)->cancelled);
  EXPECT_EQ(table.size(), 2u);
  table.erase(table.find(7));
  EXPECT_EQ(table.find(7), nullptr);
  EXPECT_EQ(table.find(8)->sequence, 2u);
  EXPECT_EQ(table.size(), 1u);
}

TEST(InFlightTable, KeepsWhatIsChangedInPlace) {
  InFlightTable table;
  insert(table, 7, 1);
  table.find(7)->cancelled = true;
  for (uint64_t cookie = 100; cookie < 1000; ++cookie) insert(table, cookie, cookie);
  EXPECT_TRUE(table.find(7)->cancelled);
}

// Cookies as a worker makes them: an index that is used again, and a generation above it. Whatever
// the order in which they leave, nobody gets lost behind a hole.
TEST(InFlightTable, HoldsWhatAMapHolds) {
  InFlightTable table;
  std::unordered_map<uint64_t, uint64_t> model;
  std::vector<uint64_t> cookies;
  std::mt19937_64 random(42);
  uint64_t sequence = 1;
  for (int step = 0; step < 200'000; ++step) {
    // The number in flight goes up and down between none and some thousand.
    const bool grows = random() % 8000 >= cookies.size() * (step / 20'000 % 2 == 0 ? 1 : 9);
    if (grows) {
      const uint64_t cookie = sequence << 32 | cookies.size();
      cookies.push_back(cookie);
      model[cookie] = insert(table, cookie, sequence++);
    } else {
      std::swap(cookies[random() % cookies.size()], cookies.back());
      ASSERT_EQ(table.find(cookies.back())->sequence, model[cookies.back()]);
      table.erase(table.find(cookies.back()));
      model.erase(cookies.back());
      ASSERT_EQ(table.find(cookies.back()), nullptr);
      cookies.pop_back();
    }
    ASSERT_EQ(table.size(), model.size());
    if (step % 1000 != 0) continue;
    for (const auto& [cookie, told] : model) ASSERT_EQ(table.find(cookie)->sequence, told);
  }
}

}  // namespace
}  // namespace small_db
