# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A second network namespace, for the server. Sourced by run.

server_in=() server_ends='' client_ends='' # what stands before the server's command, and where each end is

# second_namespace: one that lives as long as its keeper, with an end of a veth; what server and client need to know.
second_namespace() {
  spawn "$tools" keeper unshare --net sleep infinity
  keeper=$spawned
  in_another() { [ "$(readlink "/proc/$keeper/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
  await 5 "a second network namespace" in_another
  local inside=(nsenter --net="/proc/$keeper/ns/net")
  ip link add soak0 type veth peer name soak1 netns "$keeper"
  ip addr add 10.99.0.1/24 dev soak0
  ip addr add fd99::1/64 dev soak0 nodad
  ip link set soak0 up
  "${inside[@]}" ip addr add 10.99.0.2/24 dev soak1
  "${inside[@]}" ip addr add fd99::2/64 dev soak1 nodad
  "${inside[@]}" ip link set soak1 up
  "${inside[@]}" ip link set lo up
  server_in=("${inside[@]}") server_ends=at=10.99.0.2/fd99::2 client_ends="at=10.99.0.2/fd99::2 from=10.99.0.1/fd99::1"
  { workload client soak/client client '["10.99.0.1", "fd99::1"]'
    workload server soak/server server '["10.99.0.2", "fd99::2"]'; } >$policies/workloads.yaml
}
