# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Each bpf(2) call of an agent's life fails once: it recovers, or ends with one clear line, and what is enforced is the
# last good generation. Sourced by run.

part=faults
# A life: start with set 1, a change to set 2, a proxy beside it, stop. Set k opens the k-th egress port alone, so that four
# connect()s say which set is enforced. What was in force before is set 0 (warm), or nothing (cold).
commands=(MAP_CREATE MAP_LOOKUP_ELEM MAP_UPDATE_ELEM MAP_DELETE_ELEM MAP_GET_NEXT_KEY PROG_LOAD OBJ_PIN OBJ_GET
  PROG_ATTACH PROG_DETACH PROG_TEST_RUN PROG_GET_NEXT_ID MAP_GET_NEXT_ID PROG_GET_FD_BY_ID MAP_GET_FD_BY_ID
  OBJ_GET_INFO_BY_FD PROG_QUERY RAW_TRACEPOINT_OPEN BTF_LOAD BTF_GET_FD_BY_ID TASK_FD_QUERY MAP_LOOKUP_AND_DELETE_ELEM
  MAP_FREEZE BTF_GET_NEXT_ID MAP_LOOKUP_BATCH MAP_LOOKUP_AND_DELETE_BATCH MAP_UPDATE_BATCH MAP_DELETE_BATCH LINK_CREATE
  LINK_UPDATE LINK_GET_FD_BY_ID LINK_GET_NEXT_ID ENABLE_STATS ITER_CREATE LINK_DETACH PROG_BIND_MAP)
numbers=(1 12 22 7) turn=0
declare -A codes=([1]=EPERM [12]=ENOMEM [22]=EINVAL [7]=E2BIG)

basic_files
mkdir -p "$root/soak/proxy"
for k in 0 1 2; do
  policy "$always $no_ingress $((egress_first + k))" "$always $no_egress $(seq -s ' ' $egress_first $((egress_first + 7)))" >$home/fault-$k
done
cat >$home/fault-proxy <<END
apiVersion: weir.dev/v1alpha1
kind: Proxy
metadata: {name: envoy, namespace: soak}
spec: {type: Envoy, cgroup: soak/proxy, listen: {addresses: ["127.0.0.1"], port: 15006}}
END
start_server $all_ports

# put NAME FILE: by rename.
put() { cp "$2" $policies/.put && mv $policies/.put "$policies/$1"; }
# Which set the kernel enforces: 0 to 2, none (nothing is refused), or what was seen where it is no set at all.
enforced() {
  local seen
  seen=$(within "$root/soak/client" $load probe $always $no_egress $no_ingress $egress_first $((egress_first + 1)) $((egress_first + 2)))
  case $seen in
    "ok EPERM EACCES ok EPERM EPERM") echo 0 ;;
    "ok EPERM EACCES EPERM ok EPERM") echo 1 ;;
    "ok EPERM EACCES EPERM EPERM ok") echo 2 ;;
    "ok ok ok ok ok ok") echo none ;;
    *) echo "mixed: $seen" ;;
  esac
}

# live AT CODE: one life, with call AT failing. Sets $outcome to what is wrong, or recovered, exited, untouched.
live() {
  local good=$1 at=$2 code=$3 status=0 taken
  : >$logs/life
  rm -f $home/calls $policies/proxy.yaml
  put policies.yaml $home/fault-1
  sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$seat" env LD_PRELOAD=$home/fault.so FAULT_LOG=$home/calls FAULT_AT="$at" \
    FAULT_CODE="$code" "$weir" agent --policies $policies --cgroup-root "$root" --bpffs $bpffs --run-dir $node \
    --metrics 127.0.0.1:$metrics >>$logs/life 2>&1 &
  agent=$!
  settled() { gone $agent || grep -q 'event=\(generation-in-force\|not-in-force\|files-rejected\)' $logs/life; }
  # Where libbpf takes the kernel for one without BTF, the verifier needs half a minute.
  await 120 "the agent to start or to end" settled
  ! grep -q event=generation-in-force $logs/life || good=1
  if ! gone $agent; then
    put policies.yaml $home/fault-2
    reload && good=2 taken=2
    put proxy.yaml $home/fault-proxy
    reload && good=2 taken=2
  fi
  now=$(enforced)
  [ "$now" = "$good" ] || { outcome="enforced $now, last good $good"; return; }
  if ! gone $agent; then
    # The call failed once: now the same must go well. It may have been this one's.
    reload || reload || { outcome="does not recover"; return; }
    now=$(enforced)
    [ "$now" = 2 ] || { outcome="recovered, and enforces $now"; return; }
    kill -TERM $agent
  fi
  wait $agent || status=$?
  agent=
  lines=$(grep -vc '^time=' $logs/life || true)
  if [ $status -gt 2 ] || grep -qE 'Fatal error|Backtrace|\*\*\*' $logs/life; then
    outcome="crashed, status $status"
  elif [ $status = 0 ]; then
    outcome=recovered
    [ "$lines" = 0 ] || outcome="recovered, with $lines lines that are no log"
  else
    outcome=exited
    [ "$lines" = 1 ] || outcome="ended with $lines lines instead of one"
  fi
  [ "$(enforced)" = "$now" ] || outcome="enforced changed when the agent ended"
  grep -q injected $home/calls || outcome=untouched
}

