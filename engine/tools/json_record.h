// A record as a line of NDJSON, in the API's terms:
//
//   {"key":"a","value":"text","encoding":"utf-8","revision":7}
//   {"key":"/w==","key_encoding":"base64","value":"AP8=","encoding":"base64","revision":8,
//    "expires_at_ms":1700000000000}
//
// What is UTF-8 is text, what is not is base64. Of a line that is read, `encoding` may be missing
// and is then base64, as in the API; `key_encoding` may be missing and is then utf-8; `revision`
// and `expires_at_ms` may be missing. Anything else is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/record/record.h"

namespace small_db::tools {

// Appends the line, with its newline.
void append_record_line(const RecordView& record, std::string& to);

// Appends `text` as a JSON string, quotes included; what is not UTF-8 as base64.
// Returns: false when it was base64.
bool append_json_string(Bytes text, std::string& to);

struct ParsedRecord {
  std::string key;
  std::string value;
  std::optional<uint64_t> revision;
  uint64_t expires_at_ms = 0;
};

// Parses a line. Returns: empty, or why it is refused.
std::string parse_record_line(std::string_view line, ParsedRecord* record);

}  // namespace small_db::tools
