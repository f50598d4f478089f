# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Section 1: an agent that has nothing to do, and how it starts. Sourced by run.

idle=$home/idle
idle_files $idle
for i in {0..49}; do
  mkdir "$root/shop/w$i"
  spawn "$root/shop/w$i" workloads.log sleep infinity
done

# The time that all threads of the agent had a CPU, in ns; the ticks of /proc/PID/stat are too coarse.
cpu_time() { awk '{ sum += $1 } END { printf "%.0f\n", sum }' /proc/"$agent"/task/*/schedstat; }

start_agent $idle
sleep 2
before=$(cpu_time)
sleep $idle_seconds
note cpu idle 1 "$(awk -v ns=$(($(cpu_time) - before)) -v s=$idle_seconds 'BEGIN { print ns / s / 1e7 }')"
note memory idle 1 "$(awk '/^VmRSS/ { print $2 * 1024 / 1e6 }' /proc/"$agent"/status)"
note memory peak 1 "$(awk '/^VmHWM/ { print $2 * 1024 / 1e6 }' /proc/"$agent"/status)"
without_weir

# time_start STATE ROUND PORT: from exec of the agent to the first connect() to PORT that is refused.
time_start() {
  local probe
  within "$root/shop/w0" $ping until "$3" >$home/until &
  probe=$!
  sleep 0.05
  start_agent $idle
  wait $probe || die "$1: the agent says ready, and port $3 is not refused"
  read -r at without_answer <$home/until
  note start "$1" "$2" $((at - $(cat $home/exec)))
  unanswered=$((unanswered + without_answer))
}

attempts=0 passed=0 unanswered=0
for round in $(seq "$rounds"); do
  for state in $(shuf -e cold adopting); do
    without_weir
    if [ $state = cold ]; then
      time_start cold "$round" $kept_port
      continue
    fi
    # A rule is taken back while no agent runs, so that it shows when the new one is in force.
    extra_file $kept_port >$idle/extra.yaml
    start_agent $idle
    stop_agent
    rm $idle/extra.yaml
    rm -f $logs/watched
    spawn "$root/shop/w1" watched $ping watch $refused_port
    watcher=$spawned
    time_start adopting "$round" $kept_port
    kill "$watcher"
    await 5 "the watch of port $refused_port to end" gone "$watcher"
    read -r tried through <$logs/watched || die "the watch of port $refused_port did not work"
    attempts=$((attempts + tried)) passed=$((passed + through))
  done
done
without_weir
for i in {0..49}; do echo 1 >"$root/shop/w$i/cgroup.kill"; done

title "1. An agent with 50 workloads, a default deny and three policies with rules"
read -r median _ < <(values memory idle)
row "resident memory, nothing to do" "$(printf '%.1f MB' "$median")" "$(limit "$median" 25 MB)" \
  "largest since its start: $(values memory peak | awk '{ printf "%.1f MB", $1 }')"
read -r median _ < <(values cpu idle)
row "CPU over $idle_seconds s, nothing to do" "$(printf '%.3f %%' "$median")" "$(limit "$median" 0.1 %)" ""
for state in cold adopting; do
  text="exec to first refused connect(), nothing pinned"
  [ $state = cold ] || text="the same over programs that are pinned"
  read -r median _ < <(values start $state)
  row "$text" "$(values start $state | scaled 1000000 0 ms)" "$(limit $((median / 1000000)) 250 ms)" ""
done
row "let through while one agent replaced another" "$passed of $attempts" "" ""
row "connect()s under way at a switch left unanswered" "$unanswered in $((2 * rounds)) starts" "" ""
