// Switches one change of a mutated copy of the engine on, at run time: all mutants are compiled
// once. Included by that copy alone (tests/mutation/generate.cc makes it).
#pragma once

#include <cstdlib>

namespace small_db::mutation {

// True in the process that was started with SMALL_DB_MUTANT=number.
inline bool on(unsigned number) {
  static const char* const text = std::getenv("SMALL_DB_MUTANT");
  static const unsigned active = text == nullptr ? 0 : static_cast<unsigned>(std::atoi(text));
  return active == number;
}

// Evaluates the status, and forgets it.
template <typename Status>
Status ignore(unsigned number, Status status) {
  return on(number) ? Status() : status;
}

}  // namespace small_db::mutation
