# shellcheck shell=bash disable=SC2154,SC2034
# `./dev profile`: how many instructions a request takes in user space, counted by callgrind, so that
# a busy machine gives the same numbers as a quiet one. What the kernel does is not in them.

profile_requests=2000

profile_all() {
  install_packages build profile
  # shellcheck source=/dev/null
  . "$root/dev.d/bench_servers.sh"
  module_build >&2
  bench_build_drop_body
  bench_enter
  printf '{"value":"%s"}' "$(bench_value 1)" >"$bench_tmp/body"
  printf '%-26s %10s %10s\n' "instructions of a request" worker storage
  profile_point "return 200" return
  profile_point "GET" v1/kv
  profile_point "GET ?raw" v1/kv '?raw'
  profile_point "body read and dropped" drop '' "${profile_put[@]}"
  profile_point "PUT" v1/kv '' "${profile_put[@]}"
  say "callgrind's files, for callgrind_annotate: build/bench/callgrind"
}

# 64 at a time, so that they share batches and syncs.
profile_put=(-X PUT -H 'Content-Type: application/json' -Z --parallel-max 64)

# nginx in one process, so that one callgrind sees all of it: the worker is its first thread.
profile_conf() {
  bench_nginx_conf "$1" "load_module $module_file;" "load_module $bench_drop_module;" \
    "master_process off;" <<END
  small_db_store main { dir $1/data; memory 64m; }
  server {
    listen 127.0.0.1:$bench_port_store;
    location /v1/ { small_db main; }
    location /drop/ { drop_body; }
    location /return/ {
      add_header ETag '"100001"';
      add_header Vary Accept;
      return 200 '$(bench_example_body)';
    }
  }
END
}

# profile_send PATH QUERY FIRST LAST CURL_ARGUMENTS...: over connections that are kept.
profile_send() {
  local url="http://127.0.0.1:$bench_port_store/$1/key:[$3-$4]$2"
  shift 4
  [ $# -eq 0 ] || set -- "$@" -d "@$bench_tmp/body"
  curl -sf "$@" "$url" >/dev/null 2>"$bench_tmp/curl.log"  # -Z shows its progress in spite of -s
}

# profile_point NAME PATH [QUERY [CURL_ARGUMENTS...]]
profile_point() {
  local name=$1 path=$2 query=${3:-} prefix=$bench_tmp/profile output=$root/build/bench/callgrind
  shift $(($# < 3 ? $# : 3))
  output=$output/${name//[^A-Za-z]/}
  rm -rf "$prefix" "$output"
  mkdir -p "$output"
  bench_port_store=$(bench_free_port)
  profile_conf "$prefix"
  (PATH=$PATH:/usr/sbin exec valgrind --tool=callgrind --separate-threads=yes --instr-atstart=no \
    --callgrind-out-file="$output/out" nginx -p "$prefix" -c "$prefix/nginx.conf" \
    -e "$prefix/error.log") >"$prefix/output.log" 2>&1 &
  local pid=$!
  bench_server_pid[profile]=$pid
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:$bench_port_store/v1/health"
  # Keys that are there, and a process that has seen everything once.
  profile_send v1/kv '' 100001 102000 "${profile_put[@]}"
  profile_send "$path" "$query" 100001 100100 "$@"
  callgrind_control --instr=on "$pid" >/dev/null 2>&1
  profile_send "$path" "$query" 100001 $((100000 + profile_requests)) "$@"
  callgrind_control --instr=off "$pid" >/dev/null 2>&1
  profile_stop "$pid"
  profile_line "$name" "$output"
}

# Without a master, nginx sees a signal that came just before it waited only at the next event.
profile_stop() {
  kill -TERM "$1"
  while kill -0 "$1" 2>/dev/null; do
    curl -s -m 1 "http://127.0.0.1:$bench_port_store/v1/health" >/dev/null || true
    sleep 0.05
  done
  wait "$1" 2>/dev/null || true
  unset 'bench_server_pid[profile]'
}

profile_line() {
  local file worker=0 storage=0 total
  for file in "$2"/out-*; do
    total=$(sed -n 's/^totals: //p' "$file")
    if [[ $file == *-01 ]]; then worker=$total; else storage=$((storage + total)); fi
  done
  printf '%-26s %10d %10d\n' "$1" $((worker / profile_requests)) $((storage / profile_requests))
}
