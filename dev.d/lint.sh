# shellcheck shell=bash disable=SC2154,SC2034
# The rules of the house: formatting, clang-tidy, and what dev.d/house_rules.awk says.

lint_format() { house_files | xargs -r clang-format --dry-run --Werror; }

# See there for the rules.
lint_house_rules() {
  house_files | xargs -r awk -f dev.d/house_rules.awk
}

# nginx names objects addon/LAST_FOLDER/FILE.o.
lint_object_names() {
  local twice
  twice=$(find ngx_module engine -name '*.cc' ! -path '*/engine/tools/*' |
    sed -E 's#.*/([^/]+/[^/]+)$#\1#' | sort | uniq -d)
  [ -z "$twice" ] || { say "same folder and file name, twice: $twice"; return 1; }
}

# The headers that include nginx's; CMake's target `headers` covers all others.
lint_nginx_headers() {
  local header
  module_configure dynamic
  while read -r header; do
    printf '#include "%s"\n' "$header" |
      (cd "$nginx_source" && g++ -std=c++20 -fsyntax-only -Wall -Wextra -Wno-unused-parameter -Werror \
        -x c++ -I"$root" -Isrc/core -Isrc/event -Isrc/event/modules -Isrc/os/unix -Isrc/http \
        -Isrc/http/modules -Isrc/http/v2 -I"$root/build/nginx-dynamic" -) ||
      { say "does not compile alone: $header"; return 1; }
  done < <(find ngx_module -name '*.h' ! -path '*/api/*')
}

# Each mistake that `./dev mutate` makes still has its place in the sources.
lint_mutations() {
  local mutation_dir=$root/build/mutation/lint
  mutation_sources
}

# Configured for clang, so that its flags are ones that clang-tidy knows; nothing is built.
lint_tidy() {
  cmake --preset clang -DSMALL_DB_PCH=OFF -B build/tidy >/dev/null
  run-clang-tidy -quiet -p build/tidy -j "$jobs" "^$root/(engine|ngx_module/api)/" 2>&1 |
    sed 's/\x1b\[[0-9;]*m//g' |
    { grep -vE '^([0-9]+ warnings? generated|clang-tidy-14 |Suppressed |Use -header-filter)' || true; }
}

lint_checks() {
  check lint-format lint_format
  check lint-house-rules lint_house_rules
  check lint-object-names lint_object_names
  check lint-nginx-headers lint_nginx_headers
  check lint-mutations lint_mutations
  check lint-tidy lint_tidy
}

lint_all() {
  install_packages lint
  lint_checks
  say "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
