#include "engine/base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>

namespace small_db {
namespace {

TEST(Status, IsOkWhenNothingIsSaid) {
  EXPECT_TRUE(Status().is_ok());
  EXPECT_TRUE(Status::ok().is_ok());
  EXPECT_EQ(Status().text(), "ok");
}

TEST(Status, KeepsCodeSiteAndErrno) {
  const Status status(Code::kIoError, "log: sync", EIO);
  EXPECT_FALSE(status.is_ok());
  EXPECT_EQ(status.code(), Code::kIoError);
  EXPECT_STREQ(status.site(), "log: sync");
  EXPECT_EQ(status.error_number(), EIO);
  EXPECT_EQ(status.text(), "log: sync: io-error: Input/output error (5)");
}

TEST(Status, TextWithoutErrnoEndsWithTheCode) {
  EXPECT_EQ(Status(Code::kCorruption, "record: type").text(), "record: type: corruption");
}

TEST(Status, EveryCodeHasANameOfItsOwn) {
  std::set<std::string> names;
  const int last = static_cast<int>(Code::kInterrupted);
  for (int code = 0; code <= last; ++code) names.insert(code_name(static_cast<Code>(code)));
  EXPECT_EQ(names.size(), static_cast<size_t>(last) + 1);
  EXPECT_FALSE(names.contains("unknown"));
  EXPECT_STREQ(code_name(static_cast<Code>(last + 1)), "unknown");
}

TEST(Result, HoldsAValueThatOnlyMoves) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  ASSERT_TRUE(result.is_ok());
  EXPECT_TRUE(result.status().is_ok());
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

TEST(Result, HoldsTheStatusThatExplainsTheLack) {
  const Result<int> result(Status(Code::kNotFound, "file: open", ENOENT));
  EXPECT_FALSE(result.is_ok());
  EXPECT_EQ(result.status().code(), Code::kNotFound);
}

Status first_failure(const Status& first, bool* reached) {
  SMALL_DB_RETURN_IF_ERROR(first);
  *reached = true;
  return Status::ok();
}

TEST(Result, ReturnIfErrorPassesFailuresOnAndGoesOnOtherwise) {
  bool reached = false;
  EXPECT_EQ(first_failure(Status(Code::kTooLarge, "x"), &reached).code(), Code::kTooLarge);
  EXPECT_FALSE(reached);
  EXPECT_TRUE(first_failure(Status::ok(), &reached).is_ok());
  EXPECT_TRUE(reached);
}

TEST(ResultDeathTest, ValueOfAFailureStopsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Result<int> result(Status(Code::kNotFound, "file: open"));
  EXPECT_DEATH(static_cast<void>(result.value()), "assertion failed: is_ok");
  EXPECT_DEATH(static_cast<void>(Result<int>(Status::ok())), "assertion failed");
}

}  // namespace
}  // namespace small_db
