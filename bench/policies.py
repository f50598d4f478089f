#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policies.py DIRECTORY POLICIES ENDPOINTS [WORKLOADS] [KIND...]: a cluster's policy files, always the same for the
same arguments, 100 objects a file, as kubectl prints them.

ENDPOINTS are Pods, 100 to a namespace, ten apps in each; WORKLOADS (50) of this node stand beside them, in the cgroups
bench/w0 and so on, each in a namespace of its own. POLICIES are of the KINDs named, by their shares below; all without
one."""
import os
import sys

SHARES = {  # of a hundred
    "NetworkPolicy": 70, "AuthorizationPolicy": 15, "CiliumNetworkPolicy": 14, "ClusterNetworkPolicy": 1,
}
APPS = ["web", "api", "cart", "checkout", "payment", "search", "users", "mail", "queue", "database"]


def namespace(number):
    return f"""apiVersion: v1
kind: Namespace
metadata:
  creationTimestamp: "2025-03-14T09:26:53Z"
  labels:
    kubernetes.io/metadata.name: team-{number}
    stage: {"prod" if number % 3 else "test"}
  name: team-{number}
  resourceVersion: "{1000 + number}"
  uid: 6f1c2e1a-0000-4000-8000-{number:012x}
spec:
  finalizers:
  - kubernetes
status:
  phase: Active
"""


def address(number):
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def pod(number):
    team, app = number // 100, APPS[number % 10]
    return f"""apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: "2025-03-14T09:26:53Z"
  labels:
    app: {app}
    app.kubernetes.io/part-of: team-{team}
    pod-template-hash: h{number * 2654435761 % 2**32:08x}
    tier: {"back" if number % 10 > 4 else "front"}
  name: {app}-{number}
  namespace: team-{team}
  resourceVersion: "{100000 + number}"
  uid: 6f1c2e1a-0000-4000-9000-{number:012x}
spec:
  containers:
  - image: registry.example.com/team-{team}/{app}:1.{number % 7}
    name: main
    ports:
    - containerPort: 8080
      name: http
      protocol: TCP
  nodeName: node-{number % 200}
  serviceAccountName: {app}
status:
  hostIP: 192.168.{number % 200}.1
  phase: Running
  podIP: {address(number + 256)}
  podIPs:
  - ip: {address(number + 256)}
  qosClass: BestEffort
"""


def workload(number, teams):
    app = APPS[number % 10]
    return f"""apiVersion: weir.dev/v1alpha1
kind: Workload
metadata:
  labels:
    app: {app}
    tier: {"back" if number % 10 > 4 else "front"}
  name: local-{number}
  namespace: team-{number % teams}
spec:
  addresses:
  - 172.16.{number >> 8}.{number & 255}
  cgroup: bench/w{number}
  serviceAccountName: {app}
"""


def network_policy(number, teams):
    team, app, peer = number % teams, APPS[number // teams % 10], APPS[number * 7 % 10]
    return f"""apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  creationTimestamp: "2025-03-14T09:26:53Z"
  name: np-{number}
  namespace: team-{team}
spec:
  egress:
  - ports:
    - port: {8000 + number % 50}
      protocol: TCP
    to:
    - podSelector:
        matchLabels:
          app: {peer}
  - to:
    - ipBlock:
        cidr: 100.{number % 64}.0.0/16
        except:
        - 100.{number % 64}.{number % 16}.0/24
  ingress:
  - from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: team-{number * 13 % teams}
      podSelector:
        matchLabels:
          app: {peer}
    - podSelector:
        matchExpressions:
        - key: tier
          operator: In
          values:
          - front
          - middle
    ports:
    - port: 8080
      protocol: TCP
    - endPort: {9010 + number % 20}
      port: 9000
      protocol: TCP
  podSelector:
    matchLabels:
      app: {app}
  policyTypes:
  - Ingress
  - Egress
"""


def authorization_policy(number, teams):
    team, app, peer = number % teams, APPS[number // teams % 10], APPS[number * 3 % 10]
    return f"""apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  creationTimestamp: "2025-03-14T09:26:53Z"
  name: ap-{number}
  namespace: team-{team}
spec:
  action: {"DENY" if number % 5 == 0 else "ALLOW"}
  rules:
  - from:
    - source:
        principals:
        - cluster.local/ns/team-{number * 13 % teams}/sa/{peer}
    - source:
        namespaces:
        - team-{number * 11 % teams}
    to:
    - operation:
        ports:
        - "8080"
        - "{9000 + number % 20}"
  selector:
    matchLabels:
      app: {app}
"""


def cilium_policy(number, teams):
    team, app, peer = number % teams, APPS[number // teams % 10], APPS[number * 3 % 10]
    return f"""apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  creationTimestamp: "2025-03-14T09:26:53Z"
  name: cnp-{number}
  namespace: team-{team}
spec:
  endpointSelector:
    matchLabels:
      app: {app}
  ingress:
  - fromEndpoints:
    - matchLabels:
        app: {peer}
        k8s:io.kubernetes.pod.namespace: team-{number * 13 % teams}
    toPorts:
    - ports:
      - port: "8080"
        protocol: TCP
  ingressDeny:
  - fromCIDR:
    - 100.{number % 64}.{number % 256}.0/24
"""


def cluster_policy(number, teams):
    return f"""apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata:
  creationTimestamp: "2025-03-14T09:26:53Z"
  name: cluster-{number}
spec:
  ingress:
  - action: {"Deny" if number % 2 else "Pass"}
    from:
    - namespaces:
        matchLabels:
          kubernetes.io/metadata.name: team-{number * 13 % teams}
    name: rule-{number}
    protocols:
    - tcp:
        destinationPort:
          number: {7000 + number % 50}
  priority: {number % 1000}
  subject:
    namespaces:
      matchLabels:
        kubernetes.io/metadata.name: team-{number % teams}
  tier: Admin
"""


MAKERS = {
    "NetworkPolicy": network_policy, "AuthorizationPolicy": authorization_policy,
    "CiliumNetworkPolicy": cilium_policy, "ClusterNetworkPolicy": cluster_policy,
}


def as_list(texts):
    """`kubectl get -o yaml` of several objects."""
    items = []
    for text in texts:
        lines = text.splitlines()
        items.append("\n".join(["- " + lines[0]] + ["  " + line for line in lines[1:]]))
    return "apiVersion: v1\nitems:\n" + "\n".join(items) + '\nkind: List\nmetadata:\n  resourceVersion: ""\n'


def write(directory, name, texts, form):
    for first in range(0, len(texts), 100):
        with open(os.path.join(directory, f"{name}-{first // 100:04}.yaml"), "w") as file:
            file.write(form(texts[first:first + 100]))


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    directory, policies, endpoints = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    workloads = int(sys.argv[4]) if len(sys.argv) > 4 else 50
    kinds = sys.argv[5:] or list(SHARES)
    teams = max(1, endpoints // 100)
    os.makedirs(directory, exist_ok=True)
    # The kinds take turns by their shares, so that each file has one and every size the same mixture.
    whole = sum(SHARES[kind] for kind in kinds)
    for kind in kinds:
        count = policies * SHARES[kind] // whole
        if kind == kinds[0]:
            count = policies - sum(policies * SHARES[other] // whole for other in kinds[1:])
        write(directory, kind.lower(), [MAKERS[kind](number, teams) for number in range(count)], "---\n".join)
    write(directory, "namespace", [namespace(number) for number in range(teams)], as_list)
    write(directory, "pod", [pod(number) for number in range(endpoints)], as_list)
    write(directory, "workload", [workload(number, teams) for number in range(workloads)], "---\n".join)


main()
