# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# One attempt is one row: who tried what, what was expected, what the client saw, what weir says. Sourced by run.

rows=0 failed=0 skipped=0

heading() {
  printf '\n%s\n%-6s %-46s %-24s %-24s %s\n' "$1" '' ATTEMPT EXPECTED SEEN "WEIR'S REASON"
}

# row ATTEMPT EXPECTED SEEN REASON
row() {
  local mark=ok
  rows=$((rows + 1))
  if [ "$3" = 'not run' ]; then
    mark=- skipped=$((skipped + 1))
  elif [ "$2" != "$3" ]; then
    mark=FAIL failed=$((failed + 1))
  fi
  printf '%-6s %-46s %-24s %-24s %s\n' "$mark" "$1" "$2" "$3" "$4"
}

# within CGROUP COMMAND...: as a process of that workload, which is what entering a container is.
within() {
  sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$@"
}

# What curl says of one request: the status code, or the error of connect() in the system's words.
said_by_curl() {
  local said=$1 code
  code=$(tail -n 1 <<<"$said")
  if [ "$code" != 000 ]; then echo "$code"; return; fi
  if grep -qi 'timed out' <<<"$said"; then echo 'no answer'; return; fi
  sed -nE 's/^\* (connect to|Immediate connect fail) .*: (.*)$/\2/p' <<<"$said" | head -n 1
}

request=(curl -sv -o /dev/null -w '%{http_code}\n' --noproxy '*' --connect-timeout 2 --max-time 5)

# http WORKLOAD METHOD URL
http() { said_by_curl "$(within "$root/$1" "${request[@]}" -X "$2" "$3" 2>&1)"; }

# job NAME METHOD URL: not in a workload that is there, but as a new one that lives for one request.
job() {
  said_by_curl "$("$weir" run --run-dir $node --name "$1" --label app=batch --service-account batch -- \
    "${request[@]}" -X "$2" "$3" 2>&1)"
}

# redis CGROUP HOST: PONG, or the error in redis-cli's words.
redis() {
  local said
  said=$(within "$1" timeout 2 redis-cli -h "$2" -p $db ping 2>&1) || [ $? != 124 ] || said='no answer'
  echo "${said##*: }"
}

# reason FROM TO OFFSET: what `weir flows` reported of FROM and TO (- is any) since it had OFFSET bytes. A refusal says
# more than a permission, so it comes first.
reason() {
  local said
  for _ in {1..50}; do
    said=$(tail -c "+$(($3 + 1))" $logs/flows.json | jq -rR --arg from "$1" --arg to "$2" '
      fromjson? | select(.source == $from and (.destination == $to or $to == "-"))
      | [if .verdict == "denied" then 0 elif .verdict == "proxied" then 1 else 2 end,
         " \(.layer): \(.reason)", if .rule then ", \(.rule)" else empty end,
         if .place then " (\(.place | split("/") | last))" else empty end] | join("")' 2>/dev/null |
      sort -s -n -k 1,1 | head -n 1)
    [ -z "$said" ] || break
    sleep 0.02
  done
  echo "${said:2}"
}

# try ATTEMPT EXPECTED FROM TO COMMAND...: the kernel decides, or lets it go to the proxy.
try() {
  local attempt=$1 expected=$2 from=$3 to=$4 seen offset
  shift 4
  offset=$(stat -c %s $logs/flows.json)
  seen=$("$@") || true
  row "$attempt" "$expected" "${seen:-nothing}" "$([ -n "$dead" ] && echo '(the agent is dead)' || reason "$from" "$to" "$offset")"
}

# try_proxied ATTEMPT EXPECTED COMMAND...: Envoy decides; its access log names the rule.
try_proxied() {
  local attempt=$1 expected=$2 seen offset said=
  shift 2
  if [ -z "$envoy" ]; then row "$attempt" "$expected" 'not run' 'there is no Envoy'; return; fi
  offset=$(stat -c %s "$access_log" 2>/dev/null || echo 0)
  seen=$("$@") || true
  for _ in {1..100}; do
    said=$(tail -c "+$((offset + 1))" "$access_log" 2>/dev/null | tail -n 1 | jq -r '"envoy: " + ([.verdict, .rule] | map(strings) | join(", "))' 2>/dev/null)
    [ -z "$said" ] || break
    sleep 0.02
  done
  row "$attempt" "$expected" "${seen:-nothing}" "$said"
}
