# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Where the shop lives while it is open, and how everything of it goes away again. Sourced by run.
# Everything has the one name weir-shop, so that a run finds what a killed one left:
#   CGROUP2/weir-shop/workloads   the agent's cgroup root: what is judged
#   CGROUP2/weir-shop/tools       the agent and the helpers of this script: not judged
#   /sys/fs/bpf/weir-shop         pinned programs and maps
#   /run/weir-shop                policies, logs, the agent's run directory, the owner's process id

name=weir-shop who=shop workloads=()

die() {
  echo "shop: $1" >&2
  exit 2
}

. scripts/house.sh
policies=$home/policies

# spawn LOG COMMAND...: in the background, among the tools, out of reach of the terminal's Ctrl-C; sets $spawned.
spawn() {
  local log=$logs/$1
  shift
  sh -c 'echo $$ >"$0/cgroup.procs" && exec setsid "$@"' "$tools" "$@" >>"$log" 2>&1 </dev/null &
  spawned=$!
  disown $spawned # the shell must not report its end
}

# move_in PORT...: which must be free.
move_in() {
  clear_place
  local port taken
  for port in "$@"; do
    taken=$(ss -Hltnp "sport = :$port")
    [ -z "$taken" ] || die "port $port is taken: $(tr -s ' ' <<<"$taken" | cut -d ' ' -f 4,6)"
  done
  take_place $policies $home/web
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
  leave_place $status 2
}
