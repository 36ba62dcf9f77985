// Wakes worker processes. A bell carries no data and is rung only when its worker asked for it.
#pragma once

#include <cstdint>

namespace small_db {

class WorkerBells {
 public:
  virtual ~WorkerBells() = default;
  // Rings the bell of the process that holds `slot`. Never blocks. Any thread of the owner.
  virtual void ring(uint32_t slot) noexcept = 0;
};

}  // namespace small_db
