# Reads lines "number, file:line, mutant, survived | found, test", tab-separated, and writes the
# report of `./dev mutate`. reasons: names of mutants, each followed by indented lines that say why
# no test can find it; lines that begin with "!" are comments.

BEGIN {
  while ((getline line < reasons) > 0) {
    if (line ~ /^!/ || line == "") continue
    if (line ~ /^ /) {
      sub(/^ +/, "", line)
      reason[name] = reason[name] (reason[name] == "" ? "" : " ") line
    } else {
      name = line
      reason[name] = ""
    }
  }
}

{
  total++
  kind = $3
  sub(/ .*/, "", kind)
  kinds[kind]++
  if ($4 == "found") {
    found++
    found_of[kind]++
    printf "found     %-40s %s\n          by %s\n", $2, $3, $5
    if ($3 in reason) wrong = wrong "  " $3 "\n"
  } else if (reason[$3] != "") {
    explained++
    printf "survived  %-40s %s\n          because: %s\n", $2, $3, reason[$3]
  } else {
    open = open "  " $2 "  " $3 "\n"
    printf "SURVIVED  %-40s %s\n", $2, $3
  }
}

END {
  if (open != "") printf "\nNo test finds, and no reason is given for:\n%s", open
  if (wrong != "") printf "\nA reason is given, but a test finds:\n%s", wrong
  printf "\n"
  for (kind in kinds) printf "%-8s %4d of %4d found\n", kind, found_of[kind], kinds[kind]
  printf "%d mutants, %d found, %d survived with a reason, %d without\n", \
    total, found, explained, total - found - explained
  exit open != "" || wrong != ""
}
