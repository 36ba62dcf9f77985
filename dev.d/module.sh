# shellcheck shell=bash disable=SC2154,SC2034
# The nginx module, built with nginx's own build against the installed nginx-dev. The objects are in
# build/nginx-dynamic; nothing is written into nginx-dev's tree.

nginx_source=/usr/share/nginx/src
module_file=$root/build/ngx_http_small_db_module.so

module_sources() {
  find "$root/ngx_module" "$root/engine" -name '*.cc' ! -path '*/engine/tools/*'
}

# What decides the Makefile: the lists of files, the build entry, and nginx's own version and flags.
module_inputs() {
  find "$root/ngx_module" "$root/engine" -name '*.cc' -o -name '*.h' | sort
  cat "$root/config" "$nginx_source/conf_flags"
  dpkg-query -W -f '${Package} ${Version}\n' nginx-dev g++
  printf '%s\n' "${CC:-}"
}

# module_configure dynamic|static: leaves build/nginx-$1/Makefile, anew only if an input changed.
module_configure() {
  local how=$1 build=$root/build/nginx-$1 stamp option=--add-dynamic-module
  [ "$how" = dynamic ] || option=--add-module
  stamp=$(module_inputs | sha256sum)
  if [ -f "$build/Makefile" ] && [ "$(cat "$build/stamp" 2>/dev/null)" = "$stamp" ]; then
    return 0
  fi
  rm -rf "$build"
  mkdir -p "$build"
  (
    cd "$nginx_source"
    NGX_CONF_FLAGS=()
    # shellcheck source=/dev/null
    . ./conf_flags
    # As Debian builds its own modules (debhelper's build system nginx_mod).
    ./configure \
      --with-cc-opt="$(dpkg-buildflags --get CFLAGS) -fPIC $(dpkg-buildflags --get CPPFLAGS)" \
      --with-ld-opt="$(dpkg-buildflags --get LDFLAGS) -fPIC" \
      "${NGX_CONF_FLAGS[@]}" "$option=$root" --builddir="$build"
  ) >"$build/configure.log" 2>&1 || { tail -n 20 "$build/configure.log" >&2; return 1; }
  printf '%s\n' "$stamp" >"$build/stamp"
}

module_build() {
  module_configure dynamic
  local build=$root/build/nginx-dynamic
  make --no-print-directory -s -j "$jobs" -C "$nginx_source" -f "$build/Makefile" modules
  # Replaced by a rename: a running nginx keeps the file that it has mapped.
  if ! cmp -s "$build/ngx_http_small_db_module.so" "$module_file"; then
    cp "$build/ngx_http_small_db_module.so" "$module_file.new"
    mv "$module_file.new" "$module_file"
  fi
  say "built ${module_file#"$root"/}"
}

# Checks that --add-module configures, with all our sources in the Makefile, and that those that
# include nginx's headers compile as part of that nginx. nginx-dev has no sources to link a whole
# nginx from, and the dynamic build has compiled the same code with the same flags.
module_build_static() {
  module_configure static
  local build=$root/build/nginx-static objects
  objects=$(sed -n "s#^\($build/addon/[^:]*\.o\):.*#\1#p" "$build/Makefile")
  [ "$(wc -l <<<"$objects")" -eq "$(module_sources | wc -l)" ] ||
    { say "not all sources are in the Makefile"; return 1; }
  objects=$(grep '/addon/ngx_module/' <<<"$objects")
  # shellcheck disable=SC2086
  make --no-print-directory -s -j "$jobs" -C "$nginx_source" -f "$build/Makefile" \
    CC="${CC:-cc} -fsyntax-only" $objects
}

# The module exports what nginx looks up, and nothing that other modules could bind to; and what it
# leaves undefined is nginx's or the system's, never its own.
module_check_symbols() {
  local exports undefined
  exports=$(nm -D --defined-only "$module_file" | awk '{print $3}' | sort | tr '\n' ' ')
  say "exports: $exports"
  undefined=$(nm -DC --undefined-only "$module_file" | grep small_db || true)
  say "undefined: $undefined"
  [ "$exports" = "ngx_module_names ngx_module_order ngx_modules " ] && [ -z "$undefined" ]
}
