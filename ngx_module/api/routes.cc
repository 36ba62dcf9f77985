#include "ngx_module/api/routes.h"

#include <algorithm>
#include <iterator>

namespace small_db {
namespace {

struct NameRow {
  std::string_view name;
  Route route;
};

constexpr NameRow kNames[] = {
    {"txn", Route::kTransaction},
    {"health", Route::kHealth},
    {"role", Route::kRole},
    {"status", Route::kStatus},
    {"metrics", Route::kMetrics},
    {"snapshot", Route::kSnapshot},
    {"checkpoint", Route::kCheckpoint},
    {"openapi.json", Route::kOpenApi},
    {"replication/log", Route::kReplicationLog},
    {"replication/checkpoint", Route::kReplicationCheckpoint},
    {"replication/ack", Route::kReplicationAck},
    {"promote", Route::kPromote},
};

struct MethodRow {
  Route route;
  Method method;
  Parameters parameters;
};

constexpr MethodRow kMethods[] = {
    {Route::kItem, Method::kGet, {Parameter::kKey, Parameter::kRaw, Parameter::kEncoding}},
    {Route::kItem,
     Method::kPut,
     {Parameter::kKey, Parameter::kRaw, Parameter::kTtl, Parameter::kExpiresAt}},
    {Route::kItem, Method::kDelete, {Parameter::kKey}},
    {Route::kItem, Method::kPatch, {Parameter::kKey}},
    {Route::kItem,
     Method::kPost,
     {Parameter::kKey, Parameter::kIncr, Parameter::kInit, Parameter::kTtl, Parameter::kExpiresAt}},
    {Route::kCollection,
     Method::kGet,
     {Parameter::kPrefix, Parameter::kStart, Parameter::kEnd, Parameter::kLimit, Parameter::kCursor,
      Parameter::kDelimiter, Parameter::kValues, Parameter::kReverse, Parameter::kEncoding,
      Parameter::kCount}},
    {Route::kCollection, Method::kPut, {Parameter::kPrefix, Parameter::kReplace, Parameter::kAll}},
    {Route::kCollection, Method::kPost, {}},
    {Route::kCollection, Method::kDelete, {Parameter::kPrefix, Parameter::kAll}},
    {Route::kTransaction, Method::kPost, {}},
    {Route::kCheckpoint, Method::kPost, {}},
    {Route::kSnapshot, Method::kGet, {Parameter::kFresh}},
    {Route::kHealth, Method::kGet, {}},
    {Route::kRole, Method::kGet, {}},
    {Route::kStatus, Method::kGet, {}},
    {Route::kMetrics, Method::kGet, {}},
    {Route::kOpenApi, Method::kGet, {}},
    {Route::kReplicationLog,
     Method::kGet,
     {Parameter::kFrom, Parameter::kCluster, Parameter::kNode, Parameter::kEpoch,
      Parameter::kTerm}},
    {Route::kReplicationCheckpoint, Method::kGet, {Parameter::kNode}},
    {Route::kReplicationAck,
     Method::kPost,
     {Parameter::kCluster, Parameter::kNode, Parameter::kEpoch, Parameter::kReceived,
      Parameter::kFlushed, Parameter::kApplied}},
    {Route::kPromote, Method::kPost, {}},
};

}  // namespace

std::optional<Route> route_named(std::string_view name) noexcept {
  for (const NameRow& row : kNames) {
    if (row.name == name) return row.route;
  }
  return std::nullopt;
}

std::string_view route_names() noexcept {
  return "kv, txn, health, role, status, metrics, snapshot, checkpoint, promote, replication/log, "
         "replication/checkpoint, replication/ack and openapi.json";
}

const char* allowed_methods(Route route) noexcept {
  switch (route) {
    case Route::kItem:
      return "GET, HEAD, PUT, DELETE, PATCH, POST, OPTIONS";
    case Route::kCollection:
      return "GET, HEAD, PUT, POST, DELETE, OPTIONS";
    case Route::kTransaction:
    case Route::kCheckpoint:
    case Route::kReplicationAck:
    case Route::kPromote:
      return "POST, OPTIONS";
    case Route::kSnapshot:
    case Route::kHealth:
    case Route::kRole:
    case Route::kStatus:
    case Route::kMetrics:
    case Route::kOpenApi:
    case Route::kReplicationLog:
    case Route::kReplicationCheckpoint:
      break;
  }
  return "GET, HEAD, OPTIONS";
}

bool takes_method(Route route, Method method) noexcept {
  if (method == Method::kOptions) return true;
  return std::any_of(std::begin(kMethods), std::end(kMethods), [&](const MethodRow& row) {
    return row.route == route && row.method == method;
  });
}

Parameters parameters_of(Route route, Method method) noexcept {
  Parameters parameters;
  for (const MethodRow& row : kMethods) {
    if (row.route != route) continue;
    if (row.method == method) return row.parameters;
    if (method == Method::kOptions) parameters = parameters | row.parameters;
  }
  return parameters;
}

}  // namespace small_db
