// Request targets: a key that is taken from a path must be, encoded in the other form, the same
// key; and a path is only taken when it decodes to the normalised one. Input: the raw target, a
// line feed, and the normalised path; without a line feed the raw target is also normalised.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ngx_module/api/key_path.h"

namespace {

std::string percent_encoded(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kHexDigits[] = "0123456789abcdef";
    text += '%';
    text += kHexDigits[static_cast<uint8_t>(byte) >> 4];
    text += kHexDigits[static_cast<uint8_t>(byte) & 15];
  }
  return text;
}

small_db::RequestTarget request_of(std::string_view input) {
  small_db::RequestTarget request;
  const size_t line_end = input.find('\n');
  request.raw = input.substr(0, line_end);
  const size_t question = request.raw.find('?');
  request.normalised = line_end == std::string_view::npos ? request.raw.substr(0, question)
                                                          : input.substr(line_end + 1);
  if (question != std::string_view::npos) request.args = request.raw.substr(question + 1);
  request.mount = "/v1/";
  request.key_bytes_max = 64;
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  const RequestTarget request = request_of({reinterpret_cast<const char*>(data), size});
  Target target;
  if (const auto problem = parse_target(request, &target)) {
    SMALL_DB_ASSERT(problem->status >= 400 && problem->status < 500);
    return 0;
  }
  SMALL_DB_ASSERT(request.normalised.substr(0, 4) == "/v1/");
  if (target.route != Route::kItem) {
    SMALL_DB_ASSERT(target.key.empty());
    return 0;
  }
  SMALL_DB_ASSERT(!target.key.empty() && target.key.size() <= 64);
  const bool in_path = request.normalised != "/v1/kv";
  SMALL_DB_ASSERT(!in_path || request.normalised.substr(7) == target.key);
  const std::string other_form = "/v1/kv?key=" + percent_encoded(target.key);
  const RequestTarget other{other_form, "/v1/kv", std::string_view(other_form).substr(7), "/v1/",
                            64};
  Target same;
  SMALL_DB_ASSERT(!parse_target(other, &same) && same.key == target.key);
  return 0;
}
