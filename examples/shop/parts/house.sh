# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Where the shop lives while it is open, and how everything of it goes away again. Sourced by run.
# Everything has the one name weir-shop, so that a run finds what a killed one left:
#   CGROUP2/weir-shop/workloads   the agent's cgroup root: what is judged
#   CGROUP2/weir-shop/tools       the agent and the helpers of this script: not judged
#   /sys/fs/bpf/weir-shop         pinned programs and maps
#   /run/weir-shop                policies, logs, the agent's run directory, the owner's process id

cgroup2=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
tree=$cgroup2/weir-shop root=$cgroup2/weir-shop/workloads tools=$cgroup2/weir-shop/tools
bpffs=/sys/fs/bpf/weir-shop
home=/run/weir-shop logs=/run/weir-shop/logs policies=/run/weir-shop/policies node=/run/weir-shop/agent
opened= workloads=()

die() {
  echo "shop: $1" >&2
  exit 2
}

# The 22nd field of stat tells a process from a later one with the same id; nothing for one that is dead and not reaped.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" && $1 != "X" { print $20 }'; }

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
  local seconds=$1 what=$2 until
  shift 2
  until=$((SECONDS + seconds + 1))
  until "$@"; do
    [ $SECONDS -lt $until ] || die "waited $seconds s in vain for $what"
    sleep 0.02
  done
}

# spawn LOG COMMAND...: in the background, among the tools, out of reach of the terminal's Ctrl-C; sets $spawned.
spawn() {
  local log=$logs/$1
  shift
  sh -c 'echo $$ >"$0/cgroup.procs" && exec setsid "$@"' "$tools" "$@" >>"$log" 2>&1 </dev/null &
  spawned=$!
  disown $spawned # the shell must not report its end
}

unpopulated() { ! [ -e "$tree" ] || grep -q 'populated 0' "$tree/cgroup.events"; }

# Kills what runs in the shop's cgroups, detaches the programs, removes cgroups, pins and files.
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
    die "another run is open (process $owner); stop it first"
  fi
  [ -z "$(ls -d "$tree" $bpffs $home 2>/dev/null)" ] || echo "shop: closing what a killed run left"
  close
  local port taken
  for port in "$@"; do
    taken=$(ss -Hltnp "sport = :$port")
    [ -z "$taken" ] || die "port $port is taken: $(tr -s ' ' <<<"$taken" | cut -d ' ' -f 4,6)"
  done
  opened=yes
  mkdir -p $home $logs $policies $node $home/web
  echo "$$ $(start_time $$)" >$home/owner
  mkdir "$tree" "$root" "$tools"
}

# On every way out. The programs get a chance to end by themselves first, so that `weir run` is seen to tidy up.
move_out() {
  local status=$?
  trap - EXIT INT TERM HUP
  [ -n "$opened" ] || exit $status
  if [ ${#workloads[@]} -gt 0 ]; then
    kill -TERM "${workloads[@]}" 2>/dev/null || true
    for _ in {1..100}; do kill -0 "${workloads[@]}" 2>/dev/null || break; sleep 0.02; done
  fi
  [ $status -lt 2 ] || tail -n 20 $logs/agent.log >&2 2>/dev/null || true
  close
  if [ -n "$(ls -d "$tree" $bpffs $home 2>/dev/null)" ]; then
    echo "shop: could not remove $(ls -d "$tree" $bpffs $home 2>/dev/null | tr '\n' ' ')" >&2
    status=2
  fi
  exit $status
}
