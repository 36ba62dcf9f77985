// URLs of backup_of: what is taken has a name that is taken again, means the same, and holds no
// user and no password.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/assert.h"
#include "ngx_module/api/upstream_settings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  UpstreamSettings settings;
  const UpstreamSettings before = settings;
  const std::string_view url(reinterpret_cast<const char*>(data), size);
  if (parse_upstream_url(url, &settings) != nullptr) {
    SMALL_DB_ASSERT(settings == before);
    return 0;
  }
  const size_t authority = settings.name.find("://") + 3;
  const size_t path = settings.name.find('/', authority);
  SMALL_DB_ASSERT(settings.name.substr(0, path).find('@') == std::string::npos);
  SMALL_DB_ASSERT(settings.name.ends_with('/'));
  for (const char character : settings.name) SMALL_DB_ASSERT(character > 0x20 && character < 0x7f);
  UpstreamSettings again;
  SMALL_DB_ASSERT(parse_upstream_url(settings.name, &again) == nullptr);
  SMALL_DB_ASSERT(again.name == settings.name && again.user.empty() && again.password.empty());
  return 0;
}
