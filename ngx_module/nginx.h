// The only place that includes nginx's headers, and the few conversions between its types and ours.
//
// Every function that nginx is given is noexcept: an exception that left it would unwind C frames.
#pragma once

extern "C" {
#include <ngx_config.h>
// ngx_core.h comes after ngx_config.h, always.
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

extern ngx_module_t ngx_http_small_db_module;
}

#include <string_view>

namespace small_db {

inline std::string_view text_of(const ngx_str_t& text) noexcept {
  return {reinterpret_cast<const char*>(text.data), text.len};
}

// For nginx's interfaces that take a string and only read it. The text must outlive the result.
inline ngx_str_t ngx_text(std::string_view text) noexcept {
  return {text.size(), reinterpret_cast<u_char*>(const_cast<char*>(text.data()))};
}

}  // namespace small_db
