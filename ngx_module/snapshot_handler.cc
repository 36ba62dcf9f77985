// GET and HEAD of …/snapshot: the checkpoint in force, as the file that it is, straight from the
// store's directory; with ?fresh=true after a new one was taken.

#include "ngx_module/availability.h"
#include "ngx_module/checkpoint_file.h"
#include "ngx_module/checkpoint_wait.h"
#include "ngx_module/handlers.h"
#include "ngx_module/response.h"

namespace small_db {
namespace {

// Whether the field names the tag. A weak one counts where the comparison is weak.
bool names_tag(const ngx_table_elt_t* field, std::string_view etag, bool is_weak) noexcept {
  const std::string_view text = text_of(field->value);
  if (text == "*") return true;
  const size_t at = text.find(etag);
  if (at == std::string_view::npos) return false;
  return is_weak || at < 2 || text.substr(at - 2, 2) != "W/";
}

ngx_int_t add_file_headers(ngx_http_request_t* r, const CheckpointFile& file) noexcept {
  constexpr std::string_view kBefore = "attachment; filename=\"checkpoint.";
  auto* text = static_cast<u_char*>(ngx_pnalloc(r->pool, kBefore.size() + NGX_INT64_LEN + 1));
  if (text == nullptr) return NGX_ERROR;
  const u_char* end =
      ngx_sprintf(ngx_cpymem(text, kBefore.data(), kBefore.size()), "%uL\"", file.generation);
  if (set_etag(r, file.etag) != NGX_OK) return NGX_ERROR;
  return add_header(r, "Content-Disposition",
                    {reinterpret_cast<char*>(text), static_cast<size_t>(end - text)});
}

ngx_int_t send_snapshot(ngx_http_request_t* r, const StoreConf& store) noexcept {
  r->disable_not_modified = 1;
  CheckpointFile file;
  const CheckpointFound found = find_checkpoint_file(r, store, &file);
  if (found == CheckpointFound::kNone) {
    return send_problem(r, make_problem(ProblemKind::kNoCheckpoint,
                                        {"none was made so far; ?fresh=true makes one first"}));
  }
  if (found != CheckpointFound::kFile) {
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
  return send_checkpoint_file(r, file);
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
