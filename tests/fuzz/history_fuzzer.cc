// Feeds the parsers of a node's history with anything. Whatever they take must encode to the very
// same text. The checksum of the file is made right where the first byte asks for it, so that what
// lies behind it is reached too.
#include <cstdio>
#include <cstdlib>

#include "engine/base/crc32c.h"
#include "engine/replication/history.h"

namespace small_db {
namespace {

void check_history(std::string_view text) {
  const std::optional<NodeHistory> history = parse_history(text);
  if (!history) return;
  const Result<std::string> again = encode_history(*history);
  if (!again.is_ok() || again.value() != text) std::abort();
  for (const Term& term : history->terms) {
    const Term* owner = history->term_of(term.after_revision);
    if (owner != nullptr && owner->after_revision >= term.after_revision) std::abort();
  }
}

void check_terms(std::string_view text) {
  const std::optional<std::vector<Term>> terms = parse_terms(text);
  if (terms && encode_terms(*terms, terms->size()) != text) std::abort();
}

void check(Bytes data) {
  if (data.empty()) return;
  const uint8_t mode = std::to_integer<uint8_t>(data[0]);
  std::string text(as_text(data.subspan(1)));
  if (mode % 4 == 0) return check_history(text);
  if (mode % 4 == 1) return check_terms(text);
  if (mode % 4 == 2) {
    text = "small-db history 1\nnode 101112131415161718191a1b1c1d1e1f\n" + text;
  }
  char line[16];
  std::snprintf(line, sizeof(line), "crc %08x\n", crc32c(as_bytes(text)));
  check_history(text + line);
}

}  // namespace
}  // namespace small_db

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  small_db::check(small_db::Bytes(reinterpret_cast<const std::byte*>(data), size));
  return 0;
}
