#include "engine/platform/file_system.h"

namespace small_db {

Result<std::string> read_file(Directory& directory, std::string_view name, size_t bytes_max) {
  Result<std::unique_ptr<File>> file = directory.open(name, OpenMode::kRead);
  if (!file.is_ok()) return file.status();
  const Result<uint64_t> bytes = file.value()->size();
  if (!bytes.is_ok()) return bytes.status();
  if (bytes.value() > bytes_max) return Status(Code::kTooLarge, "file: read whole");

  std::string text(bytes.value(), '\0');
  const MutableBytes into(reinterpret_cast<std::byte*>(text.data()), text.size());
  const Result<size_t> got = file.value()->read_at(0, into);
  if (!got.is_ok()) return got.status();
  text.resize(got.value());  // the file may have become shorter since size()
  return text;
}

}  // namespace small_db
