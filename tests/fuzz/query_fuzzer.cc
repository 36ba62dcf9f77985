// Parameters: those that are taken, written out again with every byte encoded, must read the same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ngx_module/api/query.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  Query query;
  if (const auto problem = parse_query({reinterpret_cast<const char*>(data), size}, &query)) {
    SMALL_DB_ASSERT(problem->status == 400);
    return 0;
  }
  std::string args;
  for (unsigned i = 0; i <= static_cast<unsigned>(Parameter::kFresh); i++) {
    const auto parameter = static_cast<Parameter>(i);
    const auto value = query.value(parameter);
    if (!value) continue;
    if (!args.empty()) args += '&';
    args += parameter_name(parameter);
    args += '=';
    for (const char byte : *value) {
      constexpr char kHexDigits[] = "0123456789ABCDEF";
      args += '%';
      args += kHexDigits[static_cast<uint8_t>(byte) >> 4];
      args += kHexDigits[static_cast<uint8_t>(byte) & 15];
    }
  }
  Query same;
  SMALL_DB_ASSERT(!parse_query(args, &same));
  for (unsigned i = 0; i <= static_cast<unsigned>(Parameter::kFresh); i++) {
    const auto parameter = static_cast<Parameter>(i);
    SMALL_DB_ASSERT(query.value(parameter) == same.value(parameter));
  }
  return 0;
}
