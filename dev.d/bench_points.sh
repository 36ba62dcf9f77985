# shellcheck shell=bash disable=SC2154,SC2034
# Measures one point of `./dev bench`, and checks what the store holds. A point that saw a single
# error ends the whole run: an answer that is none makes no figure.
#
# A measurement prints: rate (per second), 50th and 99th percentile of the latency (microseconds),
# requests in all, mean batch; "-" stands for what the tool does not tell.

# How often the disk below the run's folder was told to flush, by anyone; "-" if nobody counts it.
bench_flushes() {
  local device
  device=/sys/dev/block/$(stat -c %Hd:%Ld "$bench_tmp")
  [ ! -e "$device/partition" ] || device=$device/..
  if [ -r "$device/stat" ]; then awk '{ print (NF >= 16 ? $16 : "-") }' "$device/stat"; else echo -; fi
}

# Processor time of a contender's server so far, all its processes and threads, in nanoseconds; "-"
# for one without a server. Unlike a rate it hardly depends on what else the machine does.
bench_server_ns() {
  local pid=${bench_server_pid[$1]:-} processes process files=()
  [ -n "$pid" ] || { echo -; return 0; }
  read -r -a processes <"/proc/$pid/task/$pid/children" || true
  for process in "$pid" ${processes[@]+"${processes[@]}"}; do
    files+=("/proc/$process"/task/*/schedstat)
  done
  awk '{ sum += $1 } END { printf "%.0f\n", sum }' "${files[@]}"
}

# The difference of two counters, or "-".
bench_difference() {
  if [ "$1" = - ] || [ "$2" = - ]; then echo -; else echo $(($2 - $1)); fi
}

# bench_wrk PORT CONNECTIONS MODE SEED [SECONDS]
bench_wrk() {
  local port=$1 connections=$2 mode=$3 seed=$4 seconds=${5:-$bench_seconds} output
  output=$(on_client wrk -t 1 -c "$connections" -d "${seconds}s" --timeout 10s \
    -s "$root/tests/bench/wrk/kv.lua" "http://127.0.0.1:$port" -- "$mode" "$bench_keys" "$seed")
  awk -F '\t' '
    $1 == "RESULT" && $6 == "0 0 0 0 0" && $2 > 0 {
      printf "%.0f %d %d %d -\n", $2 / $3 * 1e6, $4, $5, $2
      good = 1
    }
    END { exit !good }' <<<"$output" || { printf '%s\n' "$output" >&2; die "wrk met errors"; }
}

# bench_static PORT CONNECTIONS SEED: GETs of a file, while 50 connections write to the store as fast
# as they can.
bench_static() {
  local writers result
  bench_wrk "$bench_port_store" 50 put "$3" $((bench_seconds + 2)) >/dev/null &
  writers=$!
  result=$(bench_wrk "$1" "$2" static "$3") || exit 1
  wait "$writers" || die "writes beside the static file failed"
  printf '%s\n' "$result"
}

# bench_redis_set CONNECTIONS. redis-benchmark counts requests, not seconds: a short run first says
# how many there must be.
bench_redis_set() {
  local connections=$1 trial=$(($1 * 50)) rate requests
  read -r rate _ < <(bench_redis_run "$connections" "$trial")
  requests=$(awk -v rate="$rate" -v seconds="$bench_seconds" \
    'BEGIN { printf "%d", rate * seconds + 1 }')
  bench_redis_run "$connections" "$requests" "$trial"
}

# bench_redis_run CONNECTIONS REQUESTS [REQUESTS_BEFORE]
bench_redis_run() {
  local output
  output=$(on_client redis-benchmark -h 127.0.0.1 -p "$bench_port_redis" -t set -d 100 \
    -c "$1" -n "$2" -r "$bench_keys" --csv)
  awk -F '","' -v requests=$(($2 + ${3:-0})) '
    /^"SET"/ {
      gsub(/"/, "")
      split($0, field, ",")
      printf "%.0f %d %d %d -\n", field[2], field[5] * 1000, field[7] * 1000, requests
      good = 1
    }
    END { exit !good }' <<<"$output" || { printf '%s\n' "$output" >&2; die "redis-benchmark failed"; }
}

# bench_program PIN NAME ARGUMENTS...: a program of tests/bench, pinned by PIN (`env`: not at all).
# Its data is in a folder of its own, which is gone afterwards.
bench_program() {
  local directory output pin=$1 name=$2
  shift 2
  directory=$(mktemp -d "$bench_tmp/program.XXXXXX")
  output=$("$pin" "$root/build/plain/benches/$name" "$@" --seconds="$bench_seconds" \
    --directory="$directory") || die "$name failed"
  rm -rf "$directory"
  awk -F '\t' '
    { number[$1] = $2 }
    END { print number["rate"], "- - -", ("batch" in number ? number["batch"] : "-") }' \
    <<<"$output"
}

# bench_measure SEED POINT CONTENDER [ARGUMENT...]
bench_measure() {
  local seed=$1
  shift
  case "$1 $2" in
    get-*' small-db') bench_wrk "$bench_port_store" "$3" get "$seed" ;;
    get-*' nginx-return') bench_wrk "$bench_port_return" "$3" get "$seed" ;;
    static-*' small-db') bench_static "$bench_port_store" "$3" "$seed" ;;
    static-*' apart') bench_static "$bench_port_return" "$3" "$seed" ;;
    put-*' small-db') bench_wrk "$bench_port_store" "$3" put "$seed" ;;
    put-*' nginx-drop') bench_wrk "$bench_port_drop" "$3" put "$seed" ;;
    put-*' redis') bench_redis_set "$3" ;;
    raw-sync*) bench_program on_server raw_sync_bench ;;
    engine-put-*) bench_program env engine_put_bench --processes="$3" --window="$4" ;;
    engine-get-*) bench_program on_server engine_get_bench --keys="$3" ;;
    *) die "no such point: $*" ;;
  esac
}

# bench_point ROUND POINT CONTENDER [ARGUMENT...]: one line of raw numbers.
bench_point() {
  local flushes cpu result rate p50 p99 requests batch
  flushes=$(bench_flushes)
  cpu=$(bench_server_ns "$3")
  result=$(bench_measure "$@") || exit 1
  cpu=$(bench_difference "$cpu" "$(bench_server_ns "$3")")
  flushes=$(bench_difference "$flushes" "$(bench_flushes)")
  read -r rate p50 p99 requests batch <<<"$result"
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$rate" "$p50" "$p99" \
    "$requests" "$flushes" "$batch" "$cpu" >>"$bench_raw"
  bench_note "$(printf '  %-16s %-13s %10s/s' "$2" "$3" "$rate")"
}

# Puts every key once, so that each GET finds its key and each PUT replaces a value.
bench_fill() {
  bench_note "filling the store with $bench_keys keys"
  bench_wrk "$bench_port_store" 64 fill 1 300 >/dev/null
}

# bench_expect KEY_NUMBER VALUE_IN_BASE64
bench_expect() {
  local key body
  key=$(bench_key "$1")
  body=$(curl -fsS "http://127.0.0.1:$bench_port_store/v1/kv/$key") || die "GET $key failed"
  [ "$body" = "{\"key\":\"$key\",\"value\":\"$2\",\"encoding\":\"base64\"}" ] ||
    die "GET $key gave $body"
}

# The store holds what was put, what is put anew is there at once, and a baseline's answer is as
# long as the store's.
bench_verify() {
  local try index length plain base=http://127.0.0.1
  for ((try = 0; try < 20; try++)); do
    index=$(((RANDOM * 32768 + RANDOM) % bench_keys))
    bench_expect "$index" "$(bench_value "$index")"
  done
  curl -fsS -o /dev/null -X PUT -d "{\"value\":\"$(bench_value 8)\"}" \
    "$base:$bench_port_store/v1/kv/$(bench_key 7)" || die "PUT failed"
  bench_expect 7 "$(bench_value 8)"
  length=$(curl -fsS "$base:$bench_port_store/v1/kv/$(bench_key 9)" | wc -c)
  plain=$(curl -fsS "$base:$bench_port_return/v1/kv/$(bench_key 9)" | wc -c)
  [ "$length" -eq "$plain" ] || die "the store's answer has $length bytes, the baseline's $plain"
}
