# What the awk programs of `./dev bench` share: medians, and numbers as people read them.

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

function human(number) {
  if (number == "-") return "–"
  if (number >= 1e9) return sprintf("%.2f G", number / 1e9)
  if (number >= 1e6) return sprintf("%.2f M", number / 1e6)
  if (number >= 1e4) return sprintf("%.1f k", number / 1e3)
  return sprintf(number < 100 ? "%.1f" : "%.0f", number)
}

function micros(number) {
  if (number == "-") return "–"
  if (number < 100) return sprintf("%.1f µs", number)
  return number >= 1e4 ? sprintf("%.1f ms", number / 1e3) : sprintf("%.0f µs", number)
}
