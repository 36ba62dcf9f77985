# shellcheck shell=bash disable=SC2154,SC2034
# `./dev bench --quick`: fails when small-db has become much worse than its peers, and is a step of
# `./dev test`. Its bounds are far from what the full run shows, and none is a time: each is a ratio
# made within a round, or a number of bytes. Where it can, a row compares processor time per request,
# which other work on the machine hardly changes. Rows by the clock see what waits instead of
# working; their bounds are lower still. If a bound is missed, more rounds are measured before it
# counts: the median of all decides.

bench_guard_rounds_max=9

bench_guard_points() {
  local get=/v1/kv/key:%012d sized=/v1/kv/key%08d page='/v1/kv?limit=100&start=key%08d'
  cat <<END
get-64 small-db store wrk 64 GET $get none $bench_keys
get-64 nginx-return plain wrk 64 GET $get none $bench_keys
put-50 small-db store wrk 50 PUT $get json $bench_keys
put-50 redis redis redis_set 50
put-50 nginx-drop plain wrk 50 PUT $get json $bench_keys
get-growth store-1k store-1k wrk 64 GET $sized none 1000
get-growth store-1m store-1m wrk 64 GET $sized none 1000000
list store-1k store-1k wrk 16 GET $page none 900
list store-1m store-1m wrk 16 GET $page none 999900
memory store-1m store-1m memory
idle store-1k store-1k idle
END
}

bench_guard_rows() {
  cat <<'END'
GET, processor time per request | cpu | get-64/small-db | get-64/nginx-return | nginx `return 200`, same bytes | >= 0.55
GET by the clock | rate | get-64/small-db | get-64/nginx-return | nginx `return 200`, same bytes | >= 0.4
PUT, processor time per request | cpu | put-50/small-db | put-50/nginx-drop | nginx that reads the body and drops it | >= 0.25
PUT, 50 connections, by the clock | rate | put-50/small-db | put-50/redis | Redis, own protocol, AOF always | >= 0.4
cost of a GET, 1 M keys | cpu-growth | get-growth/store-1m | get-growth/store-1k | 1 k keys | <= 2.5
page of 100, 1 M keys | cpu-growth | list/store-1m | list/store-1k | 1 k keys | <= 3
memory beyond key and value, 1 M keys | memory | memory/store-1m | - | - | <= 60
wake-ups of an idle server, per second | number | idle/store-1k | - | - | <= 2
END
}

# Prints the verdicts, with a last line as ctest has it, which `check` counts.
bench_guard_verdicts() {
  awk -F '\t' -v rows="$(bench_guard_rows | wc -l)" '
    {
      count++
      if ($9 != "yes") missed++
      printf "%s  %s: %.2f (%.2f..%.2f), must be %s\n", $9 == "yes" ? "ok    " : "FAILED", $1, $5, $6, $7, $8
    }
    END {
      printf "%d%% tests passed, %d tests failed out of %d\n", (count - missed) * 100 / (count ? count : 1),
        missed, count
      exit missed > 0 || count != rows
    }' "$1"
}

# Rounds until every bound holds, three at least.
bench_guard_judge() {
  local results=$bench_tmp/results.tsv
  for ((bench_round_number = 1; ; bench_round_number++)); do
    bench_round "$bench_round_number"
    [ "$bench_round_number" -ge "$bench_rounds" ] || continue
    bench_results bench_guard_rows >"$results"
    if bench_guard_verdicts "$results" >"$bench_tmp/verdicts"; then break; fi
    [ "$bench_round_number" -lt "$bench_guard_rounds_max" ] || break
    bench_note "a bound was missed: one more round"
  done
  cat "$bench_tmp/verdicts"
  bench_guard_verdicts "$results" >/dev/null || die "much worse than it should be, after $bench_round_number rounds"
}
