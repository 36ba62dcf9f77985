# Draws the results of `./dev bench` (bench_results.awk) as SVG: a bar for each ratio from 1 on, on a
# logarithmic scale, its spread as a thin line, the target as a mark. Readable on light and dark
# pages. Plain awk.

BEGIN {
  FS = "\t"
  kRowHeight = 22
  kLeft = 500
  kWidth = 400
  kRight = 90
  kTop = 58
  kLowest = 0.1
  kHighest = 100
}

$3 != "-" {
  rows++
  text[rows] = $1
  against[rows] = $3
  ratio[rows] = $5
  low[rows] = $6
  high[rows] = $7
  target[rows] = $8
  verdict[rows] = $9
}

function x(number) {
  if (number < kLowest) number = kLowest
  if (number > kHighest) number = kHighest
  return kLeft + kWidth * (log(number) - log(kLowest)) / (log(kHighest) - log(kLowest))
}

function escaped(string) {
  gsub(/`/, "", string)
  gsub(/&/, "\\&amp;", string)
  gsub(/</, "\\&lt;", string)
  return string
}

function grid(number, bottom) {
  printf "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" class=\"%s\"/>\n", x(number), kTop - 6, x(number),
    bottom, number == 1 ? "one" : "grid"
  printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" class=\"small\">%s</text>\n", x(number), kTop - 12, number
}

function bar(i, y, from, to, class) {
  y = kTop + (i - 1) * kRowHeight
  class = verdict[i] == "yes" ? "met" : verdict[i] == "no" ? "missed" : "plain"
  from = x(ratio[i] < 1 ? ratio[i] : 1)
  to = x(ratio[i] < 1 ? 1 : ratio[i])
  printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s <tspan class=\"small\">: %s</tspan></text>\n", kLeft - 10,
    y + 14, escaped(text[i]), escaped(against[i])
  printf "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" class=\"%s\"/>\n", from, y + 4,
    to - from < 1 ? 1 : to - from, kRowHeight - 9, class
  printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"spread\"/>\n", x(low[i]), y + 10.5,
    x(high[i]), y + 10.5
  if (target[i] != "") {
    printf "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" class=\"target\"/>\n", x(bound(target[i])), y + 1,
      x(bound(target[i])), y + kRowHeight - 2
  }
  printf "<text x=\"%d\" y=\"%d\" class=\"small\">%.2f %s</text>\n", kLeft + kWidth + 8, y + 14, ratio[i],
    sign(target[i])
}

function bound(target) { return substr(target, 4) + 0 }

function sign(target) {
  if (target == "") return ""
  return "(" (target ~ /^<=/ ? "≤ " : "≥ ") bound(target) ")"
}

END {
  width = kLeft + kWidth + kRight
  bottom = kTop + rows * kRowHeight
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n",
    width, bottom + 12, width, bottom + 12
  print "<title>small-db against its peers: ratios of ./dev bench</title>"
  print "<style>"
  print "text { font: 12px sans-serif; fill: #222 } .small { font-size: 11px; fill: #666 }"
  print ".met { fill: #2a9d8f } .missed { fill: #e07a3f } .plain { fill: #9aa5b1 }"
  print ".grid { stroke: #8884 } .one { stroke: #888 } .spread { stroke: #222 } .target { stroke: #c1121f; stroke-width: 2 }"
  print "@media (prefers-color-scheme: dark) {"
  print "  text { fill: #ddd } .small { fill: #aaa } .spread { stroke: #eee } .target { stroke: #ff6b6b } }"
  print "</style>"
  printf "<text x=\"%d\" y=\"18\" class=\"small\">%s</text>\n", kLeft - 10,
    "times better than … (≤: times the cost); line: lowest to highest round; mark: target"
  split("0.1 0.2 0.5 1 2 5 10 20 50 100", marks, " ")
  for (i = 1; i in marks; i++) grid(marks[i], bottom)
  for (i = 1; i <= rows; i++) bar(i)
  print "</svg>"
}
