#include "ngx_module/api/list_page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

using nlohmann::json;
using Names = std::vector<std::string>;

constexpr uint64_t kNowMs = 1'000'000;

class ListPages : public TableTest {
 protected:
  ListPages() : TableTest(64 * kMiB) {}

  void put_expiring(const std::string& key, uint64_t expires_at_ms) {
    RecordView view = put_view(key, "v", revision_ + 1);
    view.expires_at_ms = expires_at_ms;
    ASSERT_OK(table_.put(view));
    revision_++;
  }

  json list(const std::string& args, size_t budget = SIZE_MAX) {
    Query query;
    EXPECT_FALSE(parse_query(args, &query)) << args;
    ListQuery list;
    EXPECT_FALSE(parse_list_query(query, &list)) << args;
    const Snapshot state = snapshot();
    ListPage page(std::move(list), state, kNowMs);
    turns_ = 1;
    while (!page.work(budget).value()) turns_++;
    seen_ = page.records_seen();
    return json::parse(page.release_body());
  }

  uint64_t count(const KeyRange& range, size_t budget = SIZE_MAX / 1000) {
    const Snapshot state = snapshot();
    RangeCount count(range, state, kNowMs);
    turns_ = 1;
    while (!count.work(budget).value()) turns_++;
    const json body = json::parse(count.body());
    EXPECT_EQ(body["revision"], revision_);
    return body["count"];
  }

  static Names keys_of(const json& page) {
    Names keys;
    for (const json& item : page["items"]) keys.push_back(item["key"]);
    return keys;
  }

  size_t seen_ = 0;
  size_t turns_ = 0;
};

TEST_F(ListPages, CostWhatTheyHoldAndNotWhatThereIs) {
  begin();
  for (int i = 10'000; i < 40'000; i++) ASSERT_OK(put("k" + std::to_string(i), "v"));
  commit();
  EXPECT_EQ(list("limit=100&start=k2")["items"].size(), 100u);
  EXPECT_EQ(seen_, 101u);  // and the one that tells that something follows
  EXPECT_EQ(list("limit=100&start=k2&reverse")["items"].size(), 100u);
  EXPECT_EQ(seen_, 101u);
}

TEST_F(ListPages, SkipWhatHasAPrefixInCommon) {
  begin();
  for (int group = 0; group < 20; group++) {
    for (int i = 0; i < 1000; i++) {
      ASSERT_OK(put("g" + std::to_string(10 + group) + "/" + std::to_string(i), "v"));
    }
  }
  commit();
  EXPECT_EQ(list("delimiter=/")["prefixes"].size(), 20u);
  EXPECT_EQ(seen_, 20u);
  EXPECT_EQ(list("delimiter=/&reverse")["prefixes"].size(), 20u);
  EXPECT_EQ(seen_, 20u);
}

TEST_F(ListPages, CanBeCutAnywhere) {
  begin();
  for (int i = 1000; i < 1500; i++)
    ASSERT_OK(put("a/" + std::to_string(i % 7) + std::to_string(i), "v"));
  commit();
  for (const char* args : {"limit=300&values", "delimiter=1", "reverse&prefix=a/3"}) {
    const json whole = list(args);
    EXPECT_EQ(list(args, 1), whole);
    EXPECT_GT(turns_, 3u);
  }
}

TEST_F(ListPages, ShowNothingThatHasExpired) {
  begin();
  put_expiring("a", kNowMs);
  put_expiring("b", kNowMs + 1);
  put_expiring("c/1", kNowMs - 1);
  put_expiring("d/1", 1);
  ASSERT_OK(put("d/2", "v"));
  put_expiring("e", 5);
  commit();
  const json page = list("");
  EXPECT_EQ(keys_of(page), (Names{"b", "d/2"}));
  EXPECT_EQ(page["items"][0]["expires_at"], "1970-01-01T00:16:40.001Z");
  EXPECT_FALSE(page["items"][1].contains("expires_at"));
  EXPECT_EQ(list("delimiter=/")["prefixes"], (Names{"d/"}));
  // Nothing that lives follows: there is no next page.
  EXPECT_FALSE(list("limit=2").contains("cursor"));
  EXPECT_TRUE(list("limit=1").contains("cursor"));
}

TEST_F(ListPages, CountWithoutWhatHasExpired) {
  begin();
  for (int i = 0; i < 1000; i++) ASSERT_OK(put("k" + std::to_string(1000 + i), "v"));
  for (int i = 0; i < 100; i++) put_expiring("x" + std::to_string(100 + i), 1 + i);
  put_expiring("y", kNowMs + 1);
  commit();
  for (const size_t budget : {size_t{1}, size_t{10}, size_t{100'000}}) {
    EXPECT_EQ(count({}, budget), 1001u);
    EXPECT_EQ(count({"k", "l", true}, budget), 1000u);
    EXPECT_EQ(count({"k1500", "", false}, budget), 501u);
    EXPECT_EQ(count({"x", "z", true}, budget), 1u);
    EXPECT_EQ(count({"", "k1010", true}, budget), 10u);
    EXPECT_EQ(count({"z", "", false}, budget), 0u);
    EXPECT_EQ(count({"b", "a", true}, budget), 0u);
  }
  count({"k", "l", true}, 1);
  EXPECT_GE(turns_, 50u);
  count({}, 1'000);  // the root knows the number
  EXPECT_LE(turns_, 2u);
}

TEST_F(ListPages, HoldOneValueOfAnyLength) {
  begin();
  ASSERT_OK(put("a", "short"));
  ASSERT_OK(put("b", std::string(9 * kMiB, 'b')));
  ASSERT_OK(put("c", "short"));
  commit();
  EXPECT_EQ(keys_of(list("values")), Names{"a"});
  const json second = list("values&start=b");
  EXPECT_EQ(keys_of(second), Names{"b"});
  EXPECT_TRUE(second.contains("cursor"));
  EXPECT_EQ(keys_of(list("")), (Names{"a", "b", "c"}));
}

TEST_F(ListPages, AnEmptyTableHasNothing) {
  begin();
  commit();
  EXPECT_EQ(list("").dump(), R"({"items":[],"prefixes":[],"revision":0})");
  EXPECT_EQ(list("reverse")["items"].size(), 0u);
  EXPECT_EQ(count({}), 0u);
  EXPECT_EQ(count({"a", "b", true}), 0u);
}

}  // namespace
}  // namespace small_db
