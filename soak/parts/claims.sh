# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The claims, each with its figure and whether it held. Sourced by run. $home/claims has a line a claim, by tabs.

# scaled NUMBER: times SOAK_SCALE, one at least.
scaled() { awk -v n="$1" -v s="$scale" 'BEGIN { n *= s; printf "%d", n < 1 ? 1 : n }'; }

title() { printf '\n%s\n' "$1"; }
# say TEXT FIGURE: what is measured, and is no claim.
say() { printf '  %-66s %s\n' "$1" "$2"; }

# claim TEXT FIGURE LIMIT HELD...: HELD is a command; [ and (( too.
claim() {
  local text=$1 figure=$2 limit=$3 held="NOT HELD"
  shift 3
  if "$@"; then held=held; fi
  printf '%s\t%s\t%s\t%s\t%s\n' "$part" "$text" "$figure" "$limit" "$held" >>$home/claims
  printf '  %-66s %-22s %-18s %s\n' "$text" "$figure" "$limit" "$held"
}

# none TEXT NUMBER: a claim that must be zero.
none() { claim "$1" "$2" 0 [ "$2" = 0 ]; }

# at_least A B, at_most A B: of decimal numbers; what is none does not hold.
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a ~ /^[0-9.]+$/ && b ~ /^[0-9.]+$/ && a + 0 >= b + 0) }'; }
at_most() { at_least "$2" "$1"; }

# show_wrong [FILE]: the first lines of what was wrong.
show_wrong() { [ ! -s "${1:-$home/wrong}" ] || head -n 5 "${1:-$home/wrong}" | sed 's/^/    /'; rm -f "${1:-$home/wrong}"; }

# field FILE NAME: of the last line of JSON in a file.
field() { tail -n 1 "$1" | jq -r "$2"; }

# Numbers, one a line, to "MEDIAN P99 MOST".
spread() {
  sort -g | awk '{ v[NR] = $1 } END { if (!NR) { print "- - -"; exit }
    tail = int(NR * 0.99 + 0.5)
    print v[int((NR + 1) / 2)], v[(tail < 1 ? 1 : tail)], v[NR] }'
}

# Fails when something did not hold.
summary() {
  [ -s $home/claims ] || return 0
  printf '\nSummary: %s, finished %s\n' "$where" "$(date -u +%H:%M)"
  awk -F '\t' '{ printf "  %-12s %-66s %-22s %-18s %s\n", $1, $2, $3, $4, $5 }' $home/claims
  ! grep -q 'NOT HELD$' $home/claims
}
