// Times to live and points in time: what is taken lies between now and the end of the year 9999,
// and says the same when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/assert.h"
#include "ngx_module/api/expiry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const uint64_t now_ms : {uint64_t{0}, uint64_t{1'700'000'000'123}, kExpiryMsMax}) {
    for (const ParsedExpiry& parsed : {parse_ttl(text, now_ms), parse_expires_at(text, now_ms)}) {
      if (!parsed.is_ok()) {
        SMALL_DB_ASSERT(parsed.expires_at_ms == 0);
        continue;
      }
      SMALL_DB_ASSERT(parsed.expires_at_ms > now_ms && parsed.expires_at_ms <= kExpiryMsMax);
      const ExpiryText written(parsed.expires_at_ms);
      const ParsedExpiry again = parse_expires_at(written.text(), now_ms);
      SMALL_DB_ASSERT(again.is_ok() && again.expires_at_ms == parsed.expires_at_ms);
    }
  }
  return 0;
}
