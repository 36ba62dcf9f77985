# Checks the sources named as arguments (from the repository's root) against the rules of the house
# that no compiler knows. Prints one line per finding; exits with 1 if there is any. Plain awk:
# mawk, the one in Debian's base system, takes it.
#
#   * Files of at most 500 lines (800 in tests), functions of at most 70.
#   * A comment at the top (a .cc file may leave it to its header, a test to the names of its
#     cases); #pragma once in headers.
#   * Includes are written from the root and only point downwards in the order of layers.
#   * The engine and ngx_module/api include neither nginx's headers nor each other's wrong way round.
#   * No sleep for a guess, no note for later, no test that is switched off.

BEGIN {
  # An engine folder may include itself and every folder of a lower rank.
  rank["base"] = 0
  rank["platform"] = rank["record"] = 1
  rank["shm"] = 2
  rank["table"] = rank["wal"] = 3
  rank["checkpoint"] = 4
  rank["recovery"] = 5
  rank["replication"] = 6
  rank["committer"] = 7
  rank["client"] = rank["store"] = 8
  rank["tools"] = 9
}

function finding(line, text) {
  printf "%s:%d: %s\n", file, line, text
  findings++
}

function engine_folder(path, parts) {
  split(path, parts, "/")
  return parts[2]
}

# Whether the file is the implementation of a header, whose comment then speaks for both.
function described_by_header(header, line) {
  header = file
  if (!sub(/\.cc$/, ".h", header)) return 0
  line = ""
  getline line < header
  close(header)
  return line ~ /^\/\//
}

function end_of_file() {
  if (file == "") return
  if (lines > line_limit) finding(lines, "file of " lines " lines; at most " line_limit)
  if (file ~ /\.h$/ && !has_pragma) finding(1, "header without #pragma once")
}

FNR == 1 {
  end_of_file()
  file = FILENAME
  line_limit = file ~ /^tests\// ? 800 : 500
  has_pragma = 0
  opened_at = 0
  loop_at = 0
  if ($0 !~ /^\/\// && file !~ /_test\.cc$/ && !described_by_header()) {
    finding(1, "no comment at the top that says what the file is")
  }
}

{ lines = FNR }

/^#pragma once/ { has_pragma = 1 }

/(^|[^A-Za-z_])(TODO|FIXME|XXX|HACK)([^A-Za-z_]|$)/ { finding(FNR, "note for later") }
/(^|[^A-Za-z_])(for|while|do)( |$)/ { loop_at = FNR }
/(^|[^A-Za-z_])(sleep_for|sleep_until|usleep|nanosleep|ngx_msleep)\(|[^.>:A-Za-z_]sleep\([0-9]/ {
  # A test may pause between two looks at a condition; what makes races likely does nothing else.
  if (file !~ /^tests\/preload\// && (file !~ /^tests\// || !loop_at || FNR - loop_at > 10)) {
    finding(FNR, "sleeps; wait for a condition with a deadline")
  }
}
/DISABLED_|GTEST_SKIP\(\);/ { finding(FNR, "test that is switched off without a reason") }

/^#include/ { check_include($2) }

# Functions: what begins at the margin and ends with a brace at the margin.
/^[A-Za-z_~].*/ && !/^(namespace|extern "C"|using|typedef|public:|private:|protected:)/ {
  if (!opened_at || !in_braces) { opened_at = FNR; opener = $0; in_braces = 0 }
}
opened_at && /\{[ \t]*(\/\/.*)?$/ { in_braces = 1 }
/^\}/ {
  if (opened_at && in_braces && opener !~ /^(template.*)?(class|struct|enum|union) / &&
      FNR - opened_at + 1 > 70) {
    finding(opened_at, "function of " FNR - opened_at + 1 " lines; at most 70")
  }
  opened_at = 0
  in_braces = 0
}

function check_include(target, from, to) {
  if (target ~ /^</) {
    if (target ~ /^<ngx_/ && file !~ /^ngx_module\/[^\/]*$/) finding(FNR, "includes nginx's " target)
    return
  }
  gsub(/"/, "", target)
  if (target !~ /^(engine|ngx_module|tests)\//) {
    finding(FNR, "include not written from the root: " target)
    return
  }
  if (file ~ /^engine\//) {
    from = engine_folder(file)
    to = engine_folder(target)
    if (!(from in rank)) { finding(FNR, "folder without a layer: engine/" from); return }
    # The tool shows and takes records as the API does: JSON without HTTP and nginx.
    if (from == "tools" && target ~ /^ngx_module\/api\//) return
    if (target !~ /^engine\//) { finding(FNR, "the engine includes " target); return }
    if (!(to in rank)) { finding(FNR, "folder without a layer: engine/" to); return }
    if (from != to && rank[to] >= rank[from]) {
      finding(FNR, "engine/" from " includes upwards or sideways: " target)
    }
  } else if (file ~ /^ngx_module\/api\//) {
    if (target ~ /^ngx_module\/[^\/]*$/ || target ~ /^tests\//) {
      finding(FNR, "ngx_module/api includes upwards: " target)
    }
  } else if (file ~ /^ngx_module\// && target ~ /^(tests|engine\/tools)\//) {
    finding(FNR, "the module includes " target)
  }
}

END {
  end_of_file()
  if (findings) exit 1
}
