// GET and HEAD of …/metrics: answered in every state, from the region's header alone.

#include <exception>

#include "ngx_module/api/metrics_body.h"
#include "ngx_module/handlers.h"
#include "ngx_module/response.h"

namespace small_db {

ngx_int_t handle_metrics(ngx_http_request_t* r, const StoreConf& store) noexcept {
  try {
    // The state first: what the figures tell is then at least as new.
    const StoreState state = store.region.told_state();
    StatusFigures figures = read_status(store.region);
    figures.state = state;
    return send_text(r, NGX_HTTP_OK, kMetricsContentType,
                     metrics_body(text_of(store.name), figures));
  } catch (const std::exception&) {
    return send_problem(r, problem_of(Code::kOverloaded, "the process is out of memory"));
  }
}

}  // namespace small_db
