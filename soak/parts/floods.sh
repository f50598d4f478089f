# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Floods from one workload: another one's connections go on. Sourced by run.

part=floods
rounds=${ROUNDS:-$(scaled 9)} flood_rate=${FLOOD_RATE:-15000} measured=2
title "Floods from one workload, bounded to $flood_rate a second each: what another one keeps ($rounds rounds)"

# A flood costs a machine something without weir as well. So in each round the same is measured in four states, in a new
# order: with and without weir, with and without the flood. Kept is what is left of the connections beside the flood; the
# ratio is what is kept with weir, over what is kept without. All programs share a CPU in `together`; the flood has one of
# its own in `apart`, where there are two.
basic_files
mkdir -p "$root/soak/attacker"
workload attacker >>$policies/workloads.yaml
cat >>$policies/policies.yaml <<END
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: attacker, namespace: soak}
spec:
  podSelector: {matchLabels: {app: attacker}}
  policyTypes: [Egress]
  egress: [{ports: [{port: 9000, endPort: 9999, protocol: TCP}, {port: $always, protocol: TCP}, {port: $udp, protocol: UDP}]}]
END
mapfile -t cpus < <(awk '/^Cpus_allowed_list/ { n = split($2, list, ","); for (i = 1; i <= n; i++) {
  m = split(list[i], ends, "-"); for (c = ends[1]; c <= ends[m]; c++) print c } }' /proc/self/status)
near=${cpus[-1]} far=${cpus[0]}
start_server $all_ports udp=$udp
taskset -pc "$near" "$server" >/dev/null

# flood SECONDS CPU: refused connects to 40,000 ports, connects that are allowed to ports where nobody is, forged SYNs to a
# port that refuses and one that answers, datagrams that are refused and allowed.
flood() {
  local kind
  flooders=()
  for kind in "refused 20000 59999" "dead 9000 9999" "syn $always $no_egress" "udp $udp $((udp + 1000))"; do
    read -ra words <<<"$kind"
    spawn "$root/soak/attacker" flood-${words[0]} taskset -c "$2" $load flood "${words[@]}" rate=$((flood_rate / 4)) seconds="$1"
    flooders+=("$spawned")
  done
}

# The time that the flood itself had a CPU.
flood_us() { awk '$1 == "usage_usec" { print $2 }' "$root/soak/attacker/cpu.stat"; }

# measure STATE ROUND: connections a second that client gets through.
measure() {
  rm -f $logs/victim
  : >$logs/victim
  within "$root/soak/client" taskset -c "$near" $load client rate=0 threads=2 seconds=$measured allowed=$always \
    wrong=$home/wrong-${1%%-*} >$logs/victim
  echo "$1 $2 $(field $logs/victim .established) $(field $logs/victim .wrong)" >>$home/rates
}

for round in $(seq "$rounds"); do
  for state in $(shuf -e with without); do
    without_weir
    if [ $state = with ]; then start_agent; sleep 0.3; fi
    for beside in $(shuf -e quiet together apart); do
      spent=$(agent_us) flooded=$(flood_us)
      [ $beside = quiet ] || flood $((measured + 1)) "$([ $beside = together ] && echo "$near" || echo "$far")"
      [ $beside = quiet ] || sleep 0.3
      measure $state-$beside "$round"
      echo "$state-$beside $((($(agent_us) - spent) / 1000))" >>$home/agent-ms
      if [ $beside != quiet ]; then
        for flooder in "${flooders[@]}"; do await 10 "the flood to end" gone "$flooder"; done
        echo "$state-$beside $((($(flood_us) - flooded) / 1000))" >>$home/flood-ms
        for kind in refused dead syn udp; do echo "$state $(field $logs/flood-$kind .sent) $(field $logs/flood-$kind .failed)"; done >>$home/floods
      fi
    done
    if [ $state = with ]; then
      scrape >$home/scrape
      # A map that is full without its counter having moved. The tables of a generation are made as large as they must be.
      awk '/map="(workloads|addresses|cells|identities|proxies|pairs|ports|subtrees)"/ { next }
        /^weir_map_entries/ { entries[$1] = $2 } /^weir_map_max_entries/ { sub(/_max/, "", $1); most[$1] = $2 }
        /^weir_lost_total/ { lost += $2 }
        END { for (m in entries) if (entries[m] >= most[m]) { full++; names = names " " m }
          print full + 0, lost + 0, names }' $home/scrape >>$home/fills
      # Is what is refused to another workload still counted, by its name?
      before=$(awk '/^weir_refused_total/ && /source="soak\/client"/ { n += $NF } END { print n + 0 }' $home/scrape)
      within "$root/soak/client" $load probe $no_egress $no_ingress $no_egress $no_ingress >/dev/null
      after=$(scrape | awk '/^weir_refused_total/ && /source="soak\/client"/ { n += $NF } END { print n + 0 }')
      echo "$((after - before))" >>$home/still-counted
    fi
  done
