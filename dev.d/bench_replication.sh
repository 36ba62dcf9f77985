# shellcheck shell=bash disable=SC2154,SC2034
# `./dev bench --replication`: what following costs. Whole nginx servers, wrk with 50 connections that
# put values of 100 bytes, all of it on this one machine and its processors, nothing pinned: a backup
# takes from its primary what it would not take on a machine of its own.
#
#   alone   a store that nobody follows
#   async   a primary and its backup
#   ack     the same with replication_ack 1
#
# In each round each takes its turn, in the opposite order of the round before; ratios are made
# within a round. The revision counts writes, so rates are differences of the revisions that
# `status` tells.

bench_replication() {
  local round raw=$root/build/bench/replication.tsv report=$root/build/bench/replication.md
  bench_seconds=5
  bench_rounds=${BENCH_ROUNDS:-5}
  [[ $bench_rounds =~ ^[1-9][0-9]*$ ]] || die "BENCH_ROUNDS: a number of at least 1"
  [ "${1:-}" != --quick ] || bench_seconds=2
  bench_load_parts bench_servers
  install_packages build bench
  module_build >&2
  bench_enter
  printf 'round\tcontender\trate\tapplied\tcatch_up_ms\tp50_us\tp99_us\n' >"$raw"
  bench_start_nodes
  for ((round = 1; round <= bench_rounds; round++)); do
    bench_note "round $round of $bench_rounds"
    for contender in $(bench_replication_order "$round"); do
      bench_replication_point "$round" "$contender" >>"$raw"
      bench_note "  $(tail -n 1 "$raw")"
    done
  done
  { bench_replication_head && bench_replication_rows "$raw"; } | tee "$report"
}

bench_replication_order() {
  if [ $(($1 % 2)) -eq 1 ]; then echo alone async ack; else echo ack async alone; fi
}

# Servers, each on any processor.
on_server() { exec "$@"; }
on_client() { exec "$@"; }

# bench_start_node NAME [LINE...]: the lines stand in the store.
bench_start_node() {
  local name=$1 prefix=$bench_tmp/$1
  shift
  bench_node_port[$name]=$(bench_free_port)
  bench_nginx_conf "$prefix" "load_module $module_file;" <<END
  small_db_store main { dir $prefix/data; memory 256m; $* }
  server {
    listen 127.0.0.1:${bench_node_port[$name]};
    location /v1/ { small_db main; }
  }
END
  bench_start_nginx "$prefix" "$name"
  bench_await "$prefix/error.log" curl -fs "http://127.0.0.1:${bench_node_port[$name]}/v1/health"
}

bench_start_nodes() {
  declare -gA bench_node_port=()
  bench_start_node alone
  bench_start_node async
  bench_start_node async-backup "backup_of http://127.0.0.1:${bench_node_port[async]}/v1/;"
  bench_start_node ack "replication_ack 1 timeout=5s on_timeout=refuse;"
  bench_start_node ack-backup "backup_of http://127.0.0.1:${bench_node_port[ack]}/v1/;"
}

# The last write that the node shows: a list says first of which state it is.
bench_revision() {
  curl -fsS "http://127.0.0.1:${bench_node_port[$1]}/v1/kv?limit=1" |
    sed 's/^{"revision":\([0-9]*\),.*/\1/'
}

