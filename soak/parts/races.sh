# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Start races: a process that connects in its first instruction in a cgroup that the agent has not met. Sourced by run.

part=races
races=${RACES:-$(scaled 1000)} a_time=50
title "Races: $races processes that connect in their first instruction in a new workload, half of them in a cgroup below it"

basic_files
mkdir -p "$root/soak/races"
cat >$policies/subtree.yaml <<END
apiVersion: weir.dev/v1alpha1
kind: Subtree
metadata: {name: races}
spec: {cgroup: soak/races, unidentified: refuse}
END
for i in $(seq 0 $((races - 1))); do workload "race$i" "soak/races/race$i" client; done >$policies/races.yaml
start_server $all_ports udp=$udp
start_agent
total=0 refused=0 judged=0 wrong=0 longest=0
for ((from = 0; from < races; from += a_time)); do
  count=$((races - from < a_time ? races - from : a_time))
  # From the agent's own cgroup: who starts a workload is none itself.
  within "$tools" $load race "$root/soak/races" $count first=$from parallel=5 nested=1 allowed=$always denied=$no_egress udp=$udp \
    wrong=$home/wrong log=$home/races >$home/round
  total=$((total + $(field $home/round .races))) refused=$((refused + $(field $home/round .refused)))
  judged=$((judged + $(field $home/round .judged))) wrong=$((wrong + $(field $home/round .wrong)))
  longest=$(field $home/round "[$longest, .longest_ms] | max")
done
reported=$(scrape | awk '/^weir_refused_total.*reason="unidentified"/ { sum += $NF } END { print sum + 0 }')
claim "races run, each met by the agent" "$total" "$races" [ "$total" = "$races" ]
say "attempts before the workload was identified; after" "$refused; $judged"
say "first attempt to identified: median, p99, longest" \
  "$(awk '$4 { print ($4 - $3) / 1e6 }' $home/races | spread | awk '{ printf "%.0f, %.0f, %.0f ms", $1, $2, $3 }')"
none "wrong verdicts, before or after" "$wrong"
show_wrong
claim "races that began before the workload was identified" "$(awk '$5 > 0' $home/races | wc -l)" "at least $((races * 9 / 10))" \
  [ "$(awk '$5 > 0' $home/races | wc -l)" -ge $((races * 9 / 10)) ]
claim "refusals that weir counted as unidentified" "$reported" "$refused" [ "$reported" = "$refused" ]
find "$root/soak/races" -mindepth 1 -depth -type d -exec rmdir {} \;
