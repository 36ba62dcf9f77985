// GET and HEAD of …/snapshot: the checkpoint in force, as the file that it is, straight from the
// store's directory; with ?fresh=true after a new one was taken.
//
// A checkpoint never changes once it has its name, and one that is deleted while it is sent is sent
// whole: the open descriptor keeps it.

#include <unistd.h>

#include <array>
#include <optional>

#include "engine/checkpoint/format.h"
#include "engine/recovery/data_directory.h"
#include "ngx_module/availability.h"
#include "ngx_module/bytes_response.h"
#include "ngx_module/checkpoint_wait.h"
#include "ngx_module/handlers.h"
#include "ngx_module/response.h"

namespace small_db {
namespace {

// A generation may be deleted between two looks; each time there is a newer one.
constexpr int kAttemptsMax = 10;

struct SnapshotFile {
  ngx_fd_t fd = NGX_INVALID_FILE;
  uint64_t generation = 0;
  uint64_t bytes = 0;
  ngx_str_t path = ngx_null_string;
  std::string_view etag;
};

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
Found look_into(ngx_http_request_t* r, SnapshotFile* file) noexcept {
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

Found open_file(ngx_http_request_t* r, const StoreConf& store, SnapshotFile* file) noexcept {
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

Found find_file(ngx_http_request_t* r, const StoreConf& store, SnapshotFile* file) noexcept {
  for (int i = 0; i < kAttemptsMax; i++) {
    const Found found = open_file(r, store, file);
    if (found != Found::kGone) return found;
  }
  return failure(r, "find", file->path);
}

// Whether the field names the tag. A weak one counts where the comparison is weak.
bool names_tag(const ngx_table_elt_t* field, std::string_view etag, bool is_weak) noexcept {
  const std::string_view text = text_of(field->value);
  if (text == "*") return true;
  const size_t at = text.find(etag);
  if (at == std::string_view::npos) return false;
  return is_weak || at < 2 || text.substr(at - 2, 2) != "W/";
}

ngx_int_t add_file_headers(ngx_http_request_t* r, const SnapshotFile& file) noexcept {
  constexpr std::string_view kBefore = "attachment; filename=\"checkpoint.";
  auto* text = static_cast<u_char*>(ngx_pnalloc(r->pool, kBefore.size() + NGX_INT64_LEN + 1));
  if (text == nullptr) return NGX_ERROR;
  const u_char* end =
      ngx_sprintf(ngx_cpymem(text, kBefore.data(), kBefore.size()), "%uL\"", file.generation);
  if (set_etag(r, file.etag) != NGX_OK) return NGX_ERROR;
  return add_header(r, "Content-Disposition",
                    {reinterpret_cast<char*>(text), static_cast<size_t>(end - text)});
}

ngx_int_t send_file(ngx_http_request_t* r, const SnapshotFile& file) noexcept {
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

ngx_int_t send_snapshot(ngx_http_request_t* r, const StoreConf& store) noexcept {
  r->disable_not_modified = 1;
  SnapshotFile file;
  const Found found = find_file(r, store, &file);
  if (found == Found::kNone) {
    return send_problem(r, make_problem(ProblemKind::kNoCheckpoint,
                                        {"none was made so far; ?fresh=true makes one first"}));
  }
  if (found != Found::kFile) {
    return send_problem(r, make_problem(ProblemKind::kInternal,
                                        {"the checkpoint can't be read: see nginx's error log"}));
  }
  if (add_file_headers(r, file) != NGX_OK) return NGX_ERROR;
  const auto& headers = r->headers_in;
  if (headers.if_match != nullptr && !names_tag(headers.if_match, file.etag, false)) {
    return send_problem(r, make_problem(ProblemKind::kConditionFailed,
                                        {"If-Match names another checkpoint than ", file.etag}));
  }
  if (headers.if_none_match != nullptr && names_tag(headers.if_none_match, file.etag, true)) {
    return send_not_modified(r);
  }
  return send_file(r, file);
}

ngx_int_t send_fresh_snapshot(ngx_http_request_t* r, const StoreConf& store, Code code) noexcept {
  if (code == Code::kOk) return send_snapshot(r, store);
  return send_problem(r, checkpoint_refusal(store.region, code));
}

}  // namespace

ngx_int_t handle_snapshot(const ResourceRequest& request) noexcept {
  ngx_http_request_t* r = request.r;
  if (request.query.flag(Parameter::kFresh)) {
    return take_checkpoint(r, request.store, send_fresh_snapshot);
  }
  const ngx_int_t discarded = ngx_http_discard_request_body(r);
  if (discarded != NGX_OK) return discarded;
  if (const auto problem = why_no_reads(request.store->region)) return send_problem(r, *problem);
  return send_snapshot(r, *request.store);
}

}  // namespace small_db
