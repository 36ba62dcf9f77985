// A chaos run: a whole nginx under the load of many clients while its processes are killed and its
// configuration is reloaded; then a judgement of everything that was seen.
#pragma once

#include <string>
#include <vector>

#include "tests/chaos/clients.h"
#include "tests/chaos/disturbances.h"

namespace small_db::testing {

struct ChaosOptions {
  double seconds = 10;
  uint64_t disturbances_max = 0;  // ends the run earlier; 0: no limit
  uint64_t seed = 1;
  Mix mix = {};
  int pause_ms_max = 100;  // between two disturbances
  int workers = 2;
  uint64_t memory_mib = 64;
  uint64_t prepared_keys = 0;  // in the store before the run
  ClientsOptions clients = {};
};

struct ChaosReport {
  std::vector<std::string> violations;  // what must not be
  std::vector<uint64_t> disturbances = std::vector<uint64_t>(kDisturbanceKinds);
  uint64_t operations = 0;
  uint64_t writes_acknowledged = 0;
  uint64_t unknown = 0;               // writes without a clear answer
  uint64_t unanswered = 0;            // requests whose connection broke
  uint64_t unavailable = 0;           // answers 503
  uint64_t sent_again = 0;            // requests on a kept connection that was just being closed
  uint64_t reads_in_kills = 0;        // answered while writes waited for a new storage process
  int64_t longest = 0;                // answer, in nanoseconds
  std::vector<int64_t> resume_times;  // of writes after a kill of the storage process
  std::vector<int64_t> reload_times;  // of writes after a fault of it
  std::string footprint;              // after the run

  std::string text() const;
};

// The value that `percent` of the times do not exceed, in milliseconds; 0 when there are none.
double percentile_ms(std::vector<int64_t> times, double percent);

ChaosReport run_chaos(const ChaosOptions& options);

}  // namespace small_db::testing
