// What the crash tests share: how thorough they are in this build, and where they say how many
// states they have checked.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/crash/crash_run.h"

namespace small_db {

// Under a sanitizer a state takes ten times as long, and fewer of them show what it looks for.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kThorough = false;
#else
inline constexpr bool kThorough = true;
#endif

inline void note_states(uint64_t states) {
  testing::Test::RecordProperty("crash_states", std::to_string(states));
  const char* name = std::getenv("SMALL_DB_CRASH_COUNTS");
  if (name == nullptr) return;
  std::FILE* file = std::fopen(name, "a");
  if (file == nullptr) return;
  std::fprintf(file, "%s\n", std::to_string(states).c_str());
  std::fclose(file);
}

inline void expect_no_failure(const CrashRunResult& result) {
  note_states(result.counts.states);
  EXPECT_EQ(result.failure, "") << "again: ./dev soak " << result.repeat;
  EXPECT_GT(result.counts.states, 0u);
}

}  // namespace small_db
