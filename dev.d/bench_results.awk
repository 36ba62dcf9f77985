# Makes results of raw numbers: awk -f bench_results.awk ROWS RAW, where ROWS is the output of
# bench_rows (bench_points.sh) and RAW the run's raw.tsv. One line for each row that was measured,
# tab-separated:
#
#   1 text   2 ours   3 against   4 theirs   5 median   6 lowest   7 highest   8 target   9 verdict
#
# With something to compare with, 5 to 7 are ratios, each made within a round, so that whatever else
# slows the machine meets both sides; without, they are the figure itself. The verdict is yes, no, or
# - where there is no target. A ratio says how many times better small-db is; but where the target is
# an upper bound, or something grows, how many times it costs.
#
#   figure       raw numbers                                         better
#   rate         requests per second                                 more
#   bytes        bytes per second                                    more
#   cpu          requests per second of the server's processor time  more
#   seconds, memory, number                                          less
#   cpu-growth, rate-growth, p99-growth   microseconds per request: of processor time, by the clock,
#                of the latency; always compared as costs            less
#
# Plain awk: mawk, the one in Debian's base system, takes it. Needs bench_median.awk.

BEGIN { FS = "\t" }

FNR == 1 { file++ }

file == 1 {
  split($0, field, / *\| */)
  rows++
  text[rows] = field[1]
  figure[rows] = field[2]
  ours[rows] = field[3]
  base[rows] = field[4]
  base_text[rows] = field[5]
  target[rows] = field[6]
  next
}

FNR > 1 {
  name = $2 "/" $3
  rounds = $1 > rounds ? $1 : rounds
  value[name, $1] = $4
  p99[name, $1] = $6
  if ($7 > 0 && $10 > 0) cpu_us[name, $1] = $10 / $7 / 1000
}

# The figure of a contender in a round; "" if it was not measured.
function of_round(kind, name, round) {
  if (!((name SUBSEP round) in value)) return ""
  if (kind ~ /^cpu/) {
    if (!((name SUBSEP round) in cpu_us)) return ""
    return kind == "cpu" ? 1e6 / cpu_us[name, round] : cpu_us[name, round]
  }
  if (kind ~ /^p99/) return p99[name, round] + 0
  if (kind == "rate-growth") return 1e6 / value[name, round]
  return value[name, round] + 0
}

function more_is_better(kind) { return kind ~ /^(rate|bytes|cpu)$/ }

function shown(kind, number) {
  if (kind == "cpu") return micros(1e6 / number)
  if (kind == "cpu-growth" || kind == "rate-growth" || kind ~ /^p99/) return micros(number)
  if (kind == "bytes") return human(number) "B/s"
  if (kind == "rate") return human(number) "/s"
  if (kind == "seconds") return sprintf("%.2f s", number)
  if (kind == "memory") return sprintf("%.1f B", number)
  return sprintf("%.1f", number)
}

function median_figure(kind, name, round, list, count, number) {
  count = 0
  for (round = 1; round <= rounds; round++) {
    number = of_round(kind, name, round)
    if (number != "") list[++count] = number
  }
  sort(list, count)
  return count ? middle(list, count) : ""
}

function result(row, kind, round, list, count, one, other, compared, costs, verdict, middle_one, low) {
  kind = figure[row]
  compared = base[row] != "-"
  costs = target[row] ~ /^<=/ || kind ~ /-growth$/
  count = 0
  for (round = 1; round <= rounds; round++) {
    one = of_round(kind, ours[row], round)
    if (one == "") continue
    if (compared) {
      other = of_round(kind, base[row], round)
      if (other == "" || other <= 0 || one <= 0) continue
      one = more_is_better(kind) == !costs ? one / other : other / one
    }
    list[++count] = one
  }
  if (!count) return
  sort(list, count)
  middle_one = middle(list, count)
  verdict = "-"
  if (target[row] ~ /^>=/) verdict = middle_one >= substr(target[row], 4) + 0 ? "yes" : "no"
  if (target[row] ~ /^<=/) verdict = middle_one <= substr(target[row], 4) + 0 ? "yes" : "no"
  printf "%s\t%s\t%s\t%s\t%.4f\t%.4f\t%.4f\t%s\t%s\n", text[row],
    shown(kind, median_figure(kind, ours[row])), compared ? base_text[row] : "-",
    compared ? shown(kind, median_figure(kind, base[row])) : "-", middle_one, list[1], list[count],
    target[row], verdict
}

END { for (row = 1; row <= rows; row++) result(row) }