# bench_replication_point ROUND CONTENDER: one line of raw numbers.
bench_replication_point() {
  local port=${bench_node_port[$2]} backup=$2-backup output wrk first
  local begin_ns begin begin_backup end_ns end end_backup catch_up=-
  [ "$2" != alone ] || backup=alone
  first=$(bench_revision "$2")
  wrk -t 1 -c 50 -d $((bench_seconds + 2))s --timeout 10s -s "$root/tests/bench/wrk/kv.lua" \
    "http://127.0.0.1:$port" -- PUT /v1/kv/key:%012d json 100000 "$1" >"$bench_tmp/wrk.log" 2>&1 &
  wrk=$!
  # wrk makes its requests first.
  until [ "$(bench_revision "$2")" -gt $((first + 1000)) ]; do sleep 0.05; done
  begin_ns=$(date +%s%N) begin=$(bench_revision "$2") begin_backup=$(bench_revision "$backup")
  sleep "$bench_seconds"
  end_ns=$(date +%s%N) end=$(bench_revision "$2") end_backup=$(bench_revision "$backup")
  wait "$wrk" || die "wrk failed"
  [ "$2" = alone ] || catch_up=$(bench_catch_up "$2" "$backup")
  output=$(awk -F '\t' '$1 == "RESULT" && $6 == "0 0 0 0 0" { print $4 "\t" $5 }' "$bench_tmp/wrk.log")
  [ -n "$output" ] || { cat "$bench_tmp/wrk.log" >&2; die "wrk met errors"; }
  awk -v ns=$((end_ns - begin_ns)) -v writes=$((end - begin)) \
    -v applied=$((end_backup - begin_backup)) -v head="$1	$2" -v tail="$catch_up	$output" 'BEGIN {
      printf "%s\t%.0f\t%.0f\t%s\n", head, writes * 1e9 / ns, applied * 1e9 / ns, tail
    }'
}

# How long after the end of the load the backup shows what its primary does, in milliseconds.
bench_catch_up() {
  local begin_ns
  begin_ns=$(date +%s%N)
  until [ "$(bench_revision "$2")" = "$(bench_revision "$1")" ]; do
    [ $(($(date +%s%N) - begin_ns)) -lt 120000000000 ] || die "the backup does not catch up"
  done
  echo $((($(date +%s%N) - begin_ns) / 1000000))
}

bench_replication_head() {
  local cpu
  cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
  cat <<END
# Replication benchmark

* Source: $(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown), $(date -u +%Y-%m-%d); $bench_rounds rounds, $bench_seconds s per point
* Machine: $(nproc --all) × ${cpu:-unknown}, Linux $(uname -r), data on $(df --output=fstype "$bench_tmp" | tail -n 1); load average $bench_load before the run, $(cut -d ' ' -f 1 /proc/loadavg) after
* Primary, backup and client share the processors; PUT of 100-byte values over 50 connections

END
}

bench_replication_rows() {
  awk -F '\t' '
    function add(name, value) { values[name, ++count[name]] = value }
    function row(text, name, format,    n, i, j, swap) {
      n = count[name]
      for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++)
        if (values[name, j] < values[name, i]) {
          swap = values[name, i]; values[name, i] = values[name, j]; values[name, j] = swap
        }
      printf "| %s | " format " | " format " to " format " |\n", text,
        n % 2 ? values[name, (n + 1) / 2] : (values[name, n / 2] + values[name, n / 2 + 1]) / 2,
        values[name, 1], values[name, n]
    }
    NR == 1 { next }
    {
      rate[$1, $2] = $3
      rounds = $1 > rounds ? $1 : rounds
      add("rate " $2, $3 + 0); add("p50 " $2, $6 / 1000); add("p99 " $2, $7 / 1000)
      if ($2 != "alone") { add("applied " $2, $4 / $3); add("catch " $2, $5 + 0) }
    }
    END {
      for (i = 1; i <= rounds; i++) {
        add("async/alone", rate[i, "async"] / rate[i, "alone"])
        add("ack/async", rate[i, "ack"] / rate[i, "async"])
      }
      print "| figure | median | of all rounds |\n|---|---|---|"
      row("writes/s, nobody follows", "rate alone", "%.0f")
      row("writes/s, with a backup", "rate async", "%.0f")
      row("writes/s, `replication_ack 1`", "rate ack", "%.0f")
      row("with a backup : nobody follows", "async/alone", "%.2f")
      row("`replication_ack 1` : with a backup", "ack/async", "%.2f")
      row("the backup'"'"'s writes/s : its primary'"'"'s", "applied async", "%.2f")
      row("ms until the backup has all, after the load", "catch async", "%.0f")
      row("p50 of a write in ms, with a backup", "p50 async", "%.2f")
      row("p50 of a write in ms, `replication_ack 1`", "p50 ack", "%.2f")
      row("p99 of a write in ms, with a backup", "p99 async", "%.2f")
      row("p99 of a write in ms, `replication_ack 1`", "p99 ack", "%.2f")
    }' "$1"
}
