// A checkpoint never changes once it has its name, and one that is deleted while it is sent is sent
// whole: the open descriptor keeps it.

#include "ngx_module/checkpoint_file.h"

#include <unistd.h>

#include <array>
#include <optional>

#include "engine/checkpoint/format.h"
#include "engine/recovery/data_directory.h"
#include "ngx_module/bytes_response.h"

namespace small_db {
namespace {

// A generation may be deleted between two looks; each time there is a newer one.
constexpr int kAttemptsMax = 10;

enum class Found : uint8_t { kFile, kNone, kGone, kFailure };

// "DIR/NAME" with a NUL behind it, in the request's pool; no data when there is no memory.
ngx_str_t path_of(ngx_http_request_t* r, const StoreConf& store, std::string_view name) noexcept {
  const size_t bytes = store.dir.len + 1 + name.size();
  auto* path = static_cast<u_char*>(ngx_pnalloc(r->pool, bytes + 1));
  if (path == nullptr) return ngx_null_string;
  u_char* end = ngx_cpymem(path, store.dir.data, store.dir.len);
  *end++ = '/';
  end = ngx_cpymem(end, name.data(), name.size());
  *end = '\0';
  return {bytes, path};
}

ngx_fd_t open_for_reading(const ngx_str_t& path) noexcept {
  return ngx_open_file(path.data, NGX_FILE_RDONLY | O_CLOEXEC, NGX_FILE_OPEN, 0);
}

Found failure(ngx_http_request_t* r, const char* what, const ngx_str_t& path) noexcept {
  ngx_log_error(NGX_LOG_ERR, r->connection->log, ngx_errno, "small_db: can't %s \"%V\"", what,
                &path);
  return Found::kFailure;
}

Found read_generation(ngx_http_request_t* r, const StoreConf& store,
                      uint64_t* generation) noexcept {
  const ngx_str_t path = path_of(r, store, "version");
  if (path.data == nullptr) return Found::kFailure;
  const ngx_fd_t fd = open_for_reading(path);
  if (fd == NGX_INVALID_FILE) {
    return ngx_errno == NGX_ENOENT ? Found::kNone : failure(r, "open", path);
  }
  char text[32];
  const ssize_t bytes = pread(fd, text, sizeof(text), 0);
  ngx_close_file(fd);
  if (bytes < 0) return failure(r, "read", path);
  const std::optional<uint64_t> parsed = parse_version({text, static_cast<size_t>(bytes)});
  if (!parsed) {
    ngx_set_errno(0);
    return failure(r, "understand", path);
  }
  *generation = *parsed;
  return *parsed == 0 ? Found::kNone : Found::kFile;
}

// "GENERATION-UID" with quotes, where UID is that of the file's header: as unique as the bytes are.
std::string_view etag_of(ngx_http_request_t* r, const CheckpointHeader& header) noexcept {
  constexpr size_t kOtherBytes = sizeof("\"-\"") - 1;
  const size_t bytes_max = NGX_INT64_LEN + 2 * header.uid.size() + kOtherBytes;
  auto* text = static_cast<u_char*>(ngx_pnalloc(r->pool, bytes_max));
  if (text == nullptr) return {};
  u_char* end = ngx_sprintf(text, "\"%uL-", header.generation);
  Uid uid = header.uid;
  end = ngx_hex_dump(end, reinterpret_cast<u_char*>(uid.data()), uid.size());
  *end++ = '"';
  return {reinterpret_cast<char*>(text), static_cast<size_t>(end - text)};
}

// What the file tells of itself.
Found look_into(ngx_http_request_t* r, CheckpointFile* file) noexcept {
  ngx_file_info_t info;
  if (ngx_fd_info(file->fd, &info) == NGX_FILE_ERROR) return failure(r, "look at", file->path);
  std::array<std::byte, kCheckpointHeaderBytes> bytes;
  const ssize_t read = pread(file->fd, bytes.data(), bytes.size(), 0);
  if (read < 0) return failure(r, "read", file->path);
  const auto header = decode_checkpoint_header(Bytes(bytes).first(static_cast<size_t>(read)));
  if (!header.is_ok() || header.value().generation != file->generation) {
    ngx_set_errno(0);
    return failure(r, "understand", file->path);
  }
  file->bytes = static_cast<uint64_t>(ngx_file_size(&info));
  file->etag = etag_of(r, header.value());
  return file->etag.empty() ? Found::kFailure : Found::kFile;
}

Found open_file(ngx_http_request_t* r, const StoreConf& store, CheckpointFile* file) noexcept {
  const Found version = read_generation(r, store, &file->generation);
  if (version != Found::kFile) return version;
  char name[sizeof("checkpoint.") + NGX_INT64_LEN];
  const u_char* end =
      ngx_sprintf(reinterpret_cast<u_char*>(name), "checkpoint.%uL", file->generation);
  const auto length = static_cast<size_t>(reinterpret_cast<const char*>(end) - name);
  file->path = path_of(r, store, {name, length});
  if (file->path.data == nullptr) return Found::kFailure;
  ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(r->pool, sizeof(ngx_pool_cleanup_file_t));
  if (cleanup == nullptr) return Found::kFailure;
  file->fd = open_for_reading(file->path);
  if (file->fd == NGX_INVALID_FILE) {
    return ngx_errno == NGX_ENOENT ? Found::kGone : failure(r, "open", file->path);
  }
  auto* closes = static_cast<ngx_pool_cleanup_file_t*>(cleanup->data);
  *closes = {file->fd, file->path.data, r->pool->log};
  cleanup->handler = ngx_pool_cleanup_file;
  return look_into(r, file);
}

}  // namespace

CheckpointFound find_checkpoint_file(ngx_http_request_t* r, const StoreConf& store,
                                     CheckpointFile* file) noexcept {
  for (int i = 0; i < kAttemptsMax; i++) {
    const Found found = open_file(r, store, file);
    if (found == Found::kFile) return CheckpointFound::kFile;
    if (found == Found::kNone) return CheckpointFound::kNone;
    if (found == Found::kFailure) return CheckpointFound::kFailure;
  }
  failure(r, "find", file->path);
  return CheckpointFound::kFailure;
}

ngx_int_t send_checkpoint_file(ngx_http_request_t* r, const CheckpointFile& file) noexcept {
  auto* buffer = static_cast<ngx_buf_t*>(ngx_calloc_buf(r->pool));
  if (buffer == nullptr) return NGX_ERROR;
  buffer->file = static_cast<ngx_file_t*>(ngx_pcalloc(r->pool, sizeof(ngx_file_t)));
  if (buffer->file == nullptr) return NGX_ERROR;
  buffer->file->fd = file.fd;
  buffer->file->name = file.path;
  buffer->file->log = r->connection->log;
  buffer->file_last = static_cast<off_t>(file.bytes);
  buffer->in_file = 1;
  return send_bytes(r, buffer, file.bytes);
}

}  // namespace small_db
