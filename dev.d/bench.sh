# shellcheck shell=bash disable=SC2154,SC2034
# `./dev bench`: small-db, and what it is measured against, side by side in one run. In each round
# all contenders take their turn, in the opposite order of the round before; a ratio is made within
# a round, so that whatever else slows the machine meets both sides. The report says the medians of
# the ratios and their spread. Servers share the first processor, the client has the second.
#
#   bench.sh           arguments, rounds, report
#   bench_points.sh    what is measured, and the rows of the report
#   bench_guard.sh     --quick: other points and rows, and a verdict
#   bench_clients.sh   how it is measured: wrk, h2load, redis-benchmark, programs
#   bench_sized.sh     … and stores of up to 10 M keys: load, memory
#   bench_servers.sh   starts and stops servers; nginx with the store, and without
#   bench_peers.sh     Redis, webdis, etcd, nginx with Lua
#   bench_results.awk  raw numbers in, a line for each row out
#   bench_report.awk, bench_plot.awk   results as tables, and as SVG
#   bench_storage.sh, bench_replication.sh   --storage, --replication

bench_keys=100000
bench_blobs=16  # of 64 KiB, and of 1 MiB
bench_parts="bench_points bench_clients bench_servers bench_peers bench_sized bench_guard"

bench_usage() {
  cat <<'END'
usage: ./dev bench [--seconds N] [--rounds N] [--points REGEX]
       ./dev bench --quick
       ./dev bench --table [ARGUMENTS]
       ./dev bench --storage [ARGUMENTS]
       ./dev bench --replication [--quick]

Without arguments: everything, in about 20 minutes, with 12 GiB of memory and 10 GiB of disk.

  --seconds N     of each measurement (3)
  --rounds N      how often each contender has its turn (5)
  --points REGEX  only the points whose names match: get-64, put-1, load, list … (--points '?' shows all)
  --quick         a minute: fails if a ratio is far below what it should be; a step of `./dev test`
  --table         the engine's table alone, by Google Benchmark, which gets the ARGUMENTS
  --storage       checkpoints under load, loading and replay, the engine alone; the ARGUMENTS go to both
                  programs: --keys=N, --rounds=N, …
  --replication   a primary and its backup on this machine: writes, how far the backup keeps up, and
                  what waiting for it costs

Environment: BENCH_DIR (where the data lies; build/bench/data); BENCH_ROUNDS, of --replication (5).
The report goes to standard output and build/bench/report.md, the plot to build/bench/bench.svg (of a
whole run also to docs/bench.svg), raw numbers to build/bench/raw.tsv.
END
}

# Sets what the other functions read: bench_seconds, bench_rounds, bench_only, bench_quick.
bench_parse() {
  bench_seconds=3
  bench_rounds=5
  bench_only=
  bench_quick=
  bench_command="./dev bench${*:+ $*}"
  while [ $# -gt 0 ]; do
    case $1 in
      --quick) bench_quick=1 bench_seconds=1 bench_rounds=3 ;;
      --seconds) bench_seconds=$(bench_number "$@"); shift ;;
      --rounds) bench_rounds=$(bench_number "$@"); shift ;;
      --points) bench_only=${2:?--points needs a REGEX}; shift ;;
      -h | --help) bench_usage; exit 0 ;;
      *) bench_usage >&2; return 2 ;;
    esac
    shift
  done
}

bench_number() {
  [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "$1: a number of at least 1"
  echo "$2"
}

bench_note() { printf '%s\n' "$*" >&2; }

# Everything that the run makes lies in one folder, which goes with it.
bench_enter() {
  mkdir -p "$root/build/bench" "${BENCH_DIR:-$root/build/bench/data}"
  bench_tmp=$(mktemp -d "${BENCH_DIR:-$root/build/bench/data}/run.XXXXXX")
  bench_raw=$root/build/bench/raw.tsv
  bench_load=$(cut -d ' ' -f 1 /proc/loadavg)
  trap bench_leave EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

bench_leave() {
  [ "$(type -t bench_stop_servers)" != function ] || bench_stop_servers
  rm -rf "$bench_tmp"
}

# The processors that this process may use: one for servers, the next for the client. Of four the third
# is for a client beside it, and the fourth for a server's second worker.
bench_choose_processors() {
  bench_processors=()
  read -r -a bench_processors < <(awk '/^Cpus_allowed_list:/ {
    count = split($2, parts, ",")
    for (i = 1; i <= count; i++) {
      split(parts[i] "-" parts[i], range, "-")
      for (at = range[1]; at <= range[2]; at++) printf "%d ", at
    }
    print ""
  }' /proc/self/status)
  bench_processor_server=${bench_processors[0]}
  bench_processor_client=${bench_processors[1]:-$bench_processor_server}
  bench_processor_writers=$bench_processor_client
  [ "${#bench_processors[@]}" -lt 4 ] || bench_processor_writers=${bench_processors[2]}
}

# on_server COMMAND..., on_client COMMAND...: each on its own processor, if there are two.
on_server() { bench_pin "$bench_processor_server" "$@"; }
on_client() { bench_pin "$bench_processor_client" "$@"; }
bench_pin() {
  local processor=$1
  shift
  exec taskset -c "$processor" "$@"
}

# --quick takes the program from the build that the tests have made.
bench_build() {
  local preset=plain
  if [ -n "$bench_quick" ]; then
    install_packages bench_quick
    preset=release
    build_preset release prepared_store_bench >&2
  else
    install_packages bench_quick bench
    build_preset plain benches >&2
  fi
  bench_programs=$root/build/$preset/benches
  module_build >&2
  bench_build_drop_body
}

bench_chosen_points() {
  if [ -n "$bench_quick" ]; then bench_guard_points; else bench_points; fi |
    awk -v only="$bench_only" '$1 ~ only'
}

# bench_need NAME: a server or files, as in the third column of the points.
bench_need() {
  bench_note "starting: $1"
  case $1 in
    -) ;;
    store | plain | pair | redis) "bench_start_$1" ;;
    webdis | etcd | lua) "bench_start_$1" ;;
    store-*) bench_start_sized "${1#store-}" ;;
    data-*) bench_prepare_load "${1#data-}" ;;
    redis-*) bench_prepare_redis_load "${1#redis-}" ;;
    *) die "nobody knows what $1 is" ;;
  esac
}

