// The version of this software, as status, metrics and smalldbctl tell it.
#pragma once

namespace small_db {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace small_db
