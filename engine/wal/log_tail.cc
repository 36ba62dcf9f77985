#include "engine/wal/log_tail.h"

#include <algorithm>
#include <array>
#include <vector>

#include "engine/wal/log_space.h"

namespace small_db {

namespace {

constexpr size_t kScanBytes = 64 * kKiB;
static_assert(kScanBytes % kSectorBytes == 0);

// Bytes of `sector` up to the last that is not zero.
size_t nonzero_length(Bytes sector) noexcept {
  static constexpr std::array<std::byte, kSectorBytes> kZeros{};
  if (std::memcmp(sector.data(), kZeros.data(), sector.size()) == 0) return 0;
  size_t length = sector.size();
  while (sector[length - 1] == std::byte{0}) --length;
  return length;
}

void scan_sector(Bytes sector, uint64_t offset, uint32_t seed, TailScan& scan) {
  const size_t length = nonzero_length(sector);
  if (length == 0) return;
  scan.all_zero = false;
  scan.nonzero_end = offset + length;
  const std::optional<FrameHeader> header = decode_frame_header(sector, offset, seed);
  if (!header) return;
  if (scan.headers == 0 || header->durable_revision > scan.proven_revision) {
    scan.proven_revision = header->durable_revision;
    scan.header_offset = offset;
  }
  ++scan.headers;
  scan.prepared_end = std::max(scan.prepared_end, header->prepared_end);
}

// Makes the file `name` hold what `fill(File&)` writes, durable with its name, or leaves what was
// there.
template <typename Fill>
Status replace_file(Directory& directory, const std::string& name, Fill&& fill) {
  const std::string temporary = name + ".tmp";
  {
    Result<std::unique_ptr<File>> file = directory.open(temporary, OpenMode::kCreate);
    if (!file.is_ok()) return file.status();
    SMALL_DB_RETURN_IF_ERROR(fill(*file.value()));
    SMALL_DB_RETURN_IF_ERROR(file.value()->sync_data());
  }
  SMALL_DB_RETURN_IF_ERROR(directory.rename(temporary, name));
  return directory.sync();
}

// Makes `to` a copy of [begin, end) of `from`, a piece at a time: a tail can be long.
Status copy_range(File& from, uint64_t begin, uint64_t end, File& to) {
  std::vector<std::byte> piece(kScanBytes);
  for (uint64_t at = begin; at < end;) {
    const size_t wanted = std::min<uint64_t>(piece.size(), end - at);
    const Result<size_t> got = from.read_at(at, MutableBytes(piece).first(wanted));
    if (!got.is_ok()) return got.status();
    if (got.value() == 0) return Status(Code::kIoError, "log: the tail became shorter");
    SMALL_DB_RETURN_IF_ERROR(to.write_at(at - begin, Bytes(piece).first(got.value())));
    at += got.value();
  }
  return Status::ok();
}

}  // namespace

Result<TailScan> scan_tail(File& file, uint32_t seed, uint64_t offset) {
  SMALL_DB_ASSERT(offset % kSectorBytes == 0);
  TailScan scan;
  std::vector<std::byte> buffer(kScanBytes);
  for (;;) {
    const Result<size_t> got = file.read_at(offset, buffer);
    if (!got.is_ok()) return got.status();
    const Bytes bytes = Bytes(buffer).first(got.value());
    for (size_t at = 0; at < bytes.size(); at += kSectorBytes) {
      const size_t length = std::min(kSectorBytes, bytes.size() - at);
      scan_sector(bytes.subspan(at, length), offset + at, seed, scan);
    }
    if (bytes.size() < buffer.size()) return scan;
    offset += bytes.size();
  }
}

Result<std::string> save_and_clear_tail(Directory& directory, File& file, uint64_t generation,
                                        uint64_t offset, const TailScan& scan) {
  std::string name = torn_tail_name(generation, offset);
  const Status saved = replace_file(
      directory, name, [&](File& to) { return copy_range(file, offset, scan.nonzero_end, to); });
  if (saved.code() == Code::kNoDiskSpace) {
    name.clear();
  } else if (!saved.is_ok()) {
    return saved;
  }
  SMALL_DB_RETURN_IF_ERROR(write_zeros(file, offset, scan.nonzero_end));
  SMALL_DB_RETURN_IF_ERROR(file.sync_data());
  return name;
}

Status confirm_last_frame(Directory& directory, File& file, uint64_t generation, uint64_t offset,
                          Bytes frame) {
  const std::string copy = log_copy_name(generation);
  const Status copied =
      replace_file(directory, copy, [&](File& to) { return to.write_at(0, frame); });
  if (!copied.is_ok() && copied.code() != Code::kNoDiskSpace) return copied;
  SMALL_DB_RETURN_IF_ERROR(file.write_at(offset, frame));
  SMALL_DB_RETURN_IF_ERROR(file.sync_data());
  // A copy that stays is the same bytes, and harmless: it only ever stands in for this frame.
  if (copied.is_ok()) (void)directory.remove(copy).is_ok();
  return Status::ok();
}

Result<std::string> read_last_frame_copy(Directory& directory, uint64_t generation) {
  Result<std::string> copy =
      read_file(directory, log_copy_name(generation), frame_bytes(kFrameBodyBytesMax));
  const Code code = copy.status().code();
  if (code == Code::kNotFound || code == Code::kTooLarge) return std::string();
  return copy;
}

}  // namespace small_db