# What can't be had is named in the report, and its points are left out.
bench_start_needs() {
  local need
  bench_missing=" "
  while read -r need; do
    case $need in
      webdis | etcd | lua)
        if bench_fetch_peers; then
          bench_need "$need"
        else
          bench_note "$(cat "$bench_peers.log")"
          bench_missing+="$need "
        fi
        ;;
      *) bench_need "$need" ;;
    esac
  done < <(bench_chosen_points | awk '{ count = split($3, needs, ","); for (i = 1; i <= count; i++)
    if (!seen[needs[i]]++) print needs[i] }')
}

# bench_round NUMBER: one line of raw numbers for each point.
bench_round() {
  local order=cat point contender needs kind arguments
  bench_seed=$1
  [ $(($1 % 2)) -eq 1 ] || order=tac
  bench_note "round $1"
  while read -r point contender needs kind arguments; do
    [[ $bench_missing != *" ${needs##*,} "* ]] || continue
    # shellcheck disable=SC2086
    bench_point "$point" "$contender" "$kind" $arguments </dev/null
  done < <(bench_chosen_points | $order)
}

# bench_point POINT CONTENDER KIND [ARGUMENT...]
bench_point() {
  local point=$1 contender=$2 kind=$3 flushes cpu result
  shift 3
  flushes=$(bench_flushes)
  cpu=$(bench_server_ns "$contender")
  result=$("bench_measure_$kind" "$contender" "$@") || exit 1
  cpu=$(bench_difference "$cpu" "$(bench_server_ns "$contender")")
  flushes=$(bench_difference "$flushes" "$(bench_flushes)")
  bench_raw_line "$point" "$contender" "$result" "$flushes" "$cpu"
}

# bench_raw_line POINT CONTENDER "FIGURE P50 P99 REQUESTS BATCH" [FLUSHES CPU_NS]
bench_raw_line() {
  local rate p50 p99 requests batch
  read -r rate p50 p99 requests batch <<<"$3"
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$bench_seed" "$1" "$2" "$rate" "$p50" "$p99" \
    "$requests" "${4:--}" "$batch" "${5:--}" >>"$bench_raw"
  bench_note "$(printf '  %-16s %-13s %12s' "$1" "$2" "$rate")"
}

# How often the disk below the run's folder was told to flush, by anyone; "-" if nobody counts it.
bench_flushes() {
  local device
  device=/sys/dev/block/$(stat -c %Hd:%Ld "$bench_tmp")
  [ ! -e "$device/partition" ] || device=$device/..
  if [ -r "$device/stat" ]; then awk '{ print (NF >= 16 ? $16 : "-") }' "$device/stat"; else echo -; fi
}

# Processor time of a contender's servers so far, all their processes and threads, in nanoseconds; "-"
# for one without a server. Unlike a rate it hardly depends on what else the machine does.
bench_server_ns() {
  local files=()
  [ -n "${bench_server_pid[$1]:-}" ] || { echo -; return 0; }
  read -r -a files < <(bench_server_files "$1" schedstat)
  awk '{ sum += $1 } END { printf "%.0f\n", sum }' "${files[@]}"
}

# The difference of two counters, or "-".
bench_difference() {
  if [ "$1" = - ] || [ "$2" = - ]; then echo -; else echo $(($2 - $1)); fi
}

# bench_results ROWS_FUNCTION
bench_results() {
  awk -f "$root/dev.d/bench_median.awk" -f "$root/dev.d/bench_results.awk" <("$1") "$bench_raw"
}

