# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A place that a script makes for itself, so that everything of it goes away again, also what a killed run left. Sourced by
# the house.sh of bench, soak and examples/shop, which set first:
#   name     of everything: the cgroup $tree, the pins in $bpffs, the files in $home
#   who      what the script calls itself in messages; and a function die, which says its argument and ends
#   weir     the binary

cgroup2=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
tree=$cgroup2/$name root=$cgroup2/$name/workloads tools=$cgroup2/$name/tools
bpffs=/sys/fs/bpf/$name
home=/run/$name logs=/run/$name/logs node=/run/$name/agent
opened=

# The 22nd field of stat tells a process from a later one with the same id; nothing for one that is dead and not reaped.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" && $1 != "X" { print $20 }'; }

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

gone() { ! kill -0 "$1" 2>/dev/null; }
unpopulated() { ! [ -e "$1" ] || grep -q 'populated 0' "$1/cgroup.events"; }

# What is there of it.
remains() { ls -d "$tree" $bpffs $home 2>/dev/null | tr '\n' ' '; }

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

# Closes what an earlier run left if it is dead.
clear_place() {
  local owner started
  if read -r owner started 2>/dev/null <$home/owner && [ "$(start_time "$owner")" = "$started" ]; then
    die "another run is under way (process $owner); wait for it, or stop it first"
  fi
  [ -z "$(remains)" ] || echo "$who: removing what a killed run left"
  close
}

# take_place DIRECTORY...: from here on it is this run's.
take_place() {
  opened=yes
  mkdir -p $home $logs $node "$@"
  echo "$$ $(start_time $$)" >$home/owner
  mkdir "$tree" "$root" "$tools"
}

# leave_place STATUS FAILED: the last thing a run does; exits with the status, or with FAILED where something could not be
# removed.
leave_place() {
  local status=$1
  close
  if [ -n "$(remains)" ]; then
    echo "$who: could not remove $(remains)" >&2
    status=$2
  fi
  exit "$status"
}
