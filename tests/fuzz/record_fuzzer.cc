// Feeds decode_record with anything. Whatever it takes must encode to the very same bytes: an
// encoding that decodes is the only one of its record.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "engine/record/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  const Result<DecodedPrefix> prefix = decode_record_prefix(input);
  const Result<DecodedRecord> decoded = decode_record(input);
  if (!decoded.is_ok()) return 0;
  if (!prefix.is_ok() || prefix.value().value_bytes != decoded.value().view.value.size()) {
    std::abort();
  }
  const RecordView& view = decoded.value().view;
  if (decoded.value().bytes > size || record_bytes(view) != decoded.value().bytes) std::abort();
  std::vector<std::byte> again(record_bytes(view));
  if (encode_record(view, again.data()) != again.size()) std::abort();
  if (std::memcmp(again.data(), data, again.size()) != 0) std::abort();
  return 0;
}
