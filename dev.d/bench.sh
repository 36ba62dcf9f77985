# shellcheck shell=bash disable=SC2154,SC2034
# `./dev bench`: small-db, and what it is measured against, side by side in one run. In each round
# all contenders take their turn, in the opposite order of the round before; a ratio is made within
# a round, so that whatever else slows the machine meets both sides. The report says the medians of
# the ratios and their spread. Servers share the first processor, the client has the second.
#
#   bench.sh          arguments, the list of points, rounds
#   bench_servers.sh  starts and stops nginx (with the store; without) and Redis
#   bench_points.sh   measures one point
#   bench_report.awk  raw numbers in, tables out

bench_keys=100000
bench_processor_server=0
bench_processor_client=1

# point contender [argument]. What belongs together stands together.
bench_points() {
  cat <<'END'
get-64 small-db 64
get-64 nginx-return 64
static-64 small-db 64
static-64 apart 64
raw-sync disk
put-1 small-db 1
put-1 redis 1
put-1 nginx-drop 1
put-50 small-db 50
put-50 redis 50
put-50 nginx-drop 50
put-200 small-db 200
put-200 redis 200
put-200 nginx-drop 200
engine-put-1x1 engine 1 1
engine-put-4x64 engine 4 64
engine-get-100k engine 100000
engine-get-1m engine 1000000
END
}

bench_usage() {
  cat <<'END'
usage: ./dev bench [--quick] [--points REGEX]
       ./dev bench --table [ARGUMENTS]
       ./dev bench --storage [ARGUMENTS]
       ./dev bench --replication [--quick]

  --quick         1 second per point, not 5
  --points REGEX  only the points whose names match (get-64, put-1, raw-sync, engine-put-4x64 …)
  --table         the engine's table alone, by Google Benchmark, which gets the ARGUMENTS
  --storage       checkpoints under load, loading and replay, the engine alone; the ARGUMENTS go to both
                  programs: --keys=N, --rounds=N, …
  --replication   a primary and its backup on this machine: writes, how far the backup keeps up, and
                  what waiting for it costs

Environment: BENCH_ROUNDS (3; 5 with --replication), BENCH_DIR (where the data lies; build/bench/data).
The report goes to standard output and build/bench/report.md, raw numbers to build/bench/raw.tsv.
END
}

bench_parse() {
  bench_seconds=5
  bench_only=.
  bench_command="./dev bench${*:+ $*}"
  bench_rounds=${BENCH_ROUNDS:-3}
  [[ $bench_rounds =~ ^[1-9][0-9]*$ ]] || die "BENCH_ROUNDS: a number of at least 1"
  [ "$bench_rounds" -eq 3 ] || bench_command="BENCH_ROUNDS=$bench_rounds $bench_command"
  while [ $# -gt 0 ]; do
    case $1 in
      --quick) bench_seconds=1 ;;
      --points) bench_only=${2:?--points needs a REGEX}; shift ;;
      *) bench_usage >&2; return 2 ;;
    esac
    shift
  done
}

bench_note() { printf '%s\n' "$*" >&2; }

# Everything that the run makes lies in one folder, which goes with it.
bench_enter() {
  mkdir -p "$root/build/bench" "${BENCH_DIR:-$root/build/bench/data}"
  bench_tmp=$(mktemp -d "${BENCH_DIR:-$root/build/bench/data}/run.XXXXXX")
  trap bench_leave EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

bench_leave() {
  [ "$(type -t bench_stop_servers)" != function ] || bench_stop_servers
  rm -rf "$bench_tmp"
}

# on_server COMMAND..., on_client COMMAND...: each on its own processor, if there are two.
on_server() { bench_pin "$bench_processor_server" "$@"; }
on_client() { bench_pin "$bench_processor_client" "$@"; }
bench_pin() {
  local processor=$1
  shift
  if [ "$(nproc --all)" -ge 2 ]; then exec taskset -c "$processor" "$@"; else exec "$@"; fi
}

bench_build() {
  install_packages build bench
  module_build >&2
  build_preset plain benches >&2
  bench_build_drop_body
}

# bench_round NUMBER: one line of raw numbers for each point.
bench_round() {
  local round=$1 order=cat point contender arguments
  [ $((round % 2)) -eq 1 ] || order=tac
  bench_note "round $round of $bench_rounds"
  while read -r point contender arguments; do
    [[ $point =~ $bench_only ]] || continue
    # shellcheck disable=SC2086
    bench_point "$round" "$point" "$contender" $arguments </dev/null
  done < <(bench_points | $order)
}

# The head of the report: what ran where.
bench_describe() {
  local cpu
  cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
  cat <<END
# Benchmark

* Command: \`$bench_command\` ($bench_rounds rounds, $bench_seconds s per point, $bench_keys keys, values of 100 bytes)
* Source: $(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown), $(date -u +%Y-%m-%d)
* Machine: $(nproc --all) × ${cpu:-unknown}, $(free -g | awk '/^Mem/ { print $2 }') GiB, Linux $(uname -r), data on $(df --output=fstype "$bench_tmp" | tail -n 1); load average $bench_load before the run, $(cut -d ' ' -f 1 /proc/loadavg) after
* Servers on processor $bench_processor_server, clients on $bench_processor_client; one nginx worker; the engine alone: all processors$(bench_warn)
* nginx $(bench_version nginx), redis $(bench_version redis-tools), wrk $(bench_version wrk), $(g++ --version | head -n 1)

END
}

# A waiting thread that others keep from its processor measures them.
bench_warn() {
  awk -v load="$bench_load" 'BEGIN {
    if (load >= 1) printf "\n* **Other work ran on this machine: rates say little.**"
  }'
}

bench_version() { dpkg-query -W -f '${Version}' "$1"; }

bench_table() {
  install_packages bench
  build_preset plain table_bench >&2
  "$root/build/plain/benches/table_bench" "$@"
}

bench_all() {
  if [ "${1:-}" = --table ]; then
    shift
    bench_table "$@"
  elif [ "${1:-}" = --storage ]; then
    shift
    # shellcheck source=/dev/null
    . "$root/dev.d/bench_storage.sh"
    bench_storage "$@"
  elif [ "${1:-}" = --replication ]; then
    shift
    # shellcheck source=/dev/null
    . "$root/dev.d/bench_replication.sh"
    bench_replication "$@"
  else
    bench_compare "$@"
  fi
}

bench_compare() {
  local round raw=$root/build/bench/raw.tsv report=$root/build/bench/report.md
  bench_parse "$@" || return
  # shellcheck source=/dev/null
  . "$root/dev.d/bench_servers.sh"
  # shellcheck source=/dev/null
  . "$root/dev.d/bench_points.sh"
  bench_build
  bench_enter
  bench_load=$(cut -d ' ' -f 1 /proc/loadavg)
  bench_raw=$raw
  printf 'round\tpoint\tcontender\trate\tp50_us\tp99_us\trequests\tflushes\tbatch\tcpu_ns\n' >"$raw"
  bench_start_servers
  bench_fill
  for ((round = 1; round <= bench_rounds; round++)); do bench_round "$round"; done
  bench_verify
  { bench_describe && awk -f "$root/dev.d/bench_report.awk" "$raw"; } | tee "$report"
}
