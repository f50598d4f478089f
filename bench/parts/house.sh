# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Where the benchmarks live while they run, and how everything of theirs goes away again. Sourced by run.
# Everything has the one name weir-bench, so that a run finds what a killed one left:
#   CGROUP2/weir-bench/workloads   the agent's cgroup root: what is judged
#   CGROUP2/weir-bench/tools       the agent and what else must not be judged
#   /sys/fs/bpf/weir-bench         pinned programs and maps
#   /run/weir-bench                policies, logs, results, the owner's process id
# The network namespace has no name: it goes with its last process.

name=weir-bench who=bench agent=

die() {
  echo "bench: $1" >&2
  exit 1
}

. scripts/house.sh

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

move_in() {
  clear_place
  take_place
}

move_out() {
  local status=$?
  trap - EXIT INT TERM HUP
  [ -n "$opened" ] || exit $status
  [ $status = 0 ] || tail -n 30 $logs/*.log >&2 2>/dev/null || true
  leave_place $status 1
}
