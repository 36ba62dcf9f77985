// A failover run: two nginx, writes that wait for the backup (`replication_ack 1
// on_timeout=refuse`), clients that use whoever is the primary, and somebody who promotes the
// backup whenever a misfortune comes to the primary. Then a judgement of everything that was seen.
//
// Which reads are judged. Those that were asked and answered while the node they went to was *the*
// primary: from the answer to its promotion until a misfortune comes to it or another node is
// promoted. After a restart of the primary that nobody answered with a promotion, from the first
// write on that it has acknowledged: before that it shows what its log holds, and the backup may
// not have it. All other reads may be of a state that is over, or that never becomes the common
// one. Writes are judged wherever they were sent.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/chaos/clients.h"

namespace small_db::testing {

enum class Misfortune : uint8_t {
  kKilled,          // SIGKILL of all of the primary; it comes back as a backup of the promoted
  kComesUnaware,    // the same, but it comes back as the primary that it was
  kDiskLost,        // the same as kKilled, with an empty directory
  kFrozen,          // it stands still, and goes on when the other one has been promoted
  kPromotedBeside,  // nothing: the other one is promoted while it works
  kRestarted,       // SIGKILL of all of the primary, and a start: nobody is promoted
  kBackupKilled,    // SIGKILL of all of the backup, and a start
};
inline constexpr size_t kMisfortunes = 7;
const char* name_of(Misfortune misfortune);

struct FailoverOptions {
  std::vector<Misfortune> misfortunes = {};  // in this order
  uint64_t writes_between = 150;             // acknowledged before the next one
  int clients = 8;
  std::string ack_line = "replication_ack 1 timeout=500ms on_timeout=refuse;\n";
  ClientsOptions client = {
      .keys = 30, .value_bytes_max = 300, .long_value_bytes_max = 40'000, .timeout_ms = 2'000};
};

struct FailoverReport {
  std::vector<std::string> violations;  // what must not be
  uint64_t promotions = 0;
  uint64_t writes_acknowledged = 0;
  uint64_t unknown = 0;  // writes without a clear answer
  uint64_t refused = 0;  // requests that were answered "not done"
  uint64_t reads_judged = 0;
  uint64_t reads_left_out = 0;     // of nodes that were not the primary all the time
  uint64_t sent_to_the_other = 0;  // writes to a node that was not, or not yet, the primary
  // By misfortune: from it until a write was acknowledged again, the longest; in milliseconds.
  std::map<std::string, int64_t> writes_resumed_ms;

  std::string text() const;
};

FailoverReport run_failover(const FailoverOptions& options);

}  // namespace small_db::testing
