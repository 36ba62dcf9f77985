# The tables of `./dev bench` in Markdown: awk -f bench_report.awk RESULTS RAW, where RESULTS comes
# from bench_results.awk. Plain awk. Needs bench_median.awk.

BEGIN {
  FS = "\t"
  print "| | small-db | against | | ratio | spread | target | met |"
  print "|---|---|---|---|---|---|---|---|"
}

FNR == 1 { file++ }

file == 1 {
  compared = $3 != "-"
  printf "| %s | %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, compared ? $3 : "", compared ? $4 : "",
    compared ? sprintf("**%.2f**", $5) : "", compared ? sprintf("%.2f..%.2f", $6, $7) : "",
    target_text($8), $9 == "-" ? "" : $9 == "yes" ? "yes" : "**no**"
  next
}

FNR > 1 {
  name = $2 SUBSEP $3
  if (!(name in runs)) order[++names] = name
  n = ++runs[name]
  rates[name, n] = $4
  p50[name, n] = $5
  p99[name, n] = $6
  per_flush[name, n] = $7 != "-" && $8 != "-" && $8 > 0 ? $7 / $8 : "-"
  batch[name, n] = $9
  cpu_us[name, n] = $7 > 0 && $10 != "-" ? $10 / $7 / 1000 : "-"
  busy[name, n] = cpu_us[name, n] == "-" ? "-" : cpu_us[name, n] * $4 / 1e4
}

function target_text(target) {
  sub(/^>=/, "≥", target)
  sub(/^<=/, "≤", target)
  return target ~ /00000$/ ? substr(target, 1, length(target) - 3) " k/s" : target
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

function detail_row(name, part, i, list, used) {
  split(name, part, SUBSEP)
  for (i = 1; i <= runs[name]; i++) list[i] = rates[name, i] + 0
  sort(list, runs[name])
  used = median_of(busy, name)
  printf "| %s | %s | %s | %s..%s | %s | %s | %s | %s | %s | %s |\n", part[1], part[2],
    human(median_of(rates, name)), human(list[1]), human(list[runs[name]]),
    micros(median_of(p50, name)), micros(median_of(p99, name)), micros(median_of(cpu_us, name)),
    used == "-" ? "–" : sprintf("%.0f %%", used),
    part[1] ~ /^put/ && part[2] !~ /^nginx/ ? human(median_of(per_flush, name)) : "–",
    human(median_of(batch, name))
}

END {
  print ""
  print "A ratio is the median of those within each round, and says how many times better small-db is; where"
  print "the target is an upper bound, and of p99, how many times it costs. The spread: smallest and largest."
  print ""
  print "All numbers below are medians. \"Figure\": per second, but for `load` (seconds), `memory` (bytes a key)"
  print "and `idle` (wake-ups per second). \"cpu\": the server's processor time per request, all its processes;"
  print "\"busy\": how much of a processor that was. \"Per flush\": requests per flush that the disk was asked"
  print "for, by anyone on the machine. \"Batch\": mean number of writes per commit, as the engine counts."
  print ""
  print "| point | contender | figure | lowest..highest round | p50 | p99 | cpu | busy | per flush | batch |"
  print "|---|---|---|---|---|---|---|---|---|---|"
  for (i = 1; i <= names; i++) detail_row(order[i])
}
