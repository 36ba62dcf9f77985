# shellcheck shell=bash disable=SC2154
# `./dev mutate`: changes the engine in one place at a time, and sees whether a test notices. The
# changes are made by tests/mutation/generate.cc in a copy of the sources, which is compiled once;
# each run of a test binary switches one of them on.

mutation_dir=${SMALL_DB_MUTATION_DIR:-$root/build/mutation}
mutation_seconds=90 # what a test binary may take; longer counts as noticed

mutate() {
  local pattern='' list='' number
  while [ $# -gt 0 ]; do
    case $1 in
      --list) list=yes ;;
      --jobs) shift && jobs=${1:?--jobs needs a number} ;;
      -*) die "mutate: $1? [PATTERN] [--list] [--jobs N]" ;;
      *) pattern=$1 ;;
    esac
    shift
  done
  install_packages test
  mutation_sources
  if [ -n "$list" ]; then
    mutation_matches "$pattern" | cut -f 2-
    return
  fi
  say "building $(wc -l <"$mutation_dir/list") mutants in one"
  mutation_build >"$mutation_dir/build.log" 2>&1 || die "see build/mutation/build.log"
  mutation_run 0 engine/wal/format.cc
  grep -q '^survived' "$mutation_dir/results/0" || die "the tests fail without a mutant: $(<"$mutation_dir/results/0")"
  for number in $(mutation_matches "$pattern" | cut -f 1); do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    mutation_run "$number" "$(mutation_file "$number")" 2>/dev/null & # bash tells of each crash
  done
  wait
  mutation_report
}

# The mutated copy, of which only what differs is written, so that little is compiled again; and the
# list of mutants: number, file:line, name.
mutation_sources() {
  local new=$mutation_dir/new file
  mkdir -p "$mutation_dir"
  rm -rf "$new" "$mutation_dir/results"
  mkdir -p "$new" "$mutation_dir/src" "$mutation_dir/results"
  cp -r CMakeLists.txt cmake engine ngx_module tests "$new"
  if [ "$root/tests/mutation/generate.cc" -nt "$mutation_dir/generate" ]; then
    "${CXX:-g++}" -std=c++20 -O1 -o "$mutation_dir/generate" tests/mutation/generate.cc
  fi
  "$mutation_dir/generate" "$new" tests/mutation/named.txt >"$mutation_dir/list"
  (cd "$mutation_dir/src" && find . -type f) | while read -r file; do
    [ -f "$new/$file" ] || rm "$mutation_dir/src/$file"
  done
  (cd "$new" && find . -type f) | while read -r file; do
    cmp -s "$new/$file" "$mutation_dir/src/$file" && continue
    mkdir -p "$(dirname "$mutation_dir/src/$file")"
    cp "$new/$file" "$mutation_dir/src/$file"
  done
  rm -rf "$new"
}

mutation_build() {
  cmake -S "$mutation_dir/src" -B "$mutation_dir/build" -G Ninja
  cmake --build "$mutation_dir/build" -j "$jobs" \
    --target engine_tests crash_tests crash_soak damage_tests cluster_tests
}

mutation_matches() { grep -E -e "${1:-.}" "$mutation_dir/list" || die "no mutant matches"; }

mutation_file() { sed -n "$1s/^[0-9]*\t\([^:]*\):.*/\1/p" "$mutation_dir/list"; }

# The suites of an engine folder, as a filter.
mutation_suites() {
  sed -n 's/^TEST\(_F\|_P\)\{0,1\}(\([A-Za-z]*\),.*/\2.*:*\/\2.*/p' tests/engine/"$1"/*_test.cc |
    sort -u | paste -s -d :
}

# What is slow, or runs threads and processes whose timing decides, comes last or not at all.
mutation_slow='*Threads*:StorageKill*:KillPoints*:*Stress*'

# mutation_run NUMBER FILE: the tests nearest to the file first, until one fails.
mutation_run() {
  local number=$1 folder others near
  folder=$(cut -d / -f 2 <<<"$2")
  near=$(mutation_suites "$folder")
  others=$(for folder in wal recovery checkpoint committer store platform; do
    mutation_suites "$folder"
  done | paste -s -d :)
  {
    mutation_test "$number" "$near-$mutation_slow" ||
      SMALL_DB_DAMAGE_STRIDE=50 mutation_stage "$number" damage_tests ||
      mutation_test "$number" "$others-$mutation_slow:$near" ||
      SMALL_DB_CLUSTER_SEEDS=300 mutation_stage "$number" cluster_tests ||
      mutation_stage "$number" crash_soak --seeds 1 --operations 1000 --variants 8 --jobs 1 ||
      mutation_stage "$number" crash_soak --faults --seeds 1 --operations 250 --jobs 1 ||
      mutation_stage "$number" crash_tests --gtest_filter='StoreLives.*' ||
      SMALL_DB_DAMAGE_STRIDE=4 mutation_stage "$number" damage_tests ||
      mutation_test "$number" 'ReplicationThreads.*' ||
      printf 'survived\n'
  } >"$mutation_dir/results/$number"
}

mutation_test() { mutation_stage "$1" engine_tests --gtest_filter="$2"; }

# mutation_stage NUMBER PROGRAM ARGUMENTS...: succeeds, and names the test, when one fails; a crash or
# too long a run is a failure.
mutation_stage() {
  local number=$1 program=$2 output=$mutation_dir/results/$1.output status test
  shift 2
  [ "$program" = crash_soak ] || set -- --gtest_fail_fast "$@"
  SMALL_DB_MUTANT=$number timeout "$mutation_seconds" "$mutation_dir/build/$program" "$@" \
    >"$output" 2>&1 </dev/null && status=0 || status=$?
  if [ "$status" -ne 0 ]; then
    test=$(LC_ALL=C grep -a -o -E '^\[(  FAILED  \] [^ ,]+| RUN      \] .*)' "$output" |
      tail -n 1 | sed 's/^\[[^]]*\] //')
    [ "$status" -ne 124 ] || test="$test (takes too long)"
    printf 'found\t%s\n' "${test:-$program $*}"
  fi
  rm -f "$output"
  [ "$status" -ne 0 ]
}

# A line for each mutant, the survivors with their reasons, and the sums. Fails when one survived
# that tests/mutation/equivalent.txt does not explain, or when one that it explains was found.
mutation_report() {
  cut -f 1 "$mutation_dir/list" | while read -r number; do
    [ -f "$mutation_dir/results/$number" ] || continue
    printf '%s\t%s\n' "$(sed -n "${number}p" "$mutation_dir/list")" \
      "$(head -n 1 "$mutation_dir/results/$number")"
  done | awk -F '\t' -v reasons="$root/tests/mutation/equivalent.txt" -f dev.d/mutation_report.awk
}
