# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Kills and upgrades of the agent under load: nothing gets through, nothing breaks, nothing is left. Sourced by run.

part=${across:-kills} # the part `across` is this one, with a server in another network namespace
kills=${KILLS:-$(scaled 200)} upgrades=${UPGRADES:-$(scaled 50)}
title "Kills${across:+, across two network namespaces}: $kills times SIGKILL at a random moment and a start at once, then $upgrades upgrades, under load"

# objects: what the kernel holds of weir, in one line of JSON; strays are held by nobody.
objects() { "$soak/objects.py" $bpffs --after $home/objects-before; }
# Once the agent's own descriptors are gone, and what the kernel frees later is free.
settled_objects() {
  for _ in {1..20}; do
    objects >$home/objects
    [ "$(jq '.strays | length' $home/objects)" != 0 ] || break
    sleep 0.5
  done
}
counts() { jq -c '[.pins, .links, .programs, .maps]' $home/objects; }
# TCP sockets in this namespace, without those that only wait for their time to be over.
sockets() { awk '/^TCP:/ { print $3 }' /proc/net/sockstat; }

"$soak/objects.py" $bpffs --all >$home/objects-before
basic_files
[ -z "${across:-}" ] || second_namespace
sockets_before=$(sockets)
for _ in {1..5}; do # the tables of the last four generations are kept
  start_agent
  stop_agent
done
settled_objects
counts_before=$(counts)
start_agent
generation_before=$(generation)
start_server $all_ports udp=$udp
spawn "$root/soak/client" client $load client ${client_ends:-} rate=${RATE:-8000} threads=8 long=200 long-port=$always wrong=$home/wrong \
  allowed=$always egress=$no_egress allowed=$always ${ingress_kind:-ingress}=$no_ingress allowed=$always udp-allowed=$udp allowed=$always \
  allowed=$held allowed=$always udp-egress=$no_egress
client=$spawned
sleep 1

for _ in $(seq "$kills"); do
  sleep "0.$(printf '%03d' $((RANDOM % 600)))"
  kill -KILL "$agent"
  await 10 "the killed agent to be gone" gone "$agent" # as a service manager does
  launch
done
await 30 "the agent to be ready after the last kill" ready

next=("$home/weir-a" "$home/weir-b")
cp "$weir" "${next[0]}"
cp "$next_weir" "${next[1]}"
for i in $(seq "$upgrades"); do
  stop_agent
  start_agent "${next[i % 2]}"
done
sleep 1
finish "$client"
starts=$(grep -c event=started $logs/agent.err || true)
crashes=$(grep -cE 'Fatal error|Crash|Backtrace|\*\*\* ' $logs/agent.err || true)
in_force=$(ask | jq .inForce)
lost=$(ask | jq -c .losses)
finish "$server"
stop_agent
settled_objects

say "generations: $generation_before at first, now $("$load" generation "$(current_pin)"), agents that got as far as \"started\"" "$starts"
say "connections and exchanges tried" "$(field $logs/client .attempts)"
claim "TCP connect()s a second; established" "$(field $logs/client '"\(.connects_a_second); \(.established)"')" "at least 5000" \
  at_least "$(field $logs/client .connects_a_second)" 5000
none "wrong verdicts" "$(field $logs/client .wrong)"
show_wrong
claim "allowed connections that stayed open" "$(field $logs/client '.long - .long_broken')" 200 \
  [ "$(field $logs/client .long_broken)" = 0 ]
say "bytes exchanged on them; the longest wait" "$(field $logs/client '"\(.long_exchanges); \(.long_slowest_ms) ms"')"
claim "the last agent is in force" "$in_force" true [ "$in_force" = true ]
none "agents that crashed" "$crashes"
say "events and counts that the programs could not keep" "$lost"
# A layout that has seen one generation only has no tables of the one before: that is fewer maps.
claim "pins, links, programs as after the first start; maps no more" "$(counts)" "$counts_before" \
  [ "$(jq -n "$(counts) as \$now | $counts_before as \$first | \$now[:3] == \$first[:3] and \$now[3] <= \$first[3]")" = true ]
none "BPF objects that nobody holds" "$(jq '.strays | length' $home/objects)"
none "TCP sockets left" "$(($(sockets) - sockets_before))"
without_weir
settled_objects
none "pins, links, programs and maps after weir detach" "$(jq '.pins + .links + .programs + .maps + (.strays | length)' $home/objects)"