# The store's answers are those that were put, and a baseline's are equal, headers and all.
bench_verify() {
  local try key port=${bench_port[small-db]:-} answer
  [ -n "$port" ] || return 0
  for ((try = 0; try < 20; try++)); do
    key=$(bench_key $(((RANDOM * 32768 + RANDOM) % bench_keys)))
    answer=$(curl -fsS "http://127.0.0.1:$port/v1/kv/$key") || die "GET $key failed"
    # redis-benchmark and wrk put the same keys into different servers: this one has wrk's values.
    [ "$answer" = "$(bench_body "$key")" ] || die "GET $key gave $answer"
  done
  for key in blob-64k-0 blob-1m-0; do
    curl -fsS "http://127.0.0.1:$port/v1/kv/$key?raw" | cmp - "$bench_tmp/store/static/$key" ||
      die "GET $key gave other bytes"
  done
  [ -n "${bench_port[nginx-return]:-}" ] || return 0
  bench_same_answers small-db nginx-return "/v1/kv/$(bench_key 9)"
  bench_same_answers small-db nginx-raw "/v1/kv/$(bench_key 9)?raw"
}

# bench_same_answers CONTENDER BASELINE PATH: equally long, in headers and in bodies. The ETag's
# digits and the date may differ.
bench_same_answers() {
  local name lengths=()
  for name in "$1" "$2"; do
    lengths+=("$(curl -fsS -i "http://127.0.0.1:${bench_port[$name]}$3" | sort |
      sed 's/^ETag: .*/ETag/' | wc -c)")
  done
  [ "${lengths[0]}" = "${lengths[1]}" ] || {
    curl -sS -i "http://127.0.0.1:${bench_port[$1]}$3" >&2
    curl -sS -i "http://127.0.0.1:${bench_port[$2]}$3" >&2
    die "answers to $3 differ in length"
  }
}

# The head of the report: what ran where.
bench_describe() {
  local cpu
  cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
  cat <<END
# Benchmark

* Command: \`$bench_command\` ($bench_rounds rounds, $bench_seconds s per measurement; values of 100 bytes, $bench_keys keys, where nothing else is said)
* Source: $(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown), $(date -u +%Y-%m-%d)
* Machine: ${#bench_processors[@]} × ${cpu:-unknown}, $(free -g | awk '/^Mem/ { print $2 }') GiB, Linux $(uname -r), data on $(df --output=fstype "$bench_tmp" | tail -n 1); load average $bench_load before the run, $(cut -d ' ' -f 1 /proc/loadavg) after
* Servers on processor $bench_processor_server, clients on $bench_processor_client; one nginx worker. All processors: the engine alone, and loading$(bench_warn)
* nginx $(bench_version nginx), redis $(bench_version redis-tools), webdis $(bench_peer_version webdis), etcd $(bench_peer_version etcd-server), Lua module $(bench_peer_version libnginx-mod-http-lua), wrk $(bench_version wrk), h2load $(bench_version nghttp2-client), $(g++ --version | head -n 1)

END
}

# A waiting thread that others keep from its processor measures them.
bench_warn() {
  awk -v load="$bench_load" 'BEGIN {
    if (load >= 1) printf "\n* **Other work ran on this machine: rates say little.**"
  }'
  [ "$bench_missing" = " " ] ||
    printf '\n* **Missing, since the packages could not be had:**%s' "${bench_missing% }"
}

bench_version() { dpkg-query -W -f '${Version}' "$1"; }

bench_load_parts() {
  local part
  for part in "$@"; do
    # shellcheck source=/dev/null
    . "$root/dev.d/$part.sh"
  done
}

bench_all() {
  local what=${1:-}
  case $what in
    --table) install_packages bench && build_preset plain table_bench >&2 &&
      "$root/build/plain/benches/table_bench" "${@:2}" ;;
    --storage | --replication)
      bench_load_parts "bench_${what#--}"
      "bench_${what#--}" "${@:2}"
      ;;
    *) bench_compare "$@" ;;
  esac
}

bench_compare() {
  bench_parse "$@" || return
  # shellcheck disable=SC2086
  bench_load_parts $bench_parts
  if [ "$bench_only" = '?' ]; then bench_points | awk '{ print $1, $2 }'; return; fi
  bench_choose_processors
  bench_build
  bench_enter
  printf 'round\tpoint\tcontender\tfigure\tp50_us\tp99_us\trequests\tflushes\tbatch\tcpu_ns\n' >"$bench_raw"
  bench_start_needs
  bench_verify
  if [ -n "$bench_quick" ]; then bench_guard_judge; else bench_measure_all; fi
}

bench_measure_all() {
  local number folder=$root/build/bench
  for ((number = 1; number <= bench_rounds; number++)); do bench_round "$number"; done
  bench_verify
  bench_results bench_rows >"$folder/results.tsv"
  {
    bench_describe
    awk -f "$root/dev.d/bench_median.awk" -f "$root/dev.d/bench_report.awk" "$folder/results.tsv" \
      "$bench_raw"
  } | tee "$folder/report.md"
  awk -f "$root/dev.d/bench_plot.awk" "$folder/results.tsv" >"$folder/bench.svg"
  [ -n "$bench_only" ] || [ "$bench_missing" != " " ] || cp "$folder/bench.svg" "$root/docs/bench.svg"
}