# come_back: the next agent starts over what is there, and enforces set 0.
come_back() {
  put policies.yaml $home/fault-0
  rm -f $policies/proxy.yaml
  : >$logs/agent.err
  launch
  settled() { gone "$agent" || ready; }
  await 30 "the next agent to start or to end" settled
  if gone "$agent"; then
    outcome="the next agent does not start: $(tail -n 1 $logs/agent.err)"
    agent=
    "$weir" detach --bpffs $bpffs >/dev/null
    start_agent
  elif [ "$(enforced)" != 0 ]; then
    outcome="the next agent enforces $(enforced)"
  fi
  stop_agent
}

crashes=0 unclear=0 astray=0 stuck=0 recovered=0 exited=0 tried=0
for before in warm cold; do
  come_back
  [ $before = warm ] || without_weir
  live "$([ $before = warm ] && echo 0 || echo none)" 0 0
  total=$(wc -l <$home/calls)
  step=$(awk -v n="$total" -v most="${FAULTS:-$(scaled "$total")}" 'BEGIN { s = n / most; printf "%d", s < 1 ? 1 : s + 0.999 }')
  title "Faults, $before start: $total bpf(2) calls from start to stop, each step of $step fails once"
  for ((at = 1; at <= total; at += step)); do
    code=${numbers[turn++ % 4]}
    outcome=
    come_back
    [ $before = warm ] || without_weir
    live "$([ $before = warm ] && echo 0 || echo none)" "$at" "$code"
    if [ -n "$agent" ]; then # left alive by a check that failed
      kill -KILL "$agent" && wait "$agent" 2>/dev/null || true
      agent=
    fi
    read -r _ command type _ < <(grep injected $home/calls || echo "- 0 0 -")
    last=$(grep -v '^time=' $logs/life | tail -n 1 || true)
    [ -n "$last" ] || last=$(grep 'level=\(error\|warn\)' $logs/life | tail -n 1 || true)
    first=$outcome
    come_back
    [ "$outcome" = "$first" ] || stuck=$((stuck + 1))
    [ "$first" = untouched ] || tried=$((tried + 1))
    case $first in
      recovered) recovered=$((recovered + 1)) ;;
      exited) exited=$((exited + 1)) ;;
      untouched) ;;
      crashed*) crashes=$((crashes + 1)) ;;
      *lines*) unclear=$((unclear + 1)) ;;
      *) astray=$((astray + 1)) ;;
    esac
    printf '%s %s %s type %s %s: %s%s | %s\n' "$before" "$at" "${commands[command]}" "$type" "${codes[$code]}" "$first" \
      "$([ "$outcome" = "$first" ] || echo "; $outcome")" "$last" >>$home/faults
  done
done
grep -vE '(: (recovered|exited|untouched)) \|' $home/faults | cut -c -300 | sed 's/^/    /' || true
[ -z "${SOAK_FAULTS:-}" ] || cp $home/faults "$SOAK_FAULTS"
say "lives in which a call failed" "$tried"
claim "recovered, or ended with one clear line" "$recovered + $exited" "$tried" [ $((recovered + exited)) = $tried ]
none "crashes" "$crashes"
none "lines that are neither log nor the one line" "$unclear"
none "lives after which something else than the last good set was enforced" "$astray"
none "lives after which the next agent did not start, or enforced something else" "$stuck"
