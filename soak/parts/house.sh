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

cgroup2=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
name=${SOAK_NAME:-weir-soak} # another one for a run beside this one
tree=$cgroup2/$name root=$cgroup2/$name/workloads tools=$cgroup2/$name/tools seat=$cgroup2/$name/agent
bpffs=/sys/fs/bpf/$name
home=/run/$name logs=/run/$name/logs node=/run/$name/agent policies=/run/$name/policies
opened= agent= part=

die() {
  echo "soak: ${part:+$part: }$1" >&2
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
gone() { ! kill -0 "$1" 2>/dev/null; }
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
launcher=() agent_options=()

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

unpopulated() { ! [ -e "$1" ] || grep -q 'populated 0' "$1/cgroup.events"; }

# Kills what runs in the cgroups, detaches the programs, removes cgroups, pins and files.
close() {
  if [ -d "$tree" ]; then
    echo 1 >"$tree/cgroup.kill"
    for _ in {1..250}; do unpopulated "$tree" && break || sleep 0.02; done
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
  [ -z "$(ls -d "$tree" $bpffs $home 2>/dev/null)" ] || echo "soak: removing what a killed run left"
  close
  opened=yes
  mkdir -p $home $logs $node $policies
  echo "$$ $(start_time $$)" >$home/owner
  mkdir "$tree" "$root" "$tools" "$seat"
}

move_out() {
  local status=$?
  trap - EXIT INT TERM HUP
  [ -n "$opened" ] || exit $status
  [ $status = 0 ] || tail -n 30 $logs/*.err >&2 2>/dev/null || true
  summary || status=1
  [ -z "${SOAK_KEEP:-}" ] || cp -r $home "$SOAK_KEEP"
  close
  if [ -n "$(ls -d "$tree" $bpffs $home 2>/dev/null)" ]; then
    echo "soak: could not remove $(ls -d "$tree" $bpffs $home 2>/dev/null | tr '\n' ' ')" >&2
    status=1
  fi
  exit $status
}
