# shellcheck shell=bash disable=SC2154,SC2034
# `./dev bench --storage`: what a checkpoint costs those who write meanwhile, and how fast a store
# starts, the engine alone. The programs are in tests/bench, and say what each figure is.

bench_storage() {
  local report=$root/build/bench/storage.md
  install_packages build bench
  build_preset plain benches >&2
  bench_enter
  {
    printf '# Storage benchmark\n\n* Source: %s, %s\n* Load average before the run: %s\n\n' \
      "$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)" \
      "$(date -u +%Y-%m-%d)" "$(cut -d ' ' -f 1 /proc/loadavg)"
    printf '| program | figure | median |\n|---|---|---|\n'
    bench_storage_rows checkpoint_impact_bench "$@"
    bench_storage_rows recovery_bench "$@"
  } | tee "$report"
}

# bench_storage_rows PROGRAM [ARGUMENT...]
bench_storage_rows() {
  local program=$1 folder output
  shift
  folder=$(mktemp -d "$bench_tmp/program.XXXXXX")
  output=$("$root/build/plain/benches/$program" --directory="$folder" "$@") ||
    die "$program failed"
  rm -rf "$folder"
  awk -F '\t' -v program="$program" '{ printf "| %s | %s | %s |\n", program, $1, $2 }' \
    <<<"$output"
}
