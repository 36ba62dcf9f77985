// Headers and error bodies of a primary's answer: whatever it sends, what is kept of it is bounded
// and printable. Input: header lines, an empty line, a body.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/assert.h"
#include "ngx_module/api/upstream_head.h"

namespace {

void check_printable(std::string_view text) {
  for (const char character : text) SMALL_DB_ASSERT(character >= 0x20 && character < 0x7f);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  UpstreamHeadParser parser;
  for (;;) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    if (!parser.add_line(line)) return 0;
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty() || rest.empty()) break;
  }
  const bool is_node = parser.fault() == nullptr;
  UpstreamHead head = parser.take();
  SMALL_DB_ASSERT(head.node.has_value() == is_node);
  SMALL_DB_ASSERT(head.etag.empty() || is_strong_entity_tag(head.etag));
  SMALL_DB_ASSERT(head.status >= 0 && head.status <= 999);
  parse_problem(rest.substr(0, 8192), &head);
  SMALL_DB_ASSERT(head.problem.size() <= 64 && head.detail.size() <= 512);
  check_printable(head.etag);
  check_printable(head.problem);
  check_printable(head.detail);
  return 0;
}
