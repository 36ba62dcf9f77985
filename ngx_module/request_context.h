// What the module keeps of a request while it reads a body, works or waits: one object per request,
// in the request's pool, whose end destroys it.
#pragma once

#include <new>
#include <utility>

#include "ngx_module/nginx.h"

namespace small_db {

// nullptr when there is no memory. REQUIRES: the request has no such object yet; what the
// constructor is given does not make it throw.
template <typename T, typename... Arguments>
T* make_context(ngx_http_request_t* r, Arguments&&... arguments) noexcept {
  static_assert(alignof(T) <= alignof(uintptr_t), "what nginx aligns to");
  ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(r->pool, sizeof(T));
  if (cleanup == nullptr) return nullptr;
  T* context = new (cleanup->data) T(std::forward<Arguments>(arguments)...);
  cleanup->handler = [](void* data) noexcept { static_cast<T*>(data)->~T(); };
  ngx_http_set_ctx(r, context, ngx_http_small_db_module);
  return context;
}

// REQUIRES: make_context<T>.
template <typename T>
T* context_of(const ngx_http_request_t* r) noexcept {
  return static_cast<T*>(ngx_http_get_module_ctx(r, ngx_http_small_db_module));
}

}  // namespace small_db
