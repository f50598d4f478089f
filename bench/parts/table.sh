# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What was measured, and how it is printed. Sourced by run. $home/results has lines "METRIC STATE ROUND VALUE".

# note METRIC STATE ROUND VALUE
note() { echo "$1 $2 $3 $4" >>$home/results; }

# Numbers, one a line, to "MEDIAN MIN MAX".
spread() {
  sort -g | awk '{ v[NR] = $1 } END { if (!NR) exit 1
    print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2), v[1], v[NR] }'
}

values() { awk -v metric="$1" -v state="$2" '$1 == metric && $2 == state { print $4 }' $home/results | spread; }

# ratios METRIC STATE TO: of STATE to TO in the same round, never across rounds.
ratios() {
  awk -v metric="$1" -v state="$2" -v to="$3" '$1 != metric { next }
    $2 == state { a[$3] = $4 }
    $2 == to { b[$3] = $4 }
    END { for (r in a) if (r in b) print a[r] / b[r] }' $home/results | spread
}

# Standard input "MEDIAN MIN MAX" as "1.23 (1.20-1.31)".
ratio_text() { awk '{ printf "%.2f (%.2f-%.2f)", $1, $2, $3 }'; }
# scaled DIVISOR DIGITS UNIT: the same with a unit.
scaled() { awk -v d="$1" -v n="$2" -v u="$3" '{ printf "%.*f %s (%.*f-%.*f)", n, $1 / d, u, n, $2 / d, n, $3 / d }'; }

title() { printf '\n%s\n' "$1"; }
row() {
  local line
  printf -v line '  %-48s %-23s %-23s %s' "$@"
  echo "${line%"${line##*[! ]}"}"
}

# limit MEDIAN LIMIT UNIT: what a row says about it.
limit() {
  awk -v value="$1" -v limit="$2" -v unit="$3" 'BEGIN {
    printf("limit %s %s%s", limit, unit, (value > limit ? ": ABOVE THE LIMIT" : "")) }'
}

# ratio_row TEXT METRIC STATE TO: p50 and p99 as ratios, and the p50 as it was.
ratio_row() {
  row "$1" "$(ratios "$2-p50" "$3" "$4" | ratio_text)" "$(ratios "$2-p99" "$3" "$4" | ratio_text)" \
    "$(values "$2-p50" "$3" | scaled 1000 1 us)"
}
