// Fills a data directory without nginx, as fast as the engine takes it.
#pragma once

#include <cstdint>
#include <string>

namespace small_db::testing {

// Makes the directory, of the user that nginx's workers run as, with `keys` keys of 100 bytes each
// that no client of a run uses. memory_bytes: of a region that holds them. False when it failed.
bool prepare_store(const std::string& directory, uint64_t keys, uint64_t memory_bytes);

}  // namespace small_db::testing
