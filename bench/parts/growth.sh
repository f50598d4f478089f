# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Section 5: how the time to read and compile grows. Sourced by run.

for count in 10 100 1000; do many_files $home/many-$count $count $echo_port; done
for round in $(seq "$rounds"); do
  for count in $(shuf -e 10 100 1000); do
    took=$($ping time "$weir" check $home/many-$count) || die "weir check did not work on $count policies"
    note check $count "$round" "$took"
  done
done

title "5. weir check: N policies and N pods, read and compiled, with the start of the process"
row "" "time" "times the row above" ""
previous=
for count in 10 100 1000; do
  row "N = $count" "$(values check $count | scaled 1000000 1 ms)" \
    "$([ -z "$previous" ] || ratios check $count "$previous" | ratio_text)" ""
  previous=$count
done
