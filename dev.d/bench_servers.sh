# shellcheck shell=bash disable=SC2154,SC2034
# The servers of `./dev bench`, all on free ports of the loopback interface, all with their files in
# the run's own folder, all started on the server's processor. Idle servers cost the measured one
# nothing. Here: how a server is started, nginx with the store, and nginx without it.

# Of each contender: the port, and the processes whose time is its cost. Global, though this file is
# read within a function.
declare -gA bench_server_pid=() bench_port=()

bench_free_port() {
  local port try
  for ((try = 0; try < 100; try++)); do
    port=$((20000 + RANDOM % 12000))
    # Refused: nobody listens there. Nor will a server that is about to start.
    if [[ " ${bench_port[*]} " != *" $port "* ]] &&
      ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return 0
    fi
  done
  die "found no free port"
}

bench_stop_servers() {
  local pid
  [ "${#bench_server_pid[@]}" -gt 0 ] || return 0
  # shellcheck disable=SC2068
  for pid in ${bench_server_pid[@]}; do
    kill -TERM "$pid" 2>/dev/null || true
  done
  # shellcheck disable=SC2068
  wait ${bench_server_pid[@]} 2>/dev/null || true
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

# What every nginx has in common: bench_nginx_conf PREFIX [LINE...] <<<"what stands within http { }".
bench_nginx_conf() {
  local prefix=$1
  shift
  mkdir -p "$prefix/temp"
  {
    [ "$(id -u)" -ne 0 ] || echo "user root;"
    printf '%s\n' "$@"
    cat <<END
daemon off;
worker_processes ${bench_workers:-1};
pid nginx.pid;
error_log error.log notice;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
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
  local log=$1 deadline=$((SECONDS + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $deadline ]; then
      tail -n 20 "$log" >&2
      die "a server does not answer"
    fi
    sleep 0.05
  done
}

bench_key() { printf 'key:%012d' "$1"; }
bench_short_key() { printf 'key%08d' "$1"; }

# bench_raw_value KEY: the key, repeated up to 100 bytes, as tests/bench/wrk/kv.lua makes it.
bench_raw_value() {
  local value=$1
  while [ ${#value} -lt 100 ]; do value+=$1; done
  printf '%s' "${value:0:100}"
}

# bench_body KEY: the answer to a GET of it. Keys of one length have answers of one length.
bench_body() {
  printf '{"key":"%s","value":"%s","encoding":"base64"}' "$1" "$(bench_raw_value "$1" | base64 -w 0)"
}

# In base64, of a key's number; what a GET of any key has as its body. ./dev profile sends these.
bench_value() { bench_raw_value "$(bench_key "$1")" | base64 -w 0; }
bench_example_body() { bench_body "$(bench_key 1)"; }

# bench_prepare_data DIRECTORY KEYS [ARGUMENT...]: the files of a store with so many keys.
bench_prepare_data() {
  local directory=$1 keys=$2
  shift 2
  mkdir -p "$directory"
  "$bench_programs/prepared_store_bench" --directory="$directory" --keys="$keys" "$@" ||
    die "prepared_store_bench failed"
}

# Two files that a site beside the store serves, and what the store has as values, too.
bench_make_pages() {
  local index
  mkdir -p "$1/static"
  head -c 1024 /dev/zero | tr '\0' 'x' >"$1/static/page"
  for ((index = 0; index < bench_blobs; index++)); do
    head -c 65536 /dev/urandom >"$1/static/blob-64k-$index"
    head -c 1048576 /dev/urandom >"$1/static/blob-1m-$index"
  done
}

bench_put_blobs() {
  local file
  for file in "$1"/static/blob-*; do
    curl -fsS -o /dev/null -T "$file" \
      "http://127.0.0.1:${bench_port[small-db]}/v1/kv/$(basename "$file")?raw" || die "PUT of $file failed"
  done
}

# The store that most points use: 100 k keys, and a few large values.
bench_start_store() {
  local prefix=$bench_tmp/store
  bench_port[small-db]=$(bench_free_port)
  bench_port[small-db-h2]=$(bench_free_port)
  bench_prepare_data "$prefix/data" "$bench_keys" --long-keys=1
  bench_nginx_conf "$prefix" "load_module $module_file;" <<END
  small_db_store main { dir $prefix/data; memory 512m; }
  server {
    listen 127.0.0.1:${bench_port[small-db]};
    listen 127.0.0.1:${bench_port[small-db-h2]} http2;
    client_max_body_size 2m;
    location /v1/ { small_db main; }
    location /static/ { root $prefix; }
  }
END
  bench_make_pages "$prefix"
  bench_start_nginx "$prefix" small-db
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:${bench_port[small-db]}/v1/health"
  bench_put_blobs "$prefix"
}

# bench_return_server CONTENDER TYPE BODY [LINES]: with the headers that the store's answer has.
bench_return_server() {
  bench_port[$1]=$(bench_free_port)
  bench_port[$1-h2]=$(bench_free_port)
  bench_return_servers+="
  server {
    listen 127.0.0.1:${bench_port[$1]};
    listen 127.0.0.1:${bench_port[$1-h2]} http2;
    default_type $2;
    location /v1/ {
      add_header ETag '\"100001\"';
      add_header Vary Accept;
      ${4:-}
      return 200 '$3';
    }
    location /static/ { root $bench_tmp/plain; open_file_cache max=100 inactive=1h; }
  }"
}

bench_start_plain() {
  local prefix=$bench_tmp/plain bench_return_servers=
  bench_return_server nginx-return application/json "$(bench_example_body)"
  bench_return_server nginx-short application/json "$(bench_body "$(bench_short_key 1)")"
  bench_return_server nginx-raw application/octet-stream "$(bench_raw_value "$(bench_key 1)")" \
    "add_header X-Content-Type-Options nosniff;
      add_header Content-Security-Policy sandbox;
      add_header Accept-Ranges bytes;"
  bench_port[nginx-file]=${bench_port[nginx-return]}
  bench_port[nginx-drop]=$(bench_free_port)
  bench_nginx_conf "$prefix" "load_module $bench_drop_module;" <<END
  $bench_return_servers
  server {
    listen 127.0.0.1:${bench_port[nginx-drop]};
    location /v1/ { drop_body; }
  }
END
  bench_make_pages "$prefix"
  bench_start_nginx "$prefix" nginx-return nginx-short nginx-raw nginx-drop nginx-file
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:${bench_port[nginx-drop]}/v1/"
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:${bench_port[nginx-return]}/v1/"
}
