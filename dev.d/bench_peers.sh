# shellcheck shell=bash disable=SC2154,SC2034,SC2004
# What small-db is compared with beside plain nginx. Redis comes from redis-tools. webdis, etcd and
# nginx's Lua module are only unpacked, into build/bench/peers: installed, the first two would start
# services, and the third would load itself into every nginx of this machine.

bench_peers=$root/build/bench/peers
bench_peer_packages="webdis libevent-2.1-7 libhiredis0.14 libjansson4 libb64-0d
  etcd-server
  libnginx-mod-http-lua libnginx-mod-http-ndk lua-resty-core lua-resty-lrucache libluajit2-5.1-2"

# Unpacks them all, or fails; the log says why. What was unpacked stays until `./dev clean`.
bench_fetch_peers() {
  [ ! -f "$bench_peers/versions" ] || return 0
  rm -rf "$bench_peers"
  mkdir -p "$bench_peers/packages"
  bench_unpack_peers >"$bench_peers.log" 2>&1 </dev/null
}

# In conditions bash goes on after errors: so each step is joined to the next.
bench_unpack_peers() (
  cd "$bench_peers/packages" || exit 1
  # shellcheck disable=SC2086
  apt-get -qq download $bench_peer_packages ||
    { apt-get -qq update && apt-get -qq download $bench_peer_packages; } || exit 1
  for package in *.deb; do
    dpkg-deb -x "$package" .. || exit 1
    dpkg-deb -f "$package" Package Version | sed 's/^[A-Za-z]*: //' | paste -sd ' ' || exit 1
  done >../versions.new && mv ../versions.new ../versions
)

bench_peer_version() { sed -n "s/^$1 //p" "$bench_peers/versions" 2>/dev/null || echo missing; }

# With the libraries that were unpacked.
bench_with_peers() {
  export LD_LIBRARY_PATH=$bench_peers/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  on_server "$@"
}

# bench_run_redis_server NAME DIRECTORY ARGUMENT...: redis-tools holds the server too, under another
# name, and starts no service.
bench_run_redis_server() {
  local name=$1 directory=$2
  shift 2
  ln -sf "$(command -v redis-check-rdb)" "$directory/redis-server"
  bench_port[$name]=$(bench_free_port)
  (on_server "$directory/redis-server" --bind 127.0.0.1 --port "${bench_port[$name]}" \
    --dir "$directory" --daemonize no --save "" "$@") >"$directory/redis.log" 2>&1 &
  bench_server_pid[$name]=$!
}

bench_redis_answers() { [ "$(redis-cli -p "${bench_port[$1]}" ping 2>/dev/null)" = PONG ]; }

bench_start_redis() {
  local prefix=$bench_tmp/redis
  mkdir -p "$prefix"
  bench_run_redis_server redis "$prefix" --appendonly yes --appendfsync always \
    --auto-aof-rewrite-percentage 0
  bench_await "$prefix/redis.log" bench_redis_answers redis
}

# In front of the Redis above, whose processor time is counted with its own.
bench_start_webdis() {
  local prefix=$bench_tmp/webdis key=bench-key
  mkdir -p "$prefix"
  bench_port[webdis]=$(bench_free_port)
  cat >"$prefix/webdis.json" <<END
{"redis_host": "127.0.0.1", "redis_port": ${bench_port[redis]}, "redis_auth": null,
 "http_host": "127.0.0.1", "http_port": ${bench_port[webdis]}, "threads": 2, "pool_size": 20,
 "daemonize": false, "verbosity": 0, "logfile": "$prefix/webdis.log"}
END
  (bench_with_peers "$bench_peers/usr/bin/webdis" "$prefix/webdis.json") >"$prefix/output.log" 2>&1 &
  bench_server_pid[webdis]="$! ${bench_server_pid[redis]}"
  bench_await "$prefix/output.log" \
    curl -fs -X PUT -d value "http://127.0.0.1:${bench_port[webdis]}/SET/$key"
  [ "$(redis-cli -p "${bench_port[redis]}" get $key)" = value ] || die "webdis does not write to Redis"
}

bench_start_etcd() {
  local prefix=$bench_tmp/etcd client peer
  mkdir -p "$prefix"
  bench_port[etcd]=$(bench_free_port)
  client=http://127.0.0.1:${bench_port[etcd]}
  peer=http://127.0.0.1:$(bench_free_port)
  (on_server "$bench_peers/usr/bin/etcd" --name bench --data-dir "$prefix/data" \
    --listen-client-urls "$client" --advertise-client-urls "$client" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
    --initial-cluster "bench=$peer" --logger zap --log-level error) >"$prefix/etcd.log" 2>&1 &
  bench_server_pid[etcd]=$!
  bench_await "$prefix/etcd.log" curl -fs -d '{"key":"YQ==","value":"YQ=="}' "$client/v3/kv/put"
}

bench_start_lua() {
  local prefix=$bench_tmp/lua modules=$bench_peers/usr/lib/nginx/modules
  bench_port[nginx-lua]=$(bench_free_port)
  bench_nginx_conf "$prefix" "load_module $modules/ndk_http_module.so;" \
    "load_module $modules/ngx_http_lua_module.so;" <<END
  lua_package_path '$bench_peers/usr/share/lua/5.1/?.lua;;';
  lua_shared_dict kv 256m;
  init_by_lua_block {
    for index = 0, $bench_keys - 1 do
      local key = string.format("key:%012d", index)
      ngx.shared.kv:set(key, key:rep(7):sub(1, 100))
    end
  }
  server {
    listen 127.0.0.1:${bench_port[nginx-lua]};
    default_type application/octet-stream;
    location /v1/kv/ {
      content_by_lua_block {
        local key = ngx.var.uri:sub(8)
        if ngx.req.get_method() == "PUT" then
          ngx.req.read_body()
          ngx.shared.kv:set(key, ngx.req.get_body_data())
          ngx.say('{"ok":true}')
        else
          local value = ngx.shared.kv:get(key)
          if not value then return ngx.exit(404) end
          ngx.header["Content-Length"] = #value
          ngx.print(value)
        end
      }
    }
  }
END
  (bench_with_peers /usr/sbin/nginx -p "$prefix" -c "$prefix/nginx.conf" \
    -e "$prefix/error.log") >"$prefix/output.log" 2>&1 &
  bench_server_pid[nginx-lua]=$!
  bench_await "$prefix/error.log" \
    curl -fs "http://127.0.0.1:${bench_port[nginx-lua]}/v1/kv/$(bench_key 1)"
}
