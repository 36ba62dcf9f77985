// What a list asks for: whatever is taken makes sense, and the cursor behind any key or prefix is
// taken with the same parameters and leaves less than there was.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ngx_module/api/list_query.h"

namespace {

// The arguments without their cursor.
std::string without_cursor(std::string_view args) {
  std::string rest;
  while (!args.empty()) {
    const std::string_view parameter = args.substr(0, args.find('&'));
    if (parameter.substr(0, 7) != "cursor=") rest += std::string(parameter) + '&';
    args.remove_prefix(std::min(args.size(), parameter.size() + 1));
  }
  return rest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  const std::string_view args(reinterpret_cast<const char*>(data), size);
  Query query;
  ListQuery list;
  if (parse_query(args, &query) || parse_list_query(query, &list)) return 0;
  SMALL_DB_ASSERT(list.limit >= 1 && list.limit <= kListLimitMax);
  if (list.is_count || list.range.is_empty()) return 0;
  for (const auto kind : {ListPosition::Kind::kKey, ListPosition::Kind::kPrefix}) {
    const ListPosition last{kind, list.range.low + "x"};
    if (!list.range.has(last.bytes)) continue;
    const std::string next_args = without_cursor(args) + "cursor=" + list_cursor(list, last);
    Query next_query;
    ListQuery next;
    SMALL_DB_ASSERT(!parse_query(next_args, &next_query) && !parse_list_query(next_query, &next));
    SMALL_DB_ASSERT(!next.range.has(last.bytes));
    const std::string other = list.range.low + "w";
    if (list.range.has(other)) SMALL_DB_ASSERT(next.range.has(other) == list.is_reverse);
  }
  return 0;
}
