# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sections 2 and 3: connect(), and messages on one connection, with and without weir. Sourced by run.

for count in 1 100 1000; do many_files $home/many-$count $count $echo_port; done
mkdir "$root/shop/server"
mkfifo $home/hold
spawn "$tools" hold.log sh -c "exec sleep infinity >$home/hold" # ping serve ends when this does
hold=$spawned
spawn "$root/shop/server" server.log sh -c "exec taskset -c $cpu $ping serve $echo_port <$home/hold"
await 5 "the echo server" within "$tools" sh -c "$ping echo $echo_port 10 >/dev/null 2>&1"

for round in $(seq "$rounds"); do
  for state in $(shuf -e off again 1 100 1000); do
    without_weir
    case $state in 1*) start_agent $home/many-$state ;; esac
    measure connect "$state" "$round" connect $echo_port 2000
    measure echo "$state" "$round" echo $echo_port 4000
    case $state in 1*) measure refused "$state" "$round" refused $refused_port 400 ;; esac
  done
done
without_weir
kill "$hold"
echo 1 >"$root/shop/server/cgroup.kill"

title "2. connect() to a local server"
row "" "p50, with / without" "p99, with / without" "p50"
row "without weir" "" "" "$(values connect-p50 off | scaled 1000 1 us)"
ratio_row "without weir once more: the noise" connect again off
for count in 1 100 1000; do ratio_row "allowed; policies: $count" connect $count off; done
for count in 1 100 1000; do
  row "refused; policies: $count" "" "" "$(values refused-p50 $count | scaled 1000 1 us)"
done

title "3. A message of 64 bytes there and back on one connection"
row "" "p50, with / without" "p99, with / without" "p50"
row "without weir" "" "" "$(values echo-p50 off | scaled 1000 1 us)"
ratio_row "without weir once more: the noise" echo again off
for count in 1 100 1000; do ratio_row "with weir; policies: $count" echo $count off; done
