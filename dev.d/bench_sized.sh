# shellcheck shell=bash disable=SC2154,SC2034,SC2317
# Stores of a thousand to ten million keys for `./dev bench`: what they cost in memory, in time to
# load, and a request to them. Their files are written by tests/bench/prepared_store_bench.cc: keys of
# 11 bytes, values of 100. They make no checkpoints, so that a small one and a large one differ by
# their size alone.

bench_load_memory_bytes=3000000000  # more than any contender takes to load

bench_number_of() {
  case $1 in
    *m) echo $((${1%m} * 1000000)) ;;
    *k) echo $((${1%k} * 1000)) ;;
  esac
}

# bench_sized_conf PREFIX CONTENDER KEYS
bench_sized_conf() {
  bench_port[$2]=$(bench_free_port)
  bench_nginx_conf "$1" "load_module $module_file;" <<END
  small_db_store main { dir $1/data; memory $((64 + $3 * 240 / 1000000))m; checkpoint off; }
  server {
    listen 127.0.0.1:${bench_port[$2]};
    location /v1/ { small_db main; }
  }
END
}

# A worker maps a page of the store when it first reads it: what a large store costs for good shows
# when that is over. Requests are drawn anew with each seed.
bench_warm_up() {
  local bench_seed
  for bench_seed in 101 102 103 104; do
    bench_run_wrk "${bench_port[$1]}" 3 64 GET /v1/kv/key%08d none "$2" >/dev/null
  done
}

# bench_start_sized SIZE: the contender store-SIZE.
bench_start_sized() {
  local contender=store-$1 prefix=$bench_tmp/store-$1 keys
  keys=$(bench_number_of "$1")
  bench_prepare_data "$prefix/data" "$keys"
  bench_sized_conf "$prefix" "$contender" "$keys"
  bench_start_nginx "$prefix" "$contender"
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:${bench_port[$contender]}/v1/health"
  [ "$keys" -lt 5000000 ] || bench_warm_up "$contender" "$keys"
}

# Two workers if there are processors for two servers and two clients.
bench_start_pair() {
  local prefix=$bench_tmp/pair bench_workers=1 bench_processor_server=$bench_processor_server
  if [ "${#bench_processors[@]}" -ge 4 ]; then
    bench_workers=2 bench_processor_server+=,${bench_processors[3]}
  fi
  bench_prepare_data "$prefix/data" "$bench_keys" --long-keys=1
  bench_sized_conf "$prefix" busy "$bench_keys"
  bench_port[quiet]=${bench_port[busy]}
  bench_start_nginx "$prefix" busy quiet
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:${bench_port[busy]}/v1/health"
}

# What loading needs: files that nobody has changed since, and for Redis its own RDB of the same data.
bench_prepare_load() {
  bench_load_keys=$(bench_number_of "$1")
  bench_prepare_data "$bench_tmp/load-data" "$bench_load_keys"
}

bench_prepare_redis_load() {
  local directory=$bench_tmp/load-redis
  bench_load_keys=$(bench_number_of "$1")
  mkdir -p "$directory"
  "$bench_programs/prepared_store_bench" --rdb="$directory/dump.rdb" --keys="$bench_load_keys" ||
    die "prepared_store_bench failed"
  bench_note "letting Redis save $bench_load_keys keys"
  bench_run_redis_server load-redis "$directory" --appendonly no
  bench_await "$directory/redis.log" bench_redis_answers load-redis
  redis-cli -p "${bench_port[load-redis]}" save >/dev/null || die "Redis does not save"
  bench_end_server load-redis
}

# A virtual machine's host provides memory that was free for a while only when it is touched, and that
# takes longer than all else. So everybody loads into memory that was in use just now.
bench_use_memory() {
  head -c "$bench_load_memory_bytes" /dev/zero | tail -c "$bench_load_memory_bytes" >/dev/null
}

