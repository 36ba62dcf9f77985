# shellcheck shell=bash disable=SC2154,SC2034
# What all parts of ./dev share: messages, the list of sources, running a check with its output in
# a log, and the count of all that ran.

jobs=${JOBS:-$(nproc)}
log_dir=$root/build/log
passed=0
failed=0
tests_run=0

# ccache needs a place to write; an account without a home has none.
[ -w "${HOME:-/nonexistent}" ] || export CCACHE_DISABLE=1

say() { printf '%s\n' "$*"; }
die() { printf './dev: %s\n' "$*" >&2; exit 1; }

# All sources of the house, one per line.
house_files() {
  local folders=() folder
  for folder in engine ngx_module tests; do
    [ ! -d "$folder" ] || folders+=("$folder")
  done
  find "${folders[@]}" -name '*.cc' -o -name '*.h' | sort
}

# What a log says of a failure, the lines that name it first: whoever shows only the start of a long output shows those.
show_failure() {
  grep -nE -A 6 ': Failure|VIOLATION|ERROR: |error: |runtime error|WARNING: ThreadSanitizer' "$1" | head -n 80 || true
  echo "… and the end of it:"
  tail -n 100 "$1"
}

# check NAME COMMAND...: runs it with its output in build/log/NAME.log, and counts the tests that
# ctest says it ran, or one for the command itself. Never fails; `summary` tells.
check() {
  local name=$1 log=$log_dir/$1.log start=$SECONDS status=0 counts
  shift
  mkdir -p "$log_dir"
  # Not in an `if`: there bash would ignore errors within the command.
  set +e
  (set -e; "$@") >"$log" 2>&1
  status=$?
  set -e
  counts=$(sed -n 's/.* tests passed, \([0-9]*\) tests* failed out of \([0-9]*\)$/\1 \2/p' "$log")
  local bad total
  read -r bad total <<<"${counts:-} "
  if [ -n "${total:-}" ]; then
    tests_run=$((tests_run + total))
  else
    total=1 bad=0
  fi
  [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  passed=$((passed + total - bad))
  failed=$((failed + bad))
  if [ "$bad" -eq 0 ]; then
    printf 'ok      %-28s %5d passed  %4d s\n' "$name" "$total" $((SECONDS - start))
  else
    printf 'FAILED  %-28s %5d of %d  %4d s  (%s)\n' \
      "$name" "$bad" "$total" $((SECONDS - start)) "${log#"$root"/}"
    show_failure "$log" | sed 's/^/  | /'
  fi
}

# The last line of a test run, over all checks; fails if any failed or no test ran.
summary() {
  if [ "$tests_run" -eq 0 ]; then
    say "no test ran"
    failed=$((failed + 1))
  fi
  say "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
