# shellcheck shell=bash disable=SC2154,SC2034
# `./dev run`: an nginx of its own, beside any that the system runs, in a folder that is its prefix
# (nginx -p): configuration, module, logs, pid and data. nginx.conf.example has only relative paths.

# As root, nginx's workers run as www-data, which may not enter root's home: not in the checkout.
run_prefix() {
  if [ -n "${SMALL_DB_RUN_DIR:-}" ]; then
    realpath -m "$SMALL_DB_RUN_DIR"
  elif [ "$(id -u)" -eq 0 ]; then
    echo /var/lib/small-db-dev
  else
    echo "$root/build/run"
  fi
}

# Prints the pid of the nginx that runs in the prefix $1, or fails.
run_pid() {
  local pid
  pid=$(cat "$1/nginx.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = nginx ] && echo "$pid"
}

run_prepare() {
  local prefix=$1 port=$2
  mkdir -p "$prefix"/{modules,html,logs,data,temp}
  # A new file, not new bytes in the old one, which a running nginx may have mapped.
  cp "$module_file" "$prefix/modules/new.so"
  mv "$prefix/modules/new.so" "$prefix/modules/ngx_http_small_db_module.so"
  sed "s/listen 8080;/listen $port;/" nginx.conf.example >"$prefix/nginx.conf"
  printf '<!doctype html>\n<title>small-db</title>\n<p>A static site, beside the store.\n' \
    >"$prefix/html/index.html"
}

run_nginx() {
  local prefix=$1 as_user=()
  shift
  [ "$(id -u)" -ne 0 ] || as_user=(-g 'user www-data;')
  PATH=$PATH:/usr/sbin nginx -p "$prefix" -c "$prefix/nginx.conf" -e "$prefix/logs/error.log" \
    "${as_user[@]}" "$@"
}

run_start() {
  local prefix port=${SMALL_DB_PORT:-8080} deadline base
  prefix=$(run_prefix)
  install_packages run
  module_build
  ! run_pid "$prefix" >/dev/null || run_stop
  run_prepare "$prefix" "$port"
  run_nginx "$prefix" ||
    die "nginx did not start; if the port is in use: SMALL_DB_PORT=8081 ./dev run takes another"
  base=http://localhost:$port
  deadline=$((SECONDS + 10))  # building may have taken longer
  until curl -fs -o /dev/null "$base/v1/health"; do
    if [ $SECONDS -ge $deadline ]; then
      tail -n 20 "$prefix/logs/error.log" >&2
      die "nginx runs, but $base/v1/health does not answer 200"
    fi
    sleep 0.1
  done
  run_explain "$prefix" "$base"
}

run_explain() {
  cat <<END

nginx runs with the store (configuration, logs and data in $1). Try:

  curl -X PUT $2/v1/kv/greeting -d '{"value":"hello","encoding":"utf-8"}'
  curl $2/v1/kv/greeting
  curl -X DELETE $2/v1/kv/greeting
  curl $2/v1/health

To stop it: ./dev stop
END
}

run_stop() {
  local prefix pid deadline=$((SECONDS + 10)) signal=QUIT
  prefix=$(run_prefix)
  pid=$(run_pid "$prefix") || { say "no nginx runs in $prefix"; return 0; }
  kill -QUIT "$pid"
  while run_pid "$prefix" >/dev/null; do
    if [ $SECONDS -ge $deadline ]; then
      [ $signal = QUIT ] || die "nginx (pid $pid) does not stop"
      signal=TERM deadline=$((SECONDS + 5))
      kill -TERM "$pid"
    fi
    sleep 0.1
  done
  say "stopped"
}
