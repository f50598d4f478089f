# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Where the soak lives while it runs, and how everything of it goes away again. Sourced by run.
# Everything has the one name weir-soak, so that a run finds what a killed one left:
#   CGROUP2/weir-soak/workloads   the agent's cgroup root: what is judged
#   CGROUP2/weir-soak/agent       the agent
#   CGROUP2/weir-soak/tools       what else must not be judged
#   /sys/fs/bpf/weir-soak         pinned programs and maps
#   /run/weir-soak                policies, logs, results, the owner's process id
# The network namespace has no name: it goes with its last process.

name=${SOAK_NAME:-weir-soak} who=soak # another name for a run beside this one
agent= part=

die() {
  echo "soak: ${part:+$part: }$1" >&2
  exit 1
}

. scripts/house.sh
seat=$tree/agent policies=$home/policies

# within CGROUP COMMAND...: runs it there.
within() {
  local cgroup=$1
  shift
  sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cgroup" "$@"
}

# spawn CGROUP OUT COMMAND...: in the background, out of reach of the terminal's Ctrl-C, its output to $logs/OUT and its
# errors to $logs/OUT.err; sets $spawned.
spawn() {
  local cgroup=$1 out=$logs/$2
  shift 2
  sh -c 'echo $$ >"$0/cgroup.procs" && exec setsid "$@"' "$cgroup" "$@" >>"$out" 2>>"$out.err" </dev/null &
  spawned=$!
  disown $spawned # the shell must not report its end
}

ready() { curl -sf -o /dev/null --noproxy '*' http://127.0.0.1:$metrics/readyz; }
# finish PID: ends it and waits for that.
finish() {
  kill -TERM "$1" 2>/dev/null || true
  await 15 "process $1 to end" gone "$1"
}

# launch [BINARY]: starts an agent and does not wait for it.
launch() {
  spawn "$seat" agent "${launcher[@]}" "${1:-$weir}" agent --policies $policies --cgroup-root "$root" --bpffs $bpffs \
    --run-dir $node --metrics 127.0.0.1:$metrics "${agent_options[@]}"
  agent=$spawned
}
# The share of the CPU that deploy/weir.slice gives: here each session is a group of its own (sched(7), autogroup).
launcher=(sh -c '{ echo -10 >/proc/self/autogroup; } 2>/dev/null; exec "$@"' sh) agent_options=()

# start_agent [BINARY]: returns when it answers that a generation is in force.
start_agent() {
  launch "$@"
  await 30 "the agent to be ready (its log: $logs/agent.err)" ready
}

# What it enforces stays.
stop_agent() {
  [ -n "$agent" ] || return 0
  finish "$agent"
  agent=
}

# Nothing of weir is left in the kernel.
without_weir() {
  stop_agent
  [ ! -d $bpffs ] || "$weir" detach --bpffs $bpffs >/dev/null
}

ask() { "$weir" status --run-dir $node -o json 2>/dev/null || true; }
generation() { ask | jq .generation; }
reload() { curl -sf -o /dev/null --noproxy '*' --unix-socket $node/weir.sock -X POST http://weir/reload; }
# The pinned map that has the generation in force; its directory is named for the layout.
current_pin() { ls -d $bpffs/v*/maps/current 2>/dev/null | tail -n 1; }
scrape() { curl -sf --noproxy '*' http://127.0.0.1:$metrics/metrics; }

# The time that the agent had a CPU, in us, also what threads used that have ended.
agent_us() { awk '$1 == "usage_usec" { print $2 }' "$seat/cpu.stat"; }

# start_server PORT...: on every port of the soak, in the workload server.
start_server() {
  spawn "$root/soak/server" server "${server_in[@]}" $load serve $server_ends "$@"
  server=$spawned
  await 5 "the server" grep -sq listening $logs/server
}

# empty: between two parts nothing of the first is left.
end_part() {
  without_weir
  echo 1 >"$root/cgroup.kill"
  await 5 "the workloads to end" unpopulated "$root"
  find "$root" -mindepth 1 -depth -type d -exec rmdir {} \;
  rm -rf $policies $node $logs
  mkdir -p $policies $node $logs
}

move_in() {
  clear_place
  take_place $policies
  mkdir "$seat"
}

move_out() {
  local status=$?
  trap - EXIT INT TERM HUP
  [ -n "$opened" ] || exit $status
  [ $status = 0 ] || tail -n 30 $logs/*.err >&2 2>/dev/null || true
  summary || status=1
  [ -z "${SOAK_KEEP:-}" ] || cp -r $home "$SOAK_KEEP"
  leave_place $status 1
}
