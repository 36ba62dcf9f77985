// The body of GET …/metrics: the store's figures in Prometheus's text format.
//
// Names, types and labels are part of the contract: metrics may be added; those that are there keep
// their meaning. Every sample has the label `store`, the name of the small_db_store block.
// Source: https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <string>
#include <string_view>

#include "ngx_module/api/status_body.h"

namespace small_db {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// Throws std::bad_alloc.
std::string metrics_body(std::string_view store, const StatusFigures& figures);

}  // namespace small_db
