# shellcheck shell=bash disable=SC2154,SC2034
# What `./dev bench` measures, and what the report says of it.

# point contender needs kind [argument...]. `needs` are the servers and files that there must be
# (bench_need), joined by commas; `kind` is a function of bench_clients.sh or bench_sized.sh. What is
# compared stands together. Connections come first in the arguments of wrk.
bench_points() {
  local get=/v1/kv/key:%012d sized=/v1/kv/key%08d page='/v1/kv?limit=100&start=key%08d'
  cat <<END
get-64 small-db store wrk 64 GET $get none $bench_keys
get-64 nginx-return plain wrk 64 GET $get none $bench_keys
get-5m store-5m store-5m wrk 64 GET $sized none 5000000
get-5m nginx-short plain wrk 64 GET $sized none 5000000
raw-64 small-db store wrk 64 GET $get?raw none $bench_keys
raw-64 nginx-raw plain wrk 64 GET $get?raw none $bench_keys
raw-64 nginx-lua lua wrk 64 GET $get?raw none $bench_keys
blob-64k small-db store wrk 16 GET /v1/kv/blob-64k-%d?raw none $bench_blobs
blob-64k nginx-file plain wrk 16 GET /static/blob-64k-%d none $bench_blobs
blob-1m small-db store wrk 16 GET /v1/kv/blob-1m-%d?raw none $bench_blobs
blob-1m nginx-file plain wrk 16 GET /static/blob-1m-%d none $bench_blobs
h2-64 small-db store h2load 8 8
h2-64 nginx-return plain h2load 8 8
static-64 small-db store beside_puts small-db 64 GET /static/page none 1
static-64 nginx-file store,plain beside_puts small-db 64 GET /static/page none 1
put-1 small-db store wrk 1 PUT $get json $bench_keys
put-1 redis redis redis_set 1
put-50 small-db store wrk 50 PUT $get json $bench_keys
put-50 redis redis redis_set 50
put-50 webdis redis,webdis wrk 50 PUT /SET/key:%012d raw $bench_keys
put-50 nginx-lua lua wrk 50 PUT $get raw $bench_keys
put-50 etcd etcd wrk 50 POST /v3/kv/put etcd $bench_keys
put-64 small-db store wrk 64 PUT $get json $bench_keys
put-64 nginx-drop plain wrk 64 PUT $get json $bench_keys
put-200 small-db store wrk 200 PUT $get json $bench_keys
put-200 redis redis redis_set 200
put-64k small-db store wrk 16 PUT /v1/kv/long-64k-%d?raw raw-64k $bench_blobs
put-64k nginx-drop plain wrk 16 PUT /v1/kv/long-64k-%d?raw raw-64k $bench_blobs
put-1m small-db store wrk 16 PUT /v1/kv/long-1m-%d?raw raw-1m $bench_blobs
put-1m nginx-drop plain wrk 16 PUT /v1/kv/long-1m-%d?raw raw-1m $bench_blobs
raw-sync disk - program on_server rate raw_sync_bench
raw-write disk - program env bytes raw_sync_bench --block-bytes=1048576
engine-put-4x64 engine - program env rate engine_put_bench --processes=4 --window=64
engine-put-4k engine - program env bytes engine_put_bench --processes=4 --window=256 --value-bytes=4096 --keys=20000 --memory-mib=2048 --log-mib=4096
engine-get-100k engine - program on_server rate engine_get_bench --keys=100000
engine-get-1m engine - program on_server rate engine_get_bench --keys=1000000
get-p99 quiet pair wrk 8 GET $get none $bench_keys
get-p99 busy pair beside_puts busy 8 GET $get none $bench_keys
get-growth store-10k store-10k wrk 64 GET $sized none 10000
get-growth store-10m store-10m wrk 64 GET $sized none 10000000
put-growth store-10k store-10k wrk 50 PUT $sized json 10000
put-growth store-10m store-10m wrk 50 PUT $sized json 10000000
list store-1k store-1k wrk 16 GET $page none 900
list store-10m store-10m wrk 16 GET $page none 9999900
memory store-10m store-10m memory
memory-random table - table_memory
load store-10m data-10m load_store
load redis redis-10m load_redis
idle store-1k store-1k idle
END
}

