#include "ngx_module/api/routes.h"

#include <gtest/gtest.h>

#include <string>

namespace small_db {
namespace {

constexpr Route kAll[] = {
    Route::kHealth,         Route::kItem,     Route::kCollection,     Route::kTransaction,
    Route::kCheckpoint,     Route::kSnapshot, Route::kRole,           Route::kStatus,
    Route::kMetrics,        Route::kOpenApi,  Route::kReplicationLog, Route::kReplicationCheckpoint,
    Route::kReplicationAck, Route::kPromote};

constexpr std::pair<Method, const char*> kMethodNames[] = {{Method::kGet, "GET"},
                                                           {Method::kPut, "PUT"},
                                                           {Method::kPost, "POST"},
                                                           {Method::kPatch, "PATCH"},
                                                           {Method::kDelete, "DELETE"}};

TEST(Routes, NameTheMethodsOfEach) {
  EXPECT_STREQ(allowed_methods(Route::kItem), "GET, HEAD, PUT, DELETE, PATCH, POST, OPTIONS");
  EXPECT_STREQ(allowed_methods(Route::kCollection), "GET, HEAD, PUT, POST, DELETE, OPTIONS");
  EXPECT_STREQ(allowed_methods(Route::kTransaction), "POST, OPTIONS");
  EXPECT_STREQ(allowed_methods(Route::kHealth), "GET, HEAD, OPTIONS");
  EXPECT_STREQ(allowed_methods(Route::kSnapshot), "GET, HEAD, OPTIONS");
  EXPECT_STREQ(allowed_methods(Route::kCheckpoint), "POST, OPTIONS");
}

TEST(Routes, AllowWhatTheyTake) {
  for (const Route route : kAll) {
    const std::string allowed = std::string(" ") + allowed_methods(route) + ",";
    for (const auto& [method, name] : kMethodNames) {
      const bool is_named = allowed.find(std::string(" ") + name + ",") != std::string::npos;
      EXPECT_EQ(takes_method(route, method), is_named) << name << " in" << allowed;
    }
    EXPECT_TRUE(takes_method(route, Method::kOptions));
    EXPECT_FALSE(takes_method(route, Method::kOther));
  }
}

TEST(Routes, TakeWithOptionsWhatAnyMethodTakes) {
  const Parameters parameters = parameters_of(Route::kItem, Method::kOptions);
  EXPECT_TRUE(parameters.has(Parameter::kEncoding));
  EXPECT_TRUE(parameters.has(Parameter::kIncr));
  EXPECT_FALSE(parameters.has(Parameter::kPrefix));
  EXPECT_TRUE(parameters_of(Route::kTransaction, Method::kPost).is_empty());
}

TEST(Routes, AreFoundByTheirNames) {
  const std::string names(route_names());
  for (const char* name :
       {"txn", "health", "role", "status", "metrics", "snapshot", "checkpoint", "openapi.json",
        "promote", "replication/log", "replication/checkpoint", "replication/ack"}) {
    EXPECT_TRUE(route_named(name)) << name;
    EXPECT_NE(names.find(name), std::string::npos);
  }
  for (const char* name : {"", "kv", "kv/a", "Health", "health/"}) {
    EXPECT_FALSE(route_named(name)) << name;
  }
}

}  // namespace
}  // namespace small_db
