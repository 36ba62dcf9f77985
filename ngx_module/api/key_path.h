// From a request's target to the resource that it names, to the key, and to the parameters.
//
// Two forms name a key:
//   MOUNT/kv/KEY        everything after kv/ in the raw path, percent-decoded once
//   MOUNT/kv?key=KEY    the parameter, percent-decoded once: takes every key there is
// In both %2F and / are the same byte and + is a plus (no form decoding).
//
// Invariant: no two distinct keys alias, and no key is reached through a location that nginx did
// not choose for it. nginx chooses the location, and with it the access rules, by its normalised
// path: where that is not the bytes of the decoded raw path (//, ., .. segments, a fragment), the
// first form is refused. A path that nginx put in the place of the client's (by a rewrite, an
// internal redirect, in a subrequest) is taken as it stands, unless bytes were lost before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/base/limits.h"
#include "ngx_module/api/problem.h"
#include "ngx_module/api/query.h"
#include "ngx_module/api/routes.h"

namespace small_db {

// As nginx has it. `normalised` must outlive the target, the other views the call only.
struct RequestTarget {
  std::string_view raw;                  // r->unparsed_uri; empty when it is not this path's
  std::string_view normalised;           // r->uri
  std::string_view args;                 // r->args, undecoded
  std::string_view mount;                // the location's prefix, with or without a / at its end
  size_t key_bytes_max = kKeyBytesMax;   // a longer key is kTooLarge (names max_key_size)
  std::string_view rewritten_from = {};  // r->unparsed_uri, when nginx rewrote the path
  Method method = Method::kGet;          // decides which parameters there may be
};

struct Target {
  Route route = Route::kHealth;
  std::string_view key;  // of kItem, never empty; points into `normalised` or into `query`
  Query query;           // only what the route and the method take; may be moved
};

// Whether the route takes the method is the caller's to see (takes_method). Errors: kUnknownPath,
// kInvalidPath, kAmbiguousPath, kInvalidKey, kInvalidQuery, kTooLarge; kOverloaded when the process
// has no memory.
[[nodiscard]] std::optional<Problem> parse_target(const RequestTarget& request,
                                                  Target* target) noexcept;

}  // namespace small_db
