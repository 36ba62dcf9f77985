# shellcheck shell=bash disable=SC2154,SC2034
# The servers of `./dev bench`, all on free ports of the loopback interface, all with their files in
# the run's own folder, all started on the server's processor: nginx with the store, nginx without
# it, and Redis that syncs every write before it answers. Idle servers cost the measured one nothing.

# Of each contender. Global, though this file is read within a function.
declare -gA bench_server_pid=()

bench_free_port() {
  local port try
  for ((try = 0; try < 100; try++)); do
    port=$((20000 + RANDOM % 12000))
    # Refused: nobody listens there.
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return 0
    fi
  done
  die "found no free port"
}

bench_stop_servers() {
  local pid
  [ "${#bench_server_pid[@]}" -gt 0 ] || return 0
  for pid in "${bench_server_pid[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
  done
  wait "${bench_server_pid[@]}" 2>/dev/null || true
}

# The baseline of PUT: tests/bench/drop_body, built as any dynamic module of nginx is.
bench_build_drop_body() {
  local source=$root/tests/bench/drop_body build=$root/build/bench/drop_body stamp
  bench_drop_module=$build/ngx_http_drop_body_module.so
  stamp=$(cat "$source"/* "$nginx_source/conf_flags"; dpkg-query -W nginx-dev)
  if [ -f "$bench_drop_module" ] && [ "$(cat "$build/stamp")" = "$stamp" ]; then return 0; fi
  rm -rf "$build"
  mkdir -p "$build"
  (
    cd "$nginx_source"
    NGX_CONF_FLAGS=()
    # shellcheck source=/dev/null
    . ./conf_flags
    ./configure --with-cc-opt="$(dpkg-buildflags --get CFLAGS) -fPIC" \
      "${NGX_CONF_FLAGS[@]}" --add-dynamic-module="$source" --builddir="$build" &&
      make -s -f "$build/Makefile" modules
  ) >"$build/build.log" 2>&1 || { tail -n 20 "$build/build.log" >&2; return 1; }
  printf '%s\n' "$stamp" >"$build/stamp"
}

# What both nginx have in common: bench_nginx_conf PREFIX [LINE...] <<<"what stands within http { }".
bench_nginx_conf() {
  local prefix=$1
  shift
  mkdir -p "$prefix/temp"
  {
    [ "$(id -u)" -ne 0 ] || echo "user root;"
    printf '%s\n' "$@"
    cat <<END
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log notice;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  default_type application/json;
  client_body_temp_path temp/body;
  proxy_temp_path temp/proxy;
  fastcgi_temp_path temp/fastcgi;
  uwsgi_temp_path temp/uwsgi;
  scgi_temp_path temp/scgi;
END
    cat
    echo "}"
  } >"$prefix/nginx.conf"
}

# bench_start_nginx PREFIX CONTENDER...
bench_start_nginx() {
  local prefix=$1 contender pid
  shift
  (PATH=$PATH:/usr/sbin on_server nginx -p "$prefix" -c "$prefix/nginx.conf" \
    -e "$prefix/error.log") >"$prefix/output.log" 2>&1 &
  pid=$!
  for contender in "$@"; do bench_server_pid[$contender]=$pid; done
}

# bench_await LOG COMMAND...: until the command succeeds.
bench_await() {
  local log=$1 deadline=$((SECONDS + 20))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $deadline ]; then
      tail -n 20 "$log" >&2
      die "a server does not answer"
    fi
    sleep 0.05
  done
}

# The bytes that a GET of any key has as its body; keys and values are all of one length.
bench_example_body() {
  printf '{"key":"%s","value":"%s","encoding":"base64"}' "$(bench_key 1)" "$(bench_value 1)"
}

bench_key() { printf 'key:%012d' "$1"; }

# In base64. As tests/bench/wrk/kv.lua makes it.
bench_value() {
  local key
  key=$(bench_key "$1")
  printf '%s' "$key$key$key$key$key$key$key" | head -c 100 | base64 -w 0
}

bench_start_store() {
  local prefix=$bench_tmp/store
  bench_port_store=$(bench_free_port)
  bench_nginx_conf "$prefix" "load_module $module_file;" <<END
  small_db_store main { dir $prefix/data; memory 256m; }
  server {
    listen 127.0.0.1:$bench_port_store;
    location /v1/ { small_db main; }
    location /static/ { root $prefix; }
  }
END
  bench_make_page "$prefix"
  bench_start_nginx "$prefix" small-db
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:$bench_port_store/v1/health"
}

bench_start_plain() {
  local prefix=$bench_tmp/plain
  bench_port_return=$(bench_free_port)
  bench_port_drop=$(bench_free_port)
  bench_nginx_conf "$prefix" "load_module $bench_drop_module;" <<END
  server {
    listen 127.0.0.1:$bench_port_return;
    location /v1/ {
      add_header ETag '"100001"';
      add_header Vary Accept;
      return 200 '$(bench_example_body)';
    }
    location /static/ { root $prefix; }
  }
  server {
    listen 127.0.0.1:$bench_port_drop;
    location /v1/ { drop_body; }
  }
END
  bench_make_page "$prefix"
  bench_start_nginx "$prefix" nginx-return nginx-drop apart
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:$bench_port_drop/v1/"
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:$bench_port_return/v1/"
}

# A file of 1 KiB, which a site beside the store serves.
bench_make_page() {
  mkdir -p "$1/static"
  head -c 1024 /dev/zero | tr '\0' 'x' >"$1/static/page"
}

# The package redis-tools holds the server too, under another name, and starts no service.
bench_start_redis() {
  local prefix=$bench_tmp/redis
  mkdir -p "$prefix"
  ln -s "$(command -v redis-check-rdb)" "$prefix/redis-server"
  bench_redis=$prefix/redis-server
  bench_port_redis=$(bench_free_port)
  (cd "$prefix" && on_server "$bench_redis" --bind 127.0.0.1 --port "$bench_port_redis" \
    --dir "$prefix" --daemonize no --save "" --appendonly yes --appendfsync always \
    --auto-aof-rewrite-percentage 0) >"$prefix/redis.log" 2>&1 &
  bench_server_pid[redis]=$!
  bench_await "$prefix/redis.log" redis-cli -p "$bench_port_redis" ping
}

bench_start_servers() {
  bench_start_store
  bench_start_plain
  bench_start_redis
}
