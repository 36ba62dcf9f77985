/*
 * The baseline of the PUT benchmark: reads the request's body, forgets it, and answers what a store
 * would answer. What nginx costs without any store, that is. For benchmarks only.
 *
 *     location /v1/ { drop_body; }
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

static char *drop_body(ngx_conf_t *cf, ngx_command_t *command, void *conf);
static ngx_int_t drop_body_handler(ngx_http_request_t *r);
static void drop_body_answer(ngx_http_request_t *r);

static ngx_command_t commands[] = {
    {ngx_string("drop_body"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, drop_body, 0, 0, NULL},
    ngx_null_command};

static ngx_http_module_t context = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL};

ngx_module_t ngx_http_drop_body_module = {
    NGX_MODULE_V1, &context, commands, NGX_HTTP_MODULE, NULL, NULL, NULL, NULL,
    NULL,          NULL,     NULL,     NGX_MODULE_V1_PADDING};

static char *drop_body(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  ngx_http_core_loc_conf_t *location = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
  location->handler = drop_body_handler;
  return NGX_CONF_OK;
}

static ngx_int_t drop_body_handler(ngx_http_request_t *r) {
  ngx_int_t status = ngx_http_read_client_request_body(r, drop_body_answer);
  return status >= NGX_HTTP_SPECIAL_RESPONSE ? status : NGX_DONE;
}

static void drop_body_answer(ngx_http_request_t *r) {
  static u_char body[] = "{\"ok\":true}";
  ngx_buf_t *buffer = ngx_calloc_buf(r->pool);
  if (buffer == NULL) {
    ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    return;
  }
  buffer->pos = body;
  buffer->last = body + sizeof(body) - 1;
  buffer->memory = 1;
  buffer->last_buf = 1;
  buffer->last_in_chain = 1;
  ngx_str_set(&r->headers_out.content_type, "application/json");
  r->headers_out.content_type_len = r->headers_out.content_type.len;
  r->headers_out.status = NGX_HTTP_OK;
  r->headers_out.content_length_n = sizeof(body) - 1;
  ngx_int_t sent = ngx_http_send_header(r);
  if (sent == NGX_OK && !r->header_only) {
    ngx_chain_t chain = {buffer, NULL};
    sent = ngx_http_output_filter(r, &chain);
  }
  ngx_http_finalize_request(r, sent);
}
