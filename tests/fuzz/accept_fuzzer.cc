// Values of Accept: whatever a client accepts, asking for bytes alone as well makes it want no
// less.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/assert.h"
#include "ngx_module/api/accept.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  const std::string_view field(reinterpret_cast<const char*>(data), size);
  Accept accept;
  accept.add(field);
  Accept bytes_first = accept;
  bytes_first.add("application/octet-stream, application/json;q=0");
  SMALL_DB_ASSERT(accept.prefers_bytes() ? bytes_first.prefers_bytes() : true);
  return 0;
}
