// Sixteen random bytes that tell stores, files, nodes and terms apart.
#pragma once

#include <array>
#include <cstddef>

namespace small_db {

using Uid = std::array<std::byte, 16>;

}  // namespace small_db
