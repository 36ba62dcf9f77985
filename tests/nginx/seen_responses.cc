#include "tests/nginx/seen_responses.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

namespace small_db::testing {

void note_response(const HttpRequest& request, const HttpResponse& response) {
  const char* const file = std::getenv("SMALL_DB_RESPONSES");
  if (file == nullptr || request.target.rfind("/v1/", 0) != 0) return;
  std::string type = response.header("Content-Type");
  type = type.substr(0, type.find(';'));
  // A target's parameters tell a key's answers from a list's; their values tell nothing.
  std::string line = request.method + " " + request.target.substr(0, 200) + " " +
                     std::to_string(response.status) + " " + (type.empty() ? "-" : type) + "\n";
  // One write of a short line to a file that is opened for appending is not torn.
  const int descriptor = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return;
  if (write(descriptor, line.data(), line.size()) < 0) line.clear();
  close(descriptor);
}

}  // namespace small_db::testing
