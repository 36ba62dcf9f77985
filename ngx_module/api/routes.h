// The resources under a mount point: their names, the methods that each takes, and the parameters
// that each method takes there.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ngx_module/api/query.h"

namespace small_db {

enum class Route : uint8_t {
  kHealth,
  kItem,        // kv/KEY and kv?key=KEY
  kCollection,  // kv without key=
  kTransaction,
  kCheckpoint,
  kSnapshot,
  kRole,
  kStatus,
  kMetrics,
  kOpenApi,
  kReplicationLog,
  kReplicationCheckpoint,
  kReplicationAck,
  kPromote,
};

enum class Method : uint8_t {
  kGet,  // and HEAD
  kPut,
  kPost,
  kPatch,
  kDelete,
  kOptions,
  kOther,
};

// The route of what stands behind the mount point, but for those of kv.
std::optional<Route> route_named(std::string_view name) noexcept;

// "kv, txn, health, …": all names, for those who asked for another one.
std::string_view route_names() noexcept;

// Value of Allow for a route: "GET, HEAD, PUT, DELETE, PATCH, POST, OPTIONS".
const char* allowed_methods(Route route) noexcept;

// True for OPTIONS on every route.
bool takes_method(Route route, Method method) noexcept;

// What the method takes there; with OPTIONS, what any method does.
Parameters parameters_of(Route route, Method method) noexcept;

}  // namespace small_db
