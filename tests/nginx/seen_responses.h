// What answers of the API the tests saw, for the comparison with the OpenAPI document: a line
// "METHOD TARGET STATUS MEDIA-TYPE" for each, appended to the file that SMALL_DB_RESPONSES names.
#pragma once

#include "tests/nginx/http_client.h"

namespace small_db::testing {

// Does nothing where that variable is not set.
void note_response(const HttpRequest& request, const HttpResponse& response);

}  // namespace small_db::testing