# Not pinned: a start may use what processors there are. Runs in a subshell, as all that measures, and
# ends its server with that.
bench_measure_load_store() {
  local prefix=$bench_tmp/load contender=load-store begin seconds
  rm -rf "$prefix"
  mkdir -p "$prefix"
  # The checkpoint is never changed, and so can be the same file.
  cp -al "$bench_tmp/load-data" "$prefix/data"
  rm -f "$prefix"/data/logfile.* && cp "$bench_tmp"/load-data/logfile.* "$prefix/data/"
  bench_sized_conf "$prefix" $contender "$bench_load_keys"
  on_server() { exec "$@"; }
  trap 'bench_end_server load-store' EXIT
  bench_use_memory
  begin=$(date +%s%N)
  bench_start_nginx "$prefix" $contender
  # Each question costs a processor some milliseconds, which loading could use.
  until curl -fs -o /dev/null "http://127.0.0.1:${bench_port[$contender]}/v1/health"; do
    kill -0 "${bench_server_pid[$contender]}" || die "nginx ended while it loaded"
    sleep 0.05
  done
  seconds=$(bench_seconds_since "$begin")
  [ "$(bench_status_number $contender keys)" -eq "$bench_load_keys" ] || die "keys are missing"
  echo "$seconds - - 1 -"
}

# A restart that reads the RDB, which is Redis's fastest; its log would take longer.
bench_measure_load_redis() {
  local directory=$bench_tmp/load-redis contender=load-redis begin seconds used keys
  on_server() { exec "$@"; }
  trap 'bench_end_server load-redis' EXIT
  bench_use_memory
  begin=$(date +%s%N)
  bench_run_redis_server $contender "$directory" --appendonly no
  until bench_redis_answers $contender; do
    kill -0 "${bench_server_pid[$contender]}" || die "Redis ended while it loaded"
    sleep 0.05
  done
  seconds=$(bench_seconds_since "$begin")
  keys=$(redis-cli -p "${bench_port[$contender]}" dbsize)
  [ "$keys" -eq "$bench_load_keys" ] || die "Redis has $keys keys"
  used=$(redis-cli -p "${bench_port[$contender]}" info memory | tr -d '\r' |
    sed -n 's/^used_memory://p')
  bench_raw_line memory redis "$(awk -v used="$used" -v keys="$keys" \
    'BEGIN { print used / keys - 111, "- - 1 -" }')"
  echo "$seconds - - 1 -"
}

bench_seconds_since() {
  awk -v begin="$1" -v end="$(date +%s%N)" 'BEGIN { printf "%.3f", (end - begin) / 1e9 }'
}

bench_end_server() {
  kill -TERM "${bench_server_pid[$1]}"
  wait "${bench_server_pid[$1]}" 2>/dev/null || true
  unset "bench_server_pid[$1]"
}

# bench_status_number CONTENDER NAME: the first number of that name in GET status.
bench_status_number() {
  curl -fsS "http://127.0.0.1:${bench_port[$1]}/v1/status" |
    grep -o "\"$2\":[0-9]*" | head -n 1 | sed 's/.*://'
}

# The figure is bytes per key, beyond 11 of the key and 100 of the value: all that the store says it
# uses of its memory.
bench_measure_memory() {
  local used keys
  used=$(curl -fsS "http://127.0.0.1:${bench_port[$1]}/v1/status" |
    sed 's/.*"memory":{\([^}]*\)}.*/\1/; s/.*"used":\([0-9]*\).*/\1/')
  keys=$(bench_status_number "$1" keys)
  awk -v used="$used" -v keys="$keys" 'BEGIN { print used / keys - 111, "- - 1 -" }'
}

# The same figure of the table alone, when its keys come in random order and leave its nodes less full
# than loading does.
bench_measure_table_memory() {
  "$bench_programs/table_bench" --benchmark_format=csv \
    --benchmark_filter='BytesPerKey/keys:1000000/ascending:0' 2>/dev/null | awk -F , '
      /^name,/ { for (i = 1; i <= NF; i++) if ($i ~ /overhead/) column = i }
      /^"BM_/ { print $column + 0, "- - 1 -"; good = 1 }
      END { exit !good }' || die "table_bench failed"
}
