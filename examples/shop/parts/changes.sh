# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What happens when a file changes, when a file is wrong, and when the agent dies. Sourced by run.

# replace FILE NAME: puts a policy file in the place of another in one step; sets $changed.
replace() {
  cp "$1" "$policies/.$2"
  changed=$EPOCHREALTIME
  mv "$policies/.$2" "$policies/$2"
}

milliseconds() { awk -v from="$1" -v to="$2" 'BEGIN { printf "%.1f", (to - from) * 1000 }'; }

heading "One file changes while a connection is open: the API may no longer reach the database"
before=$(generation)
sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$root/shop/api" python3 "$shop/hold.py" 127.0.0.1 $db 5 >$logs/hold &
holder=$!
await 3 "a connection from api to db" grep -q opened $logs/hold
sleep 0.2
replace "$shop/changes/api-without-db.yaml" api.yaml
wait $holder || true
read -r _ ended answers why < <(tail -n 1 $logs/hold)
cut=cut
[ "$why" != "it was never cut" ] || cut=$why
row "api -> db, the open connection" cut "$cut" \
  "$(milliseconds "$changed" "$ended") ms after the change and $answers answers: $why"
await 3 "the new generation" newer_than "$before"
try "api -> db, a new connection" "$refused_here" shop/api shop/db redis "$root/shop/api" 127.0.0.1
try "outsider -> web -> api -> db" 503 shop/api shop/db http outside/outsider GET $url:$web/stock/apple
before=$(generation)
replace "$shop/policies/api.yaml" api.yaml
await 3 "the next generation" newer_than "$before"
try "api -> db, the file is back" PONG shop/api shop/db redis "$root/shop/api" 127.0.0.1
try "outsider -> web -> api -> db" 200 outside/outsider shop/web http outside/outsider GET $url:$web/stock/apple

heading "A file is wrong: nothing that is enforced changes"
before=$(generation)
replace "$shop/changes/db-broken.yaml" db.yaml
await 3 "the agent to reject the file" rejects_something
"$weir" check $policies 2>&1 | sed 's/^/       weir check: /' || true
row "the generation in force" "$before" "$(generation)" "$(status | jq -r '.problems[0] | "weir status: \(.file | split("/") | last):\(.line):\(.column): \(.field)"')"
try "outsider -> db" "$refused_there" outside/outsider shop/db redis "$root/outside/outsider" 127.0.0.1
try "api -> db" PONG shop/api shop/db redis "$root/shop/api" 127.0.0.1
replace "$shop/policies/db.yaml" db.yaml
nothing_rejected() { ! rejects_something; }
await 3 "the agent to take the file again" nothing_rejected

heading "The agent is killed (kill -9): what is enforced stays enforced"
before=$(generation)
kill -KILL "$agent"
await 3 "the agent to be gone" gone "$agent"
dead=yes
try "outsider -> web -> api -> db" 200 - - http outside/outsider GET $url:$web/stock/apple
try "outsider -> db" "$refused_there" - - redis "$root/outside/outsider" 127.0.0.1
try_proxied "batch -> api, GET /public/apple" 200 http shop/batch GET $url:$api/public/apple
try_proxied "batch -> api, GET /stock/apple" 403 http shop/batch GET $url:$api/stock/apple
start_agent
dead=
now=$(generation)
row "the agent is back and in force" yes "$([ "$now" -ge "$before" ] && echo yes || echo no)" "generation $before then, $now now"
try "outsider -> db" "$refused_there" outside/outsider shop/db redis "$root/outside/outsider" 127.0.0.1
try "api -> db" PONG shop/api shop/db redis "$root/shop/api" 127.0.0.1
