// The OpenAPI 3.1 document of the HTTP API, as GET …/openapi.json sends it. The tests hold it
// against every answer that they see.
// Source: https://spec.openapis.org/oas/v3.1.0
#pragma once

#include <string_view>

namespace small_db {

std::string_view openapi_document() noexcept;

}  // namespace small_db
