# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Section 4: an HTTP request, straight, through an Envoy that is dialled, and turned to Envoy by weir. Sourced by run.

title "4. GET on one HTTP connection to nginx"
listening() { [ -n "$(ss -Hltn "sport = :$1")" ]; }

# A new Envoy each time: connections that it keeps open to nginx would be strangers to programs attached later.
start_turned() {
  start_agent $home/http # Envoy wants its rules before it starts
  spawn "$root/shop/envoy" envoy.log taskset -c "$cpu" "$envoy" -c $home/envoy.json --disable-hot-restart \
    --reject-unknown-dynamic-fields --concurrency 1 --log-level warning
  turned=$spawned
  await 20 "Envoy" listening $proxy_port
}

stop_turned() {
  kill -TERM "$turned"
  await 10 "Envoy to end" gone "$turned"
}

measure_requests() {
  local round state
  http_files $home/http $proxy_port
  mkdir "$root/shop/api" "$root/shop/envoy" $home/nginx
  cat >$home/nginx.conf <<END
daemon off; master_process off; pid $home/nginx.pid; error_log stderr warn;
events {}
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path $home/nginx;
  server { listen 127.0.0.1:$http_port; location / { return 200 "fine\n"; } }
}
END
  spawn "$root/shop/api" nginx.log taskset -c "$cpu" nginx -p $home -c $home/nginx.conf -e stderr
  await 5 "nginx" listening $http_port

  "$weir" proxy bootstrap shop/envoy --policies $home/http --run-dir $node >$home/envoy.json 2>$logs/bootstrap
  direct_envoy $home/envoy.json $direct_port $http_port >$home/direct.json
  spawn "$tools" direct.log taskset -c "$cpu" "$envoy" -c $home/direct.json --disable-hot-restart --concurrency 1 \
    --log-level warning
  await 20 "the Envoy that is dialled" listening $direct_port

  for round in $(seq "$rounds"); do
    for state in $(shuf -e straight again dialled turned); do
      without_weir
      [ $state != turned ] || start_turned
      local port=$http_port
      [ $state != dialled ] || port=$direct_port
      measure get $state "$round" get $port 1000 /public/x
      [ $state != turned ] || stop_turned
    done
  done
  # The numbers are of the path that they claim: each request was judged by Envoy, and seen as the client's.
  grep -q '"source":"24[0-9]\.' $node/proxies/shop_envoy/access.log || die "the requests did not come through weir's Envoy"
  without_weir
}

if [ -z "$envoy" ]; then
  row "not run" "there is no Envoy" "scripts/install-envoy" ""
else
  measure_requests
  row "" "p50" "p99" "p50"
  row "straight, without weir" "" "" "$(values get-p50 straight | scaled 1000 1 us)"
  ratio_row "straight once more: the noise" get again straight
  ratio_row "Envoy dialled, without weir / straight" get dialled straight
  ratio_row "turned to Envoy by weir, judged / straight" get turned straight
  ratio_row "turned to Envoy by weir, judged / Envoy dialled" get turned dialled
fi
