#include "tests/chaos/footprint.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

// nginx's master keeps some of what it allocates while it reads a configuration.
constexpr uint64_t kMasterKibGrowthMax = 1024;

size_t descriptors_of(pid_t pid) {
  size_t count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/" + std::to_string(pid) + "/fd", error), end;
       !error && at != end; at.increment(error)) {
    count++;
  }
  return count;
}

uint64_t private_kib_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("RssAnon:", 0) == 0) return std::strtoull(line.c_str() + 8, nullptr, 10);
  }
  return 0;
}

}  // namespace

Footprint look_at(const NginxServer& server) {
  Footprint footprint;
  footprint.master = server.master();
  footprint.workers = server.workers().size();
  for (const pid_t child : children_of(server.master())) {
    if (title_of(child).rfind("nginx: cache manager process", 0) == 0) {
      footprint.helpers++;
      footprint.storage_descriptors = descriptors_of(child);
    } else {
      footprint.others++;
    }
  }
  footprint.others -= std::min(footprint.others, footprint.workers);
  footprint.master_descriptors = descriptors_of(server.master());
  footprint.master_kib = private_kib_of(server.master());
  footprint.region = look_at_region(server.master()).value_or(RegionView());
  return footprint;
}

std::string describe(const Footprint& footprint) {
  std::ostringstream text;
  text << footprint.workers << " workers, " << footprint.helpers << " helpers, " << footprint.others
       << " other children; descriptors: master " << footprint.master_descriptors << ", storage "
       << footprint.storage_descriptors << "; master " << footprint.master_kib << " KiB; of "
       << footprint.region.slots << " slots " << footprint.region.held << " held, "
       << footprint.region.leaving << " leaving, " << footprint.region.pins << " pins; "
       << footprint.region.keys << " keys in " << footprint.region.arena_used_bytes << " bytes";
  return text.str();
}

bool await_rest(const NginxServer& server, size_t workers, Footprint* footprint) {
  return poll_until([&] {
    *footprint = look_at(server);
    return footprint->workers == workers && footprint->helpers == 1 && footprint->others == 0 &&
           footprint->region.held == workers && footprint->region.leaving == 0 &&
           footprint->region.pins == 0;
  });
}

std::string find_leak(const Footprint& before, const Footprint& now) {
  if (now.master_descriptors > before.master_descriptors ||
      now.storage_descriptors > before.storage_descriptors ||
      now.master_kib > before.master_kib + kMasterKibGrowthMax) {
    return "before: " + describe(before) + "\nafter:  " + describe(now);
  }
  return "";
}

}  // namespace small_db::testing
