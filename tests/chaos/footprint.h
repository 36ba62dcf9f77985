// What nginx holds on to: processes, descriptors, memory, slots. After any number of kills and
// reloads it must be what it was before.
#pragma once

#include <string>

#include "tests/chaos/region_view.h"
#include "tests/nginx/nginx_server.h"

namespace small_db::testing {

struct Footprint {
  pid_t master = 0;
  size_t workers = 0;
  size_t helpers = 0;
  size_t others = 0;  // children that are on their way out, or that nobody expects
  size_t master_descriptors = 0;
  size_t storage_descriptors = 0;
  uint64_t master_kib = 0;  // private memory
  RegionView region;
};

Footprint look_at(const NginxServer& server);
std::string describe(const Footprint& footprint);

// Waits until the server has as many workers as configured, one helper, and nobody else, and the
// region agrees: one slot for each worker, no pin. False: it does not become so.
bool await_rest(const NginxServer& server, size_t workers, Footprint* footprint);

// What `now` has more of than `before`; empty when nothing. Only for the same master.
std::string find_leak(const Footprint& before, const Footprint& now);

}  // namespace small_db::testing
