# shellcheck shell=bash disable=SC2154,SC2034
# The tests: builds by CMake's presets into build/PRESET, then ctest. `test_everything` is the gate.

build_preset() {
  local preset=$1
  shift
  cmake --preset "$preset" >/dev/null
  cmake --build "build/$preset" -j "$jobs" -- "$@"
}

# smalldbctl alone, without what only the tests need; `cmake --install build/tool` installs it.
tool_build() {
  cmake --preset release -B build/tool -DSMALL_DB_TESTS=OFF >/dev/null
  cmake --build build/tool -j "$jobs" --target smalldbctl
  say "built build/tool/smalldbctl"
}

# run_ctest PRESET CTEST_ARGUMENTS...
run_ctest() {
  local preset=$1
  shift
  ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --no-tests=error "$@"
}

# Tests of a whole nginx wait for it more than they work.
run_waiting_tests() { jobs=$((2 * jobs)) run_ctest release "$@"; }

# The whole-nginx tests note which answers they saw; these must be the documented ones.
responses_file=$root/build/log/responses.txt

nginx_tests_noted() {
  rm -f "$responses_file"
  fetch_promtool
  SMALL_DB_PROMTOOL=$root/build/promtool/promtool SMALL_DB_RESPONSES=$responses_file \
    run_waiting_tests -L '^nginx_tests$'
}

openapi_tests() {
  SMALL_DB_RESPONSES=$responses_file run_ctest release -L '^openapi_tests$'
}

build_threads_tests() {
  cmake --preset tsan -B build/tsan-threads -DSMALL_DB_THREADED_TESTS=ON >/dev/null
  cmake --build build/tsan-threads -j "$jobs" --target engine_tests
}

has_tests() { [ -n "$(find "$root/tests/$1" -name "$2" -print -quit 2>/dev/null)" ]; }

check_benches() { cmake --build build/release -j "$jobs" --target benches; }

check_headers() { cmake --build build/release -j "$jobs" --target headers; }

test_everything() {
  install_packages run test lint bench_quick
  check module-dynamic module_build
  check module-symbols module_check_symbols
  check build-release build_preset release
  check benches-compile check_benches
  check headers-compile-alone check_headers
  check unit run_ctest release -L '^(engine|api)_tests$'
  check crash crash_tests_counted
  crash_states_summary
  check cluster run_ctest release -L '^cluster_tests$'
  ! has_tests damage '*.cc' || check damage run_ctest release -L '^damage_tests$'
  check tools run_ctest release -L '^tools_tests$'
  check nginx nginx_tests_noted
  check openapi openapi_tests
  check bench-quick bench_all --quick
  ! has_tests chaos '*.cc' || check chaos run_waiting_tests -L '^chaos_tests$'
  check build-asan build_preset asan engine_tests api_tests fuzzers
  # What a kill at a marked point leaves behind is the release build's matter: no sanitizer sees it.
  check unit-asan run_ctest asan -L '^(engine|api)_tests$' -E KillPoints
  check build-tsan build_threads_tests
  check threads-tsan run_ctest tsan-threads -L '^engine_tests$'
  if has_tests fuzz '*_fuzzer.cc'; then
    fuzz_check_all "${FUZZ_SECONDS:-15}"
  fi
  check module-static module_build_static
  lint_checks
  summary
}

test_some() {
  install_packages run test
  build_preset release
  # Only the whole-nginx tests load the module.
  if ctest --test-dir build/release -N -R "$1" | grep -Eq '(nginx|chaos)_tests\.'; then
    module_build
  fi
  run_ctest release -R "$1"
}

test_sanitized() {
  local preset=${1:-}
  [[ $preset =~ ^(asan|tsan)$ ]] || die "sanitize what? asan or tsan"
  install_packages test
  build_preset "$preset"
  run_ctest "$preset" ${2:+-R "$2"}
}

# fuzz_one FUZZER SECONDS: from the corpus in tests/fuzz/corpus/NAME; what it finds on the way is
# kept in build/fuzz/corpus, what fails in build/fuzz/failures.
fuzz_one() {
  local name seeds
  name=$(basename "$1")
  seeds=$root/tests/fuzz/corpus/$name
  mkdir -p "build/fuzz/corpus/$name" build/fuzz/failures
  local folders=("build/fuzz/corpus/$name")
  [ ! -d "$seeds" ] || folders+=("$seeds")
  "$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/failures/$name-" "${folders[@]}"
}

fuzz_all() {
  local seconds=$1 only=$2 fuzzer
  build_preset asan fuzzers
  for fuzzer in build/asan/fuzzers/*"$only"*_fuzzer; do
    say "$fuzzer"
    fuzz_one "$fuzzer" "$seconds"
  done
}

# All fuzzers of build/asan, as many at a time as there are processors, then one check for each.
fuzz_check_all() {
  local results=$root/build/fuzz/results fuzzer
  rm -rf "$results"
  mkdir -p "$results"
  for fuzzer in build/asan/fuzzers/*_fuzzer; do
    [ -x "$fuzzer" ] || continue
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    (fuzz_one "$fuzzer" "$1" && touch "$results/$(basename "$fuzzer").ok") \
      >"$results/$(basename "$fuzzer").log" 2>&1 &
  done
  wait
  for fuzzer in "$results"/*.log; do
    [ ! -f "$fuzzer" ] || check "$(basename "$fuzzer" .log)" fuzz_result "${fuzzer%.log}"
  done
}

fuzz_result() { tail -n 100 "$1.log" && [ -f "$1.ok" ]; }
