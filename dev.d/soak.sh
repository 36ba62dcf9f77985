# shellcheck shell=bash disable=SC2154,SC2034
# `./dev soak`: crash states without an end, and the count of those that the tests have checked.

soak() {
  install_packages test
  build_preset release crash_soak
  build/release/crash_soak "$@"
}

# crash_tests_counted: the crash tests; each adds the states that it checked to a file.
crash_states_file=$root/build/log/crash_states.txt

crash_tests_counted() {
  rm -f "$crash_states_file"
  SMALL_DB_CRASH_COUNTS=$crash_states_file run_ctest release -L '^crash_tests$'
}

crash_states_summary() {
  [ -f "$crash_states_file" ] || return 0
  awk '{ states += $1 } END { printf "        %d crash states recovered and compared\n", states }' \
    "$crash_states_file"
}
