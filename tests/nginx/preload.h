// A library that stands before the C library's calls (tests/preload) in every process of the nginx
// that is started while this lives, and the variable that it reads.
#pragma once

#include <stdlib.h>

#include <string>

namespace small_db::testing {

class Preload {
 public:
  Preload(const char* library, const char* variable, const std::string& value)
      : variable_(variable) {
    setenv(variable, value.c_str(), 1);
    setenv("LD_PRELOAD", library, 1);
  }
  ~Preload() {
    unsetenv("LD_PRELOAD");
    unsetenv(variable_);
  }
  Preload(const Preload&) = delete;
  Preload& operator=(const Preload&) = delete;

 private:
  const char* const variable_;
};

}  // namespace small_db::testing
