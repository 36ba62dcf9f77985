// POST of a checkpoint, and what else needs one: it waits as a write does, but longer.
//
// An owner keeps those who wait for a checkpoint in its own memory: one that goes, by a reload or a
// crash, takes their outcome with it. They are told to ask again.

#include <new>

#include "ngx_module/api/response_body.h"
#include "ngx_module/availability.h"
#include "ngx_module/checkpoint_wait.h"
#include "ngx_module/handlers.h"
#include "ngx_module/response.h"
#include "ngx_module/submission.h"

namespace small_db {
namespace {

// All of a large store is written, and read back.
constexpr ngx_msec_t kDeadlineMs = 10 * 60 * 1000;

// In the request's pool, whose cleanup forgets the wait.
struct Checkpoint {
  Checkpoint(StoreConf* of, CheckpointAnswer with) noexcept : store(of), answer(with) {}
  ~Checkpoint() { cancel_wait(cookie); }

  StoreConf* store;
  CheckpointAnswer answer;
  uint64_t cookie = 0;
  uint32_t owner_pid = 0;  // when it was submitted; 0: whoever comes next
};

void destroy_checkpoint(void* data) noexcept { static_cast<Checkpoint*>(data)->~Checkpoint(); }

Checkpoint* checkpoint_of(ngx_http_request_t* r) noexcept {
  return static_cast<Checkpoint*>(ngx_http_get_module_ctx(r, ngx_http_small_db_module));
}

uint32_t owner_pid(const StoreConf& store) noexcept {
  return store.region.header().owner_pid.load(std::memory_order_acquire);
}

Status submit_checkpoint(ngx_http_request_t* r, Client& client, uint64_t cookie) noexcept {
  Checkpoint* checkpoint = checkpoint_of(r);
  checkpoint->owner_pid = owner_pid(*checkpoint->store);
  return client.checkpoint(cookie);
}

ngx_int_t pass_outcome(ngx_http_request_t* r, const WriteOutcome& outcome) noexcept {
  r->disable_not_modified = 1;
  const Checkpoint* checkpoint = checkpoint_of(r);
  return checkpoint->answer(r, *checkpoint->store, outcome.code);
}

ngx_int_t send_checkpoint_outcome(ngx_http_request_t* r, const StoreConf& store,
                                  Code code) noexcept {
  if (code == Code::kOk) return send_text(r, NGX_HTTP_OK, kJsonContentType, kOkBody);
  return send_problem(r, checkpoint_refusal(store.region, code));
}

bool is_lost(ngx_http_request_t* r) noexcept {
  const Checkpoint* checkpoint = checkpoint_of(r);
  return checkpoint->owner_pid != 0 && checkpoint->owner_pid != owner_pid(*checkpoint->store);
}

constexpr WaitKind kCheckpointWait = {submit_checkpoint, pass_outcome, is_lost, kDeadlineMs};

// The body says nothing; nginx has read it so that the connection can go on.
void proceed_after_body(ngx_http_request_t* r) noexcept {
  Checkpoint* checkpoint = checkpoint_of(r);
  submit_and_wait(r, *checkpoint->store, kCheckpointWait, &checkpoint->cookie);
}

}  // namespace

ngx_int_t handle_checkpoint(ngx_http_request_t* r, StoreConf* store) noexcept {
  return take_checkpoint(r, store, send_checkpoint_outcome);
}

ngx_int_t take_checkpoint(ngx_http_request_t* r, StoreConf* store,
                          CheckpointAnswer answer) noexcept {
  if (const auto problem = why_no_checkpoint(r, *store)) {
    const ngx_int_t discarded = ngx_http_discard_request_body(r);
    return discarded == NGX_OK ? send_problem(r, *problem) : discarded;
  }
  ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(r->pool, sizeof(Checkpoint));
  if (cleanup == nullptr) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  ngx_http_set_ctx(r, new (cleanup->data) Checkpoint(store, answer), ngx_http_small_db_module);
  cleanup->handler = destroy_checkpoint;
  const ngx_int_t reading = ngx_http_read_client_request_body(r, proceed_after_body);
  return reading >= NGX_HTTP_SPECIAL_RESPONSE ? reading : NGX_DONE;
}

}  // namespace small_db
