// What the readers of directives share: a directive's arguments, nginx's results, and the one form
// of "this value is wrong".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ngx_module/nginx.h"

namespace small_db {

// nginx's two results that are not texts, as C++ takes them.
inline char* const kConfError = static_cast<char*>(NGX_CONF_ERROR);
inline char* const kConfOk = static_cast<char*>(NGX_CONF_OK);

// Index 0 is the directive's name.
inline ngx_str_t* argument(ngx_conf_t* cf, ngx_uint_t index) noexcept {
  return static_cast<ngx_str_t*>(cf->args->elts) + index;
}

// Logs why the directive's argument is wrong; must: what it must be.
inline const char* refuse_value(ngx_conf_t* cf, ngx_uint_t index, const char* must) noexcept {
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" directive invalid value \"%V\", it must be %s",
                     argument(cf, 0), argument(cf, index), must);
  return kConfError;
}

// An argument of the form PREFIX=VALUE. T: what it sets.
template <typename T>
struct NamedParameter {
  std::string_view prefix;  // with its =
  // Returns kConfOk, kConfError when the reason is logged, or what the argument must be.
  const char* (*set)(ngx_str_t value, T* to) noexcept;
};

// Reads the argument with this index, one of `parameters`, each of which may be given once; taken:
// which were there before. must: what any argument must be. Returns as a directive's reader does.
template <typename T, size_t kCount>
const char* set_named_parameter(ngx_conf_t* cf, ngx_uint_t index,
                                const NamedParameter<T> (&parameters)[kCount], const char* must,
                                uint32_t* taken, T* to) noexcept {
  const std::string_view text = text_of(*argument(cf, index));
  for (size_t i = 0; i < kCount; ++i) {
    const NamedParameter<T>& parameter = parameters[i];
    if (!text.starts_with(parameter.prefix)) continue;
    if ((*taken & 1u << i) != 0) return refuse_value(cf, index, "given once only");
    *taken |= 1u << i;
    const char* error = parameter.set(ngx_text(text.substr(parameter.prefix.size())), to);
    return error == kConfOk || error == kConfError ? error : refuse_value(cf, index, error);
  }
  return refuse_value(cf, index, must);
}

}  // namespace small_db