# text | figure | point/contender | point/contender to compare with | its text | target. How a figure
# is made of raw numbers, and which way it is compared, is said in bench_results.awk.
bench_rows() {
  cat <<'END'
GET, 64 connections | rate | get-64/small-db | get-64/nginx-return | nginx `return 200`, same bytes | >= 0.95
… processor time per request | cpu | get-64/small-db | get-64/nginx-return | the same | 
GET of 5 M keys | rate | get-5m/store-5m | get-5m/nginx-short | nginx `return 200`, same bytes | >= 0.90
GET `?raw` | rate | raw-64/small-db | raw-64/nginx-raw | nginx `return 200`, same bytes | >= 0.96
GET `?raw` | rate | raw-64/small-db | raw-64/nginx-lua | nginx, Lua shared dictionary (not durable) | 
GET, 64 KiB, `?raw` | rate | blob-64k/small-db | blob-64k/nginx-file | nginx, static file, sendfile | >= 0.9
GET, 1 MiB, `?raw` | rate | blob-1m/small-db | blob-1m/nginx-file | nginx, static file, sendfile | >= 0.9
GET over HTTP/2 | rate | h2-64/small-db | h2-64/nginx-return | nginx `return 200`, same bytes | 
PUT, 1 connection | rate | put-1/small-db | put-1/redis | Redis, own protocol, AOF always | >= 1.25
PUT, 50 connections | rate | put-50/small-db | put-50/redis | Redis, own protocol, AOF always | >= 1.25
… processor time per request | cpu | put-50/small-db | put-50/redis | the same | 
PUT, 200 connections | rate | put-200/small-db | put-200/redis | Redis, own protocol, AOF always | >= 1.0
PUT, 50 connections | rate | put-50/small-db | put-50/webdis | webdis before that Redis | >= 2
PUT, 50 connections | rate | put-50/small-db | put-50/etcd | etcd, JSON gateway | 
PUT, 50 connections | rate | put-50/small-db | put-50/nginx-lua | nginx, Lua shared dictionary (not durable) | 
PUT, 64 connections | rate | put-64/small-db | put-64/nginx-drop | nginx that reads the body and drops it | >= 0.7
… processor time per request | cpu | put-64/small-db | put-64/nginx-drop | the same | 
PUT, 64 KiB, `?raw` | rate | put-64k/small-db | put-64k/nginx-drop | nginx that reads the body and drops it | 
PUT, 1 MiB, `?raw` | rate | put-1m/small-db | put-1m/nginx-drop | nginx that reads the body and drops it | 
PUT, 1 connection | rate | put-1/small-db | raw-sync/disk | 4 KiB `pwrite` + `fdatasync` | >= 0.6
engine alone: PUT, 4 processes | rate | engine-put-4x64/engine | - | - | >= 400000
engine alone: PUT of 4 KiB, no checkpoints | bytes | engine-put-4k/engine | raw-write/disk | 1 MiB `pwrite` + `fdatasync` | >= 0.8
END
  if [ "${#bench_processors[@]}" -ge 4 ]; then
    echo "GET p99 while 50 connections write | p99-growth | get-p99/busy | get-p99/quiet | nobody writes | <= 2"
  else
    echo "GET p99 while 50 connections write, all on one processor | p99-growth | get-p99/busy | get-p99/quiet | nobody writes | "
  fi
  cat <<'END'
static file beside 50 that write | rate | static-64/small-db | static-64/nginx-file | from an nginx of its own | 
loading 10 M keys | seconds | load/store-10m | - | - | <= 3
loading 10 M keys | seconds | load/store-10m | load/redis | Redis, its own RDB | >= 3
memory beyond key and value, 10 M keys | memory | memory/store-10m | - | - | <= 48
memory beyond key and value, 10 M keys | memory | memory/store-10m | memory/redis | Redis | 
… 1 M keys put in random order | memory | memory-random/table | - | - | <= 48
cost of a GET, 10 M keys | cpu-growth | get-growth/store-10m | get-growth/store-10k | 10 k keys | <= 1.5
cost of a PUT, 10 M keys | cpu-growth | put-growth/store-10m | put-growth/store-10k | 10 k keys | <= 1.5
… by the clock: GET | rate-growth | get-growth/store-10m | get-growth/store-10k | 10 k keys | <= 1.5
… by the clock: PUT | rate-growth | put-growth/store-10m | put-growth/store-10k | 10 k keys | <= 1.5
page of 100, 10 M keys | rate-growth | list/store-10m | list/store-1k | 1 k keys | <= 1.3
wake-ups of an idle server, per second | number | idle/store-1k | - | - | <= 0
END
}
