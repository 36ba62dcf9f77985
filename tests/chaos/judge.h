// Judges what clients saw against what was done to the server.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/chaos/clients.h"
#include "tests/chaos/disturbances.h"

namespace small_db::testing {

// Empty when the trouble is one that something done at its time explains:
//   * no answer: a worker was killed, or everything; over HTTP/2 also a reload, whose GOAWAY may
//     cross the first request of a connection, and a fault: a long body is refused before it is
//     read, its stream then reset, and libcurl 7.88 takes that for an error of the stream;
//   * 503 with Retry-After: the storage process faulted, or everything was killed.
// Everything else is never to be seen.
std::string judge(const Trouble& trouble, const std::vector<Disturbance>& disturbances);

// Gets that began after a kill of the storage process and were answered before writes went on.
uint64_t count_reads_during_kills(const History& history,
                                  const std::vector<Disturbance>& disturbances);

// Lines [alert], [emerg] and [crit] of an error log that the disturbances do not explain, nor their
// number: one for each process that was killed.
std::vector<std::string> judge_error_log(const std::string& log,
                                         const std::vector<Disturbance>& disturbances);

}  // namespace small_db::testing