done

# ratio OVER UNDER [OVER UNDER]: the median of the rounds' ratios, or of their ratios.
ratio() {
  awk -v a="$1" -v b="$2" -v c="${3:-}" -v d="${4:-}" '{ rate[$1, $2] = $3; rounds[$2] }
    END { for (r in rounds) if (rate[b, r] > 0) { x = rate[a, r] / rate[b, r]
      if (c != "" && rate[d, r] > 0 && rate[c, r] > 0) x /= rate[c, r] / rate[d, r]
      print x } }' $home/rates | sort -g | awk '{ v[NR] = $1 } END { printf "%.3f\n", v[int((NR + 1) / 2)] }'
}
median() { awk -v s="$1" -v t="$measured" '$1 == s { print $3 / t }' $home/rates | sort -g | awk '{ v[NR] = $1 } END { printf "%d\n", v[int((NR + 1) / 2)] }'; }
say "sent in all, with weir; without; of them failed at once" "$(awk '{ n[$1] += $2; f[$1] += $3 }
  END { printf "%d, %d; %d, %d", n["with"], n["without"], f["with"], f["without"] }' $home/floods)"
say "connections a second, nothing beside, with weir; without" "$(median with-quiet); $(median without-quiet)"
say "  ratio of the two" "$(ratio with-quiet without-quiet)"
for beside in together apart; do
  text="beside a flood on a CPU of its own"
  [ $beside = apart ] || text="beside a flood on the same CPU"
  say "connections a second $text, with weir; without" "$(median with-$beside); $(median without-$beside)"
  say "  ratio of the two" "$(ratio with-$beside without-$beside)"
  say "  kept of the quiet rate, with weir; without" "$(ratio with-$beside with-quiet); $(ratio without-$beside without-quiet)"
  say "  milliseconds of CPU that the flood used, with weir; without" "$(for state in with without; do
    awk -v s=$state-$beside '$1 == s { print $2 }' $home/flood-ms | spread | cut -d ' ' -f 1; done | paste -sd ';')"
  say "  milliseconds of CPU of the agent meanwhile" "$(awk -v s=with-$beside '$1 == s { print $2 }' $home/agent-ms | spread | cut -d ' ' -f 1)"
  kept=$(ratio with-$beside with-quiet without-$beside without-quiet)
  claim "kept $text, over what is kept without weir" "$kept" "at least 0.95" at_least "$kept" 0.95
done
say "connections of the other workload that failed without weir" "$(awk '/^without/ { n += $4 } END { print n + 0 }' $home/rates)"
none "wrong verdicts of the other workload" "$(awk '/^with-/ { n += $4 } END { print n + 0 }' $home/rates)"
show_wrong $home/wrong-with
silent=$(awk '$1 > 0 && $2 == 0' $home/fills | wc -l)
say "rounds after which a map was full: which, and what weir_lost_total said" "$(awk '$1 > 0 { print $3, $2 }' $home/fills | sort | tail -n 1 | grep . || echo none)"
none "floods after which a map was full and no counter said so" "$silent"
claim "refusals of the other workload counted after the flood (of 4)" "$(sort -n $home/still-counted | head -n 1)" 4 \
  [ "$(sort -n $home/still-counted | head -n 1)" = 4 ]
