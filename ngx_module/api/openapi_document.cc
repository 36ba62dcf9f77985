#include "ngx_module/api/openapi_document.h"

namespace small_db {

std::string_view openapi_document() noexcept {
  static constexpr std::string_view kDocument =
#include "ngx_module/api/openapi.json.inc"
      ;
  return kDocument;
}

}  // namespace small_db
