#include "ngx_module/node_headers.h"

#include <charconv>
#include <exception>

#include "ngx_module/api/replication_figures.h"
#include "ngx_module/api/upstream_head.h"
#include "ngx_module/response.h"

namespace small_db {

NodeIdentity read_node_identity(const Region& region) {
  const ReplicationState& state = region.replication();
  NodeIdentity node;
  node.cluster_id = load_uid(state.cluster_id);
  node.node_id = load_uid(state.node_id);
  node.epoch = state.epoch.load(std::memory_order_relaxed);
  node.role = told_role(state);
  node.terms = parse_terms(state.terms.get()).value_or(std::vector<Term>());
  return node;
}

ngx_int_t add_header_copy(ngx_http_request_t* r, std::string_view name,
                          std::string_view value) noexcept {
  auto* copy = static_cast<u_char*>(ngx_pnalloc(r->pool, value.size() + 1));
  if (copy == nullptr) return NGX_ERROR;
  ngx_memcpy(copy, value.data(), value.size());
  return add_header(r, name, {reinterpret_cast<const char*>(copy), value.size()});
}

ngx_int_t add_number_header(ngx_http_request_t* r, std::string_view name, uint64_t value) noexcept {
  char text[NGX_INT64_LEN + 1];
  const char* end = std::to_chars(text, text + sizeof text, value).ptr;
  return add_header_copy(r, name, {text, static_cast<size_t>(end - text)});
}

ngx_int_t add_node_headers(ngx_http_request_t* r, const NodeIdentity& node) noexcept {
  try {
    const std::string terms = encode_terms(node.terms);
    const bool added =
        add_header_copy(r, node_header::kCluster, encode_uid(node.cluster_id)) == NGX_OK &&
        add_header_copy(r, node_header::kNode, encode_uid(node.node_id)) == NGX_OK &&
        add_number_header(r, node_header::kEpoch, node.epoch) == NGX_OK &&
        add_header(r, node_header::kRole, role_name(node.role)) == NGX_OK &&
        add_header_copy(r, node_header::kHistory, terms) == NGX_OK;
    return added ? NGX_OK : NGX_ERROR;
  } catch (const std::exception&) {
    return NGX_ERROR;
  }
}

}  // namespace small_db
