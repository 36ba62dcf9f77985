# Raw numbers of `./dev bench` in (tab-separated, a heading first), Markdown tables out. Plain awk:
# mawk, the one in Debian's base system, takes it.

BEGIN { FS = "\t" }

NR == 1 { next }

{
  name = $2 SUBSEP $3
  if (!(name in runs)) order[++names] = name
  rate[name, $1] = $4
  rounds = $1 > rounds ? $1 : rounds
  n = ++runs[name]
  rates[name, n] = $4
  p50[name, n] = $5
  p99[name, n] = $6
  if ($6 != "-" && $6 > 0) within_p99[name, $1] = 1e6 / $6
  per_flush[name, n] = $7 != "-" && $8 != "-" && $8 > 0 ? $7 / $8 : "-"
  batch[name, n] = $9
  cpu_us[name, n] = $7 != "-" && $10 != "-" ? $10 / $7 / 1000 : "-"
  if (cpu_us[name, n] > 0) per_cpu[name, $1] = 1e6 / cpu_us[name, n]
}

function sort(list, count, i, j, value) {
  for (i = 2; i <= count; i++) {
    value = list[i]
    for (j = i - 1; j > 0 && list[j] > value; j--) list[j + 1] = list[j]
    list[j + 1] = value
  }
}

# REQUIRES: sorted.
function middle(list, count) {
  return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
}

function median_of(column, name, i, list, count) {
  count = 0
  for (i = 1; i <= runs[name]; i++) {
    if (column[name, i] == "-") return "-"
    list[++count] = column[name, i] + 0
  }
  sort(list, count)
  return middle(list, count)
}

function human(number) {
  if (number == "-") return "–"
  if (number >= 1e6) return sprintf("%.2f M", number / 1e6)
  if (number >= 1e4) return sprintf("%.1f k", number / 1e3)
  return sprintf(number < 100 ? "%.1f" : "%.0f", number)
}

# The median of figure[name] / figure[other] over the rounds, and its spread; or nothing.
function ratio(figure, name, other, i, list, count) {
  count = 0
  for (i = 1; i <= rounds; i++) {
    if ((name SUBSEP i) in figure && (other SUBSEP i) in figure && figure[other, i] > 0) {
      list[++count] = figure[name, i] / figure[other, i]
    }
  }
  if (!count) return ""
  sort(list, count)
  return sprintf("**%.2f** | %.2f..%.2f", middle(list, count), list[1], list[count])
}

function ratio_row(what, point, contender, base_point, base, base_name, name, other, text) {
  name = point SUBSEP contender
  other = base_point SUBSEP base
  text = ratio(rate, name, other)
  if (text == "") return
  printf "| %s | %s/s | %s | %s/s | %s |\n", what, human(median_of(rates, name)), base_name,
    human(median_of(rates, other)), text
}

# As above, with requests per second of the server's processor time as the figure.
function cpu_row(what, point, base, base_name, name, other, text) {
  name = point SUBSEP "small-db"
  other = point SUBSEP base
  text = ratio(per_cpu, name, other)
  if (text == "") return
  printf "| %s | %s | %s | %s | %s |\n", what, micros(median_of(cpu_us, name)), base_name,
    micros(median_of(cpu_us, other)), text
}

# As above, with the 99th percentile of the latency: more than 1 is faster.
function p99_row(what, point, contender, base, base_name, name, other, text) {
  name = point SUBSEP contender
  other = point SUBSEP base
  text = ratio(within_p99, name, other)
  if (text == "") return
  printf "| %s | %s | %s | %s | %s |\n", what, micros(median_of(p99, name)), base_name,
    micros(median_of(p99, other)), text
}

function put_rows(clients, what) {
  what = "PUT, " clients (clients == 1 ? " connection" : " connections")
  ratio_row(what, "put-" clients, "small-db", "put-" clients, "redis",
    "Redis, SET, appendfsync always")
  ratio_row(what, "put-" clients, "small-db", "put-" clients, "nginx-drop",
    "nginx that reads the body and drops it")
  cpu_row(what ", processor time per request", "put-" clients, "redis",
    "Redis, SET, appendfsync always")
  ratio_row(what, "put-" clients, "small-db", "raw-sync", "disk", "disk: 4 KiB pwrite + fdatasync")
}

END {
  print "| small-db | | against | | ratio | spread |"
  print "|---|---|---|---|---|---|"
  ratio_row("GET, 64 connections", "get-64", "small-db", "get-64", "nginx-return",
    "nginx `return 200`, same bytes")
  cpu_row("the same, processor time per request", "get-64", "nginx-return",
    "nginx `return 200`, same bytes")
  ratio_row("a static file, 64 connections, while 50 write", "static-64", "small-db", "static-64",
    "apart", "the same, served by an nginx of its own on the same processor")
  p99_row("the same, 99th percentile of the latency", "static-64", "small-db", "apart",
    "the same, served by an nginx of its own on the same processor")
  put_rows(1)
  put_rows(50)
  put_rows(200)
  ratio_row("engine alone: PUT, 1 process, 1 in flight", "engine-put-1x1", "engine", "raw-sync",
    "disk", "disk: 4 KiB pwrite + fdatasync")
  ratio_row("engine alone: PUT, 4 processes, 64 in flight each", "engine-put-4x64", "engine",
    "raw-sync", "disk", "disk: 4 KiB pwrite + fdatasync")
  print ""
  print "Each ratio is the median of those within each round, made so that more is better for small-db; the"
  print "spread is the smallest and the largest. All other numbers are medians, too. \"cpu\": the server's"
  print "processor time per request. \"Per flush\": requests per flush that the disk was asked for, by anyone"
  print "on the machine. \"Batch\": mean number of writes per commit, as the engine counts."
  print ""
  print "| point | contender | rate | slowest..fastest round | p50 | p99 | cpu | per flush | batch |"
  print "|---|---|---|---|---|---|---|---|---|"
  for (i = 1; i <= names; i++) detail_row(order[i])
}

function detail_row(name, part, i, list) {
  split(name, part, SUBSEP)
  for (i = 1; i <= runs[name]; i++) list[i] = rates[name, i] + 0
  sort(list, runs[name])
  printf "| %s | %s | %s/s | %s..%s | %s | %s | %s | %s | %s |\n", part[1], part[2],
    human(median_of(rates, name)), human(list[1]), human(list[runs[name]]),
    micros(median_of(p50, name)), micros(median_of(p99, name)),
    micros(median_of(cpu_us, name)),
    part[1] ~ /^put/ && part[2] != "nginx-drop" ? human(median_of(per_flush, name)) : "–",
    human(median_of(batch, name))
}

function micros(number) {
  if (number == "-") return "–"
  if (number < 100) return sprintf("%.1f µs", number)
  return number >= 1e4 ? sprintf("%.1f ms", number / 1e3) : sprintf("%.0f µs", number)
}
