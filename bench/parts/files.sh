# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The policy files that are measured. Sourced by run.

# workload NAME APP: a Workload in namespace shop, in the cgroup shop/NAME.
workload_file() {
  cat <<END
apiVersion: weir.dev/v1alpha1
kind: Workload
metadata: {name: $1, namespace: shop, labels: {app: $2}}
spec: {cgroup: shop/$1, serviceAccountName: $2}
END
}

# The node of section 1: 50 workloads in five apps, nothing allowed that no rule allows.
idle_files() {
  local directory=$1 i
  mkdir -p "$directory"
  for i in {0..49}; do workload_file "w$i" "app$((i % 5))" >"$directory/w$i.yaml"; done
  cat >"$directory/policies.yaml" <<'END'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: front, namespace: shop}
spec:
  podSelector: {matchLabels: {app: app1}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: app0}}}]
    ports: [{port: 8080}]
  egress:
  - to: [{podSelector: {matchLabels: {app: app2}}}]
    ports: [{port: 5432}, {port: 6000, endPort: 6010}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: office, namespace: shop}
spec:
  podSelector: {matchLabels: {app: app3}}
  policyTypes: [Egress]
  egress:
  - to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
    ports: [{port: 443}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: data, namespace: shop}
spec:
  selector: {matchLabels: {app: app2}}
  action: ALLOW
  rules:
  - from: [{source: {principals: ["cluster.local/ns/shop/sa/app1"]}}]
END
}

# What a restart of the agent takes back: while it is there, w0 may go to port $1.
extra_file() {
  cat <<END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: extra, namespace: shop}
spec:
  podSelector: {matchLabels: {app: app0}}
  policyTypes: [Egress]
  egress:
  - to: [{ipBlock: {cidr: 127.0.0.0/8}}]
    ports: [{port: $1}]
END
}

# many_files DIRECTORY COUNT PORT: COUNT policies that all select client and server, each with a peer, an
# ipBlock and a port of its own, and COUNT pods as the peers. The last one is what lets the client reach PORT.
many_files() {
  [ ! -d "$1" ] || return 0
  local directory=$1
  mkdir -p "$directory"
  { workload_file client client; echo ---; workload_file server server; } >"$directory/workloads.yaml"
  awk -v count="$2" -v port="$3" -v directory="$directory" 'BEGIN {
    policies = directory "/policies.yaml"
    pods = directory "/pods.yaml"
    for (i = 1; i <= count; i++) {
      net = "10." int(i / 256) "." i % 256
      last = i == count
      print (i > 1 ? "---\n" : "") "apiVersion: v1\nkind: Pod\n" \
        "metadata: {name: p" i ", namespace: shop, labels: {app: p" i "}}\n" \
        "spec: {nodeName: other, containers: [{name: main, image: none}]}\nstatus: {podIP: " net ".7}" >pods
      print (i > 1 ? "---\n" : "") "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n" \
        "metadata: {name: policy-" i ", namespace: shop}\nspec:\n" \
        "  podSelector: {matchExpressions: [{key: app, operator: In, values: [client, server]}]}\n" \
        "  policyTypes: [Ingress, Egress]\n" \
        "  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: " (last ? "client" : "p" i) "}}\n" \
        "    - ipBlock: {cidr: " net ".0/24}\n    ports: [{port: " (last ? port : 20000 + i) "}]\n" \
        "  egress:\n  - to:\n    - podSelector: {matchLabels: {app: " (last ? "server" : "p" i) "}}\n" \
        "    ports: [{port: " (last ? port : 20000 + i) "}]" >policies
    }
  }'
}

# The requests of section 4: the client may GET below /public, which only a proxy can judge.
http_files() {
  local directory=$1
  mkdir -p "$directory"
  { workload_file client client; echo ---; workload_file api api; } >"$directory/workloads.yaml"
  cat >"$directory/policies.yaml" <<END
apiVersion: weir.dev/v1alpha1
kind: Proxy
metadata: {name: envoy, namespace: shop}
spec: {type: Envoy, cgroup: shop/envoy, listen: {addresses: ["127.0.0.1"], port: $2}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: api, namespace: shop}
spec:
  selector: {matchLabels: {app: api}}
  action: ALLOW
  rules:
  - from: [{source: {principals: ["cluster.local/ns/shop/sa/client"]}}]
    to: [{operation: {methods: ["GET"], paths: ["/public/*"]}}]
END
}

# direct_envoy BOOTSTRAP PORT SERVER: the same Envoy as weir's, but dialled: the same rule for anybody, without the
# filters that ask who is there and where to, and with the one server as its upstream.
direct_envoy() {
  local rbac=type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
  jq --arg rbac $rbac --argjson port "$2" --argjson server "$3" --arg home "$home" '
    def address($p): {socket_address: {address: "127.0.0.1", port_value: $p}};
    def rule: {permissions: [{and_rules: {rules: [{header: {name: ":method", string_match: {exact: "GET"}}},
      {url_path: {path: {prefix: "/public/"}}}]}}], principals: [{any: true}]};
    .admin.address = {pipe: {path: ($home + "/direct.sock")}}
    | .static_resources.listeners |= [.[0] | .name = "direct" | .address = address($port)
      | .listener_filters = []
      | .filter_chains[].filters[].typed_config |= (.http_filters |= map(if .name == "l7policy"
          then {name, typed_config: {"@type": $rbac, rules: {action: "ALLOW", policies: {api: rule}}}} else . end)
        | .access_log[].typed_config.path = $home + "/direct-access.log")]
    | .static_resources.clusters |= [.[0] | {name, type: "STATIC", connect_timeout: "5s",
      load_assignment: {cluster_name: .name, endpoints: [{lb_endpoints: [{endpoint: {address: address($server)}}]}]}}]
    ' "$1"
}
