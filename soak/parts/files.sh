# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The policy files of the soak, all in the namespace soak. Sourced by run.
# client calls server; nobody else may, and client may call nothing else:
always=7000        # allowed by both sides
no_egress=7001     # client's egress does not have it: EPERM
no_ingress=7002    # server's ingress does not have it: EACCES
udp=7005           # allowed, UDP
held=7003          # allowed, for connections that stay open
egress_first=7010  # eight ports that sets open and close in client's egress
ingress_first=7020 # the same in server's ingress
all_ports="$always $no_egress $no_ingress $held $(seq -s ' ' $egress_first $((egress_first + 7))) $(
  seq -s ' ' $ingress_first $((ingress_first + 7)))"

# workload NAME [CGROUP [APP [ADDRESSES]]]: a Workload, in the cgroup soak/NAME.
workload() {
  cat <<END
apiVersion: weir.dev/v1alpha1
kind: Workload
metadata: {name: $1, namespace: soak, labels: {app: ${3:-$1}}}
spec: {cgroup: ${2:-soak/$1}, serviceAccountName: ${3:-$1}${4:+, addresses: $4}}
---
END
}

# ports PROTOCOL PORT...: as a rule's list.
ports() {
  local protocol=$1 port list=
  shift
  for port in "$@"; do list+="${list:+, }{port: $port, protocol: $protocol}"; done
  echo "$list"
}

# policy EGRESS INGRESS: the TCP ports that client's egress and server's ingress have.
policy() {
  local egress ingress
  read -ra egress <<<"$1"
  read -ra ingress <<<"$2"
  cat <<END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: client, namespace: soak}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{ports: [$(ports TCP "${egress[@]}"), $(ports UDP $udp)]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, namespace: soak}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [$(ports TCP "${ingress[@]}"), $(ports UDP $udp)]}]
END
}

# basic_files: client, server and what they may; their cgroups.
basic_files() {
  mkdir -p "$root/soak/client" "$root/soak/server"
  { workload client; workload server; } >$policies/workloads.yaml
  policy "$always $held $no_ingress" "$always $held $no_egress" >$policies/policies.yaml
}
