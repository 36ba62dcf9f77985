# shellcheck shell=bash disable=SC2154,SC2034
# The clients of `./dev bench`, one function for each kind of measurement in bench_points.sh. Each
# takes the contender, then the point's arguments, and prints: the figure (a rate per second, unless
# the kind says otherwise), 50th and 99th percentile of the latency (microseconds), requests in all,
# mean batch; "-" stands for what the tool does not tell. A point that saw a single error ends the
# whole run: an answer that is none makes no figure.

# bench_run_wrk PORT SECONDS CONNECTIONS METHOD PATH BODY KEYS: see tests/bench/wrk/kv.lua.
bench_run_wrk() {
  local port=$1 seconds=$2 connections=$3 output
  shift 3
  output=$(on_client wrk -t 1 -c "$connections" -d "${seconds}s" --timeout 10s \
    -s "$root/tests/bench/wrk/kv.lua" "http://127.0.0.1:$port" -- "$@" "$bench_seed")
  awk -F '\t' '
    $1 == "RESULT" && $6 == "0 0 0 0 0" && $2 > 0 {
      printf "%.0f %d %d %d -\n", $2 / $3 * 1e6, $4, $5, $2
      good = 1
    }
    END { exit !good }' <<<"$output" || { printf '%s\n' "$output" >&2; die "wrk met errors"; }
}

bench_measure_wrk() { bench_run_wrk "${bench_port[$1]}" "$bench_seconds" "${@:2}"; }

# CONNECTIONS STREAMS: GETs of random keys over HTTP/2 without TLS.
bench_measure_h2load() {
  local port=${bench_port[$1-h2]} list=$bench_tmp/$1.uris output
  awk -v port="$port" -v keys="$bench_keys" -v seed="$bench_seed" 'BEGIN {
    srand(seed)
    for (i = 0; i < 1000; i++)
      printf "http://127.0.0.1:%d/v1/kv/key:%012d\n", port, int(rand() * keys)
  }' >"$list"
  output=$(on_client h2load -t 1 -c "$2" -m "$3" -D "$bench_seconds" -i "$list")
  awk '
    /^finished in/ { rate = $4 }
    /^requests:/ { done = $2; bad = $10 + $12 + $14 }
    /^status codes:/ { bad += $5 + $7 + $9 }
    END {
      if (rate <= 0 || bad > 0) exit 1
      printf "%.0f - - %d -\n", rate, done
    }' <<<"$output" || { printf '%s\n' "$output" >&2; die "h2load met errors"; }
}

# CONNECTIONS. redis-benchmark counts requests, not seconds: a short run first says how many there
# must be.
bench_measure_redis_set() {
  local connections=$2 trial=$(($2 * 50)) rate requests
  read -r rate _ < <(bench_run_redis "$connections" "$trial")
  requests=$(awk -v rate="$rate" -v seconds="$bench_seconds" \
    'BEGIN { printf "%d", rate * seconds + 1 }')
  bench_run_redis "$connections" "$requests" "$trial"
}

# bench_run_redis CONNECTIONS REQUESTS [REQUESTS_BEFORE]
bench_run_redis() {
  local output
  output=$(on_client redis-benchmark -h 127.0.0.1 -p "${bench_port[redis]}" -t set -d 100 \
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

# PIN FIGURE NAME ARGUMENT...: a program of tests/bench, pinned by PIN (`env`: not at all), and what
# it prints under the name FIGURE. Its data is in a folder of its own, which is gone afterwards.
bench_measure_program() {
  local directory output pin=$2 figure=$3 name=$4
  shift 4
  directory=$(mktemp -d "$bench_tmp/program.XXXXXX")
  output=$("$pin" "$bench_programs/$name" "$@" --seconds="$bench_seconds" \
    --directory="$directory") || die "$name failed"
  rm -rf "$directory"
  awk -F '\t' -v figure="$figure" '
    { number[$1] = $2 }
    END {
      if (!(figure in number)) exit 1
      print number[figure], "- - -", ("batch" in number ? number["batch"] : "-")
    }' <<<"$output"
}

# STORE CONNECTIONS METHOD PATH BODY KEYS: as wrk, while 50 connections write to that store as fast as
# they can.
bench_measure_beside_puts() {
  local contender=$1 store=$2 writers result before
  before=$(bench_revision_of "$store")
  (
    bench_processor_client=$bench_processor_writers
    bench_run_wrk "${bench_port[$store]}" $((bench_seconds + 4)) 50 PUT /v1/kv/key:%012d json \
      "$bench_keys"
  ) >/dev/null &
  writers=$!
  # wrk makes its requests first.
  until [ "$(bench_revision_of "$store")" -gt $((before + 1000)) ]; do
    kill -0 "$writers" 2>/dev/null || die "nobody writes"
    sleep 0.05
  done
  result=$(bench_measure_wrk "$contender" "${@:3}") || exit 1
  kill -0 "$writers" 2>/dev/null || die "the writes ended first"
  wait "$writers" || die "the writes beside it failed"
  # The server's processor time is that of the writes as well: no requests to divide it by.
  awk '{ $4 = "-"; print }' <<<"$result"
}

# The last write that a store shows: a list says first of which state it is.
bench_revision_of() {
  curl -fsS "http://127.0.0.1:${bench_port[$1]}/v1/kv?limit=1" |
    sed 's/^{"revision":\([0-9]*\),.*/\1/'
}

# The figure is how often any thread of the server was woken, per second of rest.
bench_measure_idle() {
  local before after seconds=$((bench_seconds * 2))
  before=$(bench_switches "$1")
  sleep "$seconds"
  after=$(bench_switches "$1")
  awk -v switches=$((after - before)) -v seconds="$seconds" \
    'BEGIN { print switches / seconds, "- -", seconds, "-" }'
}

bench_switches() {
  local files=()
  read -r -a files < <(bench_server_files "$1" status)
  awk '/ctxt_switches/ { sum += $2 } END { print sum }' "${files[@]}"
}

# bench_server_files CONTENDER NAME: that file of /proc of all threads of a contender's servers.
bench_server_files() {
  local pid processes files=() process
  for pid in ${bench_server_pid[$1]}; do
    processes=()
    read -r -a processes <"/proc/$pid/task/$pid/children" || true
    for process in "$pid" ${processes[@]+"${processes[@]}"}; do
      files+=("/proc/$process"/task/*/"$2")
    done
  done
  echo "${files[@]}"
}
