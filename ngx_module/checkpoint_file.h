// The checkpoint in force, as the file that it is, straight from the store's directory.
#pragma once

#include <cstdint>
#include <string_view>

#include "ngx_module/directives.h"

namespace small_db {

// What it holds lives as long as the request.
struct CheckpointFile {
  ngx_fd_t fd = NGX_INVALID_FILE;
  uint64_t generation = 0;
  uint64_t bytes = 0;
  ngx_str_t path = ngx_null_string;
  std::string_view etag;
};

enum class CheckpointFound : uint8_t {
  kFile,
  kNone,     // none was made yet
  kFailure,  // the reason is logged
};

CheckpointFound find_checkpoint_file(ngx_http_request_t* r, const StoreConf& store,
                                     CheckpointFile* file) noexcept;

// Sends all of it, or the part that is asked for. Returns what a content handler returns.
// REQUIRES: set_etag was called.
ngx_int_t send_checkpoint_file(ngx_http_request_t* r, const CheckpointFile& file) noexcept;

}  // namespace small_db
