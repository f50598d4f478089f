# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Where the benchmarks live while they run, and how everything of theirs goes away again. Sourced by run.
# Everything has the one name weir-bench, so that a run finds what a killed one left:
#   CGROUP2/weir-bench/workloads   the agent's cgroup root: what is judged
#   CGROUP2/weir-bench/tools       the agent and what else must not be judged
#   /sys/fs/bpf/weir-bench         pinned programs and maps
#   /run/weir-bench                policies, logs, results, the owner's process id
# The network namespace has no name: it goes with its last process.

cgroup2=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
tree=$cgroup2/weir-bench root=$cgroup2/weir-bench/workloads tools=$cgroup2/weir-bench/tools
bpffs=/sys/fs/bpf/weir-bench
home=/run/weir-bench logs=/run/weir-bench/logs node=/run/weir-bench/agent
opened= agent=

die() {
  echo "bench: $1" >&2
  exit 1
}

# The 22nd field of stat tells a process from a later one with the same id.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
  local seconds=$1 what=$2 until
  shift 2
  until=$((SECONDS + seconds + 1))
  until "$@"; do
    [ $SECONDS -lt $until ] || die "waited $seconds s in vain for $what"
    sleep 0.01
  done
}

# within CGROUP COMMAND...: runs it there.
within() {
  local cgroup=$1
  shift
  sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cgroup" "$@"
}

# spawn CGROUP LOG COMMAND...: in the background, out of reach of the terminal's Ctrl-C; sets $spawned.
spawn() {
  local cgroup=$1 log=$logs/$2
  shift 2
  sh -c 'echo $$ >"$0/cgroup.procs" && exec setsid "$@"' "$cgroup" "$@" >>"$log" 2>&1 </dev/null &
  spawned=$!
  disown $spawned # the shell must not report its end
}

ready() { curl -sf -o /dev/null --noproxy '*' http://127.0.0.1:$metrics/readyz; }
gone() { ! kill -0 "$1" 2>/dev/null; }

# start_agent POLICIES: returns when a generation is in force. $home/exec has the moment of its exec.
start_agent() {
  rm -f $home/exec
  spawn "$tools" agent.log "$ping" stamp $home/exec "$weir" agent --policies "$1" --cgroup-root "$root" \
    --bpffs $bpffs --run-dir $node --metrics 127.0.0.1:$metrics
  agent=$spawned
  await "${ready_seconds:-30}" "the agent to be ready (its log: $logs/agent.log)" ready
}

# What it enforces stays.
stop_agent() {
  [ -n "$agent" ] || return 0
  kill -TERM "$agent"
  await 10 "the agent to end" gone "$agent"
  agent=
}

# Nothing of weir is left in the kernel.
without_weir() {
  stop_agent
  [ ! -d $bpffs ] || "$weir" detach --bpffs $bpffs >/dev/null
}

unpopulated() { ! [ -e "$tree" ] || grep -q 'populated 0' "$tree/cgroup.events"; }

# Kills what runs in the cgroups, detaches the programs, removes cgroups, pins and files.
close() {
  if [ -d "$tree" ]; then
    echo 1 >"$tree/cgroup.kill"
    for _ in {1..250}; do unpopulated && break || sleep 0.02; done
  fi
  if [ -d $bpffs ]; then
    "$weir" detach --bpffs $bpffs >/dev/null 2>&1 || true
    rm -rf $bpffs # a pin is a file; this is all that is left to do where detach could not
  fi
  [ ! -d "$tree" ] || find "$tree" -depth -type d -exec rmdir {} \;
  rm -rf $home
}

# Closes what an earlier run left if it is dead; takes the place.
move_in() {
  local owner started
  if read -r owner started 2>/dev/null <$home/owner && [ "$(start_time "$owner")" = "$started" ]; then
    die "another run is under way (process $owner); wait for it"
  fi
  [ -z "$(ls -d "$tree" $bpffs $home 2>/dev/null)" ] || echo "bench: removing what a killed run left"
  close
  opened=yes
  mkdir -p $home $logs $node
  echo "$$ $(start_time $$)" >$home/owner
  mkdir "$tree" "$root" "$tools"
}

move_out() {
  local status=$?
  trap - EXIT INT TERM HUP
  [ -n "$opened" ] || exit $status
  [ $status = 0 ] || tail -n 30 $logs/*.log >&2 2>/dev/null || true
  close
  if [ -n "$(ls -d "$tree" $bpffs $home 2>/dev/null)" ]; then
    echo "bench: could not remove $(ls -d "$tree" $bpffs $home 2>/dev/null | tr '\n' ' ')" >&2
    status=1
  fi
  exit $status
}
