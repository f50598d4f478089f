# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Workloads that come and go, and policies that change, by the hundred thousand: in the end everything is as at the start.
# Sourced by run.

part=churn
workloads=${WORKLOADS:-$(scaled 100000)} changes=${CHANGES:-$(scaled 10000)} batch=${BATCH:-500}
batches=$(((workloads + batch - 1) / batch)) settle=5
[ $workloads -ge $batch ] || batch=$workloads
title "Churn: $workloads workloads made and removed, $batch at a time, and $changes policy changes"

# Names are new each time, labels repeat: so do pods of a Deployment. Each workload opens a connection that is allowed and
# tries one that is refused; between two batches a policy changes changes / batches times.
basic_files
for k in 0 1; do
  policy "$always $held $no_ingress $((egress_first + k))" "$always $no_egress $(seq -s ' ' $egress_first $((egress_first + 7)))" >$home/set-$k
done
mkdir -p "$root/soak/churn" $home/next
start_server $all_ports udp=$udp
start_agent

memory() { awk -v key="$1" '$1 == key ":" { print $2 }' "/proc/$agent/status"; }
descriptors() { ls "/proc/$agent/fd" | wc -l; }
# What the kernel holds: entries of tables and maps; the counters' apart, which outlive their workloads for some minutes.
entries() {
  # The least of a few looks: while the agent tries a flow, its canary has two entries.
  for _ in {1..5}; do
    ask | jq '[.maps[] | select(.name | IN("connections", "refusals", "events", "exchanges") | not).entries] | add'
    sleep 0.5
  done | sort -n | head -n 1
}
counters() { ask | jq '[.maps[] | select(.name | IN("connections", "refusals")).entries] | add'; }
objects() { "$soak/objects.py" $bpffs --after $home/objects-before | jq -c '[.pins, .links, .programs, .maps, (.strays | length)]'; }
has_workloads() { [ "$(ask | jq .workloads)" = "$1" ]; }

# flip_sets COUNT
flip_sets() { within "$tools" $load flip $policies/policies.yaml "$(current_pin)" "$1" pause=0 $home/set-0 $home/set-1; }
# The tables of the last four generations are kept: the same eight each time.
settle_down() {
  cp $home/set-1 $policies/policies.yaml && reload
  flip_sets 8 >/dev/null
  sleep $settle
}

# one_batch NUMBER: makes the workloads of a batch, lets them talk, and removes them.
one_batch() {
  local first=$(($1 * batch)) i
  for ((i = first; i < first + batch; i++)); do workload "w$i" "soak/churn/w$i" client; done >$home/next/churn.yaml
  "$load" churn make "$root/soak/churn" $first $batch
  mv $home/next/churn.yaml $policies/churn.yaml
  await 30 "a batch of workloads to be met" has_workloads $((2 + batch))
  within "$tools" $load churn talk "$root/soak/churn" $first $batch allowed=$always denied=$no_egress >>$home/talks
  "$load" churn remove "$root/soak/churn" $first $batch
  rm $policies/churn.yaml
  await 30 "a batch of workloads to be gone" has_workloads 2
}

# The first batches and changes are what makes buffers grow; then everything is as it stays.
"$soak/objects.py" $bpffs --all >$home/objects-before
counters_before=$(counters)
warm=$((batches / 20 + 1)) done=0 began=$SECONDS
[ $warm -lt $batches ] || warm=$((batches - 1))
for ((n = 0; n < batches; n++)); do
  [ $n != $warm ] || {
    settle_down
    memory_before=$(memory VmRSS) descriptors_before=$(descriptors) entries_before=$(entries) objects_before=$(objects)
  }
  one_batch $n
  part_of=$((changes * (n + 1) / batches - done))
  if [ $part_of -gt 0 ]; then
    cp $home/set-1 $policies/policies.yaml && reload
    flip_sets $part_of >>$home/flips
  fi
  done=$((done + part_of))
done
took=$((SECONDS - began))
# Counters and numbers of what is gone are taken back when two looks, a minute apart, found nobody who has them.
counters_then=$(counters)
back() { [ "$(counters || true)" -le "$counters_before" ] 2>/dev/null || [ $SECONDS -gt $((began + took + ${CHURN_WAIT:-200})) ]; }
await 300 "the counters of the gone to go" back
settle_down
say "generations; memory largest since the start" "$(generation); $(memory VmHWM) KiB"
say "rate, with what the workloads did" "$((batches * batch / (took > 0 ? took : 1))) workloads a second, $took s in all"
say "file to switch: median, p99, longest" "$(awk '{ print ($6 - $4) / 1e6 }' $home/flips | spread | awk '{ printf "%.0f, %.0f, %.0f ms", $1, $2, $3 }')"
claim "workloads made and removed; policy changes" "$((batches * batch)); $done" "$workloads; $changes" \
  [ $((batches * batch)) -ge $workloads -a $done = $changes ]
none "wrong verdicts of the workloads that came and went" "$(jq -s '[.[].wrong] | add' $home/talks)"
claim "resident memory, KiB: after $warm batches, at the end" "$memory_before, $(memory VmRSS)" "1.1 times" \
  at_most "$(memory VmRSS)" "$(awk -v m="$memory_before" 'BEGIN { print m * 1.1 }')"
claim "descriptors" "$(descriptors)" "$descriptors_before" [ "$(descriptors)" = "$descriptors_before" ]
claim "entries of tables and maps, at most" "$(entries)" "$entries_before" [ "$(entries)" -le "$entries_before" ]
claim "entries of the counters; at the end of the churn: $counters_then" "$(counters)" "$counters_before" [ "$(counters)" -le "$counters_before" ]
say "the file that says what numbers mean" "$(stat -c %s $node/numbers) bytes"
lost=$(ask | jq '.losses | .connections + .refusals')
say "connections and refusals that found their map full, and were counted as lost" "$lost"
claim "pins, links, programs, maps, held by nobody" "$(objects)" "$objects_before" [ "$(objects)" = "$objects_before" ]
