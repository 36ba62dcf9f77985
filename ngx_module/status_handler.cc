// GET and HEAD of …/status: answered in every state, from the region's header alone.

#include <exception>

#include "ngx_module/api/response_body.h"
#include "ngx_module/api/status_body.h"
#include "ngx_module/handlers.h"
#include "ngx_module/response.h"

namespace small_db {

ngx_int_t handle_status(ngx_http_request_t* r, const Region& region) noexcept {
  try {
    // The state first: what the figures tell is then at least as new.
    const StoreState state = region.told_state();
    StatusFigures figures = read_status(region);
    figures.state = state;
    return send_text(r, NGX_HTTP_OK, kJsonContentType, status_body(figures));
  } catch (const std::exception&) {
    return send_problem(r, problem_of(Code::kOverloaded, "the process is out of memory"));
  }
}

}  // namespace small_db
