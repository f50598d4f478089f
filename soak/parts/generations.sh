# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Generation after generation under load: every verdict is that of the generation in force, and what a generation
# forbids is gone at once. Sourced by run.

part=${across:-generations}
generations=${GENERATIONS:-$(scaled 1000)} connections=${HELD:-$(scaled 10000)} rounds=${ROUNDS:-$(scaled 10)}
title "Generations${across:+, across two network namespaces}: $generations in a row under load, with $connections connections open"

basic_files
[ -z "${across:-}" ] || second_namespace
egress_ports=$(seq -s ' ' $egress_first $((egress_first + 7)))
ingress_ports=$(seq -s ' ' $ingress_first $((ingress_first + 7)))
# Set k: of the eight egress ports only the k-th is open; of the eight ingress ports only the k-th is closed. No two sets
# agree on a port that is theirs, so a verdict says which sets it can be of.
sets=()
for k in {0..7}; do
  set=$home/set-$k
  policy "$always $held $no_ingress $((egress_first + k)) $ingress_ports" \
    "$always $held $no_egress $egress_ports ${ingress_ports/$((ingress_first + k))/}" >"$set"
  sets+=("$set")
done
cp "${sets[7]}" $policies/policies.yaml
start_server $all_ports ends=$home/server-ends ends-of=$held
start_agent
spawn "$root/soak/client" held $load hold "$connections" $held ${client_ends:-} ${more:-} ends=$home/held-ends
holder=$spawned
await 60 "$connections connections" grep -sq open $logs/held
# A few that each set forbids an eighth of.
spawn "$root/soak/client" changing $load hold 64 $ingress_ports ${client_ends:-} ${more:-} again=1 ends=$home/changing-ends
changing=$spawned
logged=()
for port in $egress_ports $ingress_ports; do logged+=("logged=$port" "allowed=$always" "egress=$no_egress" "ingress=$no_ingress"); done
spawn "$root/soak/client" client $load client ${client_ends:-} ${more:-} rate=${RATE:-6000} long=200 long-port=$always wrong=$home/wrong log=$home/records \
  "${logged[@]}"
client=$spawned
sleep 1
spent=$(agent_us)
within "$tools" $load flip $policies/policies.yaml "$(current_pin)" "$generations" pause=10 "${sets[@]}" >$home/switches ||
  die "a change did not come into force"
sleep 1
spent=$((($(agent_us) - spent) / generations))
finish "$client"
finish "$changing"
finish "$holder"
in_force=$(ask | jq .inForce)
"$soak/check.py" $egress_first $ingress_first $home/switches $home/records $home/changing-ends >$home/checked

say "file to switch: median, p99, longest" "$(field $home/checked '"\(.switch_ms | join(", ")) ms"')"
say "time that the agent had a CPU, a generation" "$(awk -v us=$spent 'BEGIN { printf "%.1f ms", us / 1000 }')"
claim "TCP connect()s a second; established" "$(field $logs/client '"\(.connects_a_second); \(.established)"')" "at least 5000" \
  at_least "$(field $logs/client .connects_a_second)" 5000
none "wrong verdicts where no set changes anything" "$(field $logs/client .wrong)"
show_wrong
say "verdicts where sets differ; begun and ended within one generation" "$(field $home/checked '"\(.verdicts); \(.within_one)"')"
none "verdicts of no generation in force during the connect()" "$(field $home/checked .wrong)"
none "of them not of the generation at its start or the next" "$(field $home/checked .neither)"
say "answered by neither a connection nor EPERM or EACCES" "$(field $home/checked .other)"
field $home/checked '.examples[]' | sed 's/^/    /'
claim "allowed connections that stayed open" "$(field $logs/client '.long - .long_broken')" 200 \
  [ "$(field $logs/client .long_broken)" = 0 ]
claim "idle allowed connections that stayed open" "$(field $logs/held .open)" "$connections" \
  [ "$(field $logs/held .open)" = "$connections" ]
claim "connections that a switch forbade and that ended" "$(field $home/checked .ended)" "at least $generations" \
  at_least "$(field $home/checked .ended)" "$generations"
claim "  longest after it" "$(field $home/checked '"\(.ended_ms[2]) ms"')" "100 ms" at_most "$(field $home/checked '.ended_ms[2]')" 100
say "  median, p99" "$(field $home/checked '.ended_ms | "\(.[0]), \(.[1]) ms"')"
none "connections that outlived a generation which forbade them" "$(field $home/checked .outlived)"
claim "the last set is in force" "$in_force" true [ "$in_force" = true ]

# All of them forbidden at once.
for figures in spent client-gone server-gone; do : >$home/$figures; done
policy "$always $held $no_ingress" "$always $no_egress" >$home/set-without
policy "$always $held $no_ingress" "$always $held $no_egress" >$home/set-with
for round in $(seq "$rounds"); do
  within "$tools" $load flip $policies/policies.yaml "$(current_pin)" 1 pause=0 $home/set-with $home/set-without >/dev/null
  rm -f $logs/held $home/held-ends
  : >$logs/held
  : >$home/server-ends
  spawn "$root/soak/client" held $load hold "$connections" $held ${client_ends:-} ${more:-} ends=$home/held-ends
  await 60 "$connections connections" grep -sq open $logs/held
  spent=$(agent_us)
  within "$tools" $load flip $policies/policies.yaml "$(current_pin)" 1 pause=0 $home/set-without $home/set-with >$home/switch
  sleep 0.5 # waiting with await would take from them what it measures
  await 30 "all connections to be gone" gone "$spawned"
  echo $((($(agent_us) - spent) / 1000)) >>$home/spent
  # Both ends, from the last moment at which the kernel still had the generation before.
  read -r _ _ _ _ before _ <$home/switch
  awk -v t="$before" '$1 == "end" { printf "%.1f\n", ($3 - t) / 1e6 }' $home/held-ends >>$home/client-gone
  awk -v t="$before" -v port=$held '$2 == port && $1 > t { printf "%.1f\n", ($1 - t) / 1e6 }' $home/server-ends >>$home/server-gone
done
say "time that the agent had a CPU for it: median, p99, longest" "$(spread <$home/spent | awk '{ printf "%d, %d, %d ms", $1, $2, $3 }')"
for end in client server; do
  read -r median tail most < <(spread <$home/$end-gone)
  ended=$(wc -l <$home/$end-gone)
  claim "$connections forbidden at once, $rounds times: gone at the $end's end" "$ended" $((connections * rounds)) \
    [ "$ended" = $((connections * rounds)) ]
  claim "  longest after it" "$most ms" "100 ms" at_most "$most" 100
  say "  median, p99" "$median, $tail ms"
done
