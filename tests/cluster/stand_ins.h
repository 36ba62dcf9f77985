// What stands in for the kernel in the cluster's simulation: random numbers that follow from the
// seed, and waits that are pauses of a fiber.
#pragma once

#include <cstdint>

namespace small_db {

// From now on the kernel's random numbers are those of this seed.
void reseed_kernel(uint64_t seed);

}  // namespace small_db
