import Testing

@testable import Policy

/// Shapes that the documentation and the connectivity tests of Cilium use, each with its number of rules.
private let ciliumShapes: [(spec: String, rules: Int)] = [
  ("{endpointSelector: {}, ingress: [{}]}", 1),
  ("{endpointSelector: {matchLabels: {role: backend}}, ingress: [{fromEndpoints: [{}]}]}", 1),
  ("{endpointSelector: {}, ingress: [{fromEndpoints: [{matchLabels: {}}]}]}", 1),
  ("{endpointSelector: {matchLabels: {env: dev}}, egress: [{toEntities: [host]}, {toEntities: [world]}]}", 2),
  (
    """
    endpointSelector: {matchLabels: {app: shop}}
    egress:
    - toCIDR: [192.0.2.1/32]
    - toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.96.0.0/12]}]
    """, 2
  ),
  (
    """
    endpointSelector: {matchLabels: {app: ping}}
    egress:
    - icmps:
      - fields: [{type: 8, family: IPv4}, {type: EchoRequest, family: IPv6}]
    """, 1
  ),
  ("{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80', endPort: 444, protocol: TCP}]}]}]}", 1),
  (
    """
    description: the way out to the cluster's names
    endpointSelector: {}
    egress:
    - toEndpoints:
      - matchLabels: {k8s:io.kubernetes.pod.namespace: kube-system, k8s-app: kube-dns}
      toPorts:
      - ports: [{port: "53", protocol: UDP}]
    """, 1
  ),
  (
    """
    endpointSelector: {matchLabels: {app: service}}
    ingress:
    - toPorts:
      - ports: [{port: "80", protocol: TCP}]
        rules:
          http:
          - {method: GET, path: "/path1$"}
          - {method: PUT, path: "/path2$", headers: ["X-My-Header: true"]}
    """, 1
  ),
  (
    """
    endpointSelector: {matchLabels: {io.cilium.k8s.policy.serviceaccount: luke}}
    ingress:
    - fromEndpoints: [{matchLabels: {io.cilium.k8s.policy.serviceaccount: leia}}]
      toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{method: GET, path: /public$}]}}]
    """, 1
  ),
  (
    """
    endpointSelector: {}
    ingress: [{fromEntities: [all]}]
    ingressDeny:
    - fromEndpoints: [{matchLabels: {role: other}}]
      toPorts: [{ports: [{port: "80", protocol: TCP}]}]
    """, 2
  ),
  ("{endpointSelector: {}, egressDeny: [{toEntities: [all]}]}", 1),
  (
    "{endpointSelector: {}, egress: [{toEntities: [all]}], enableDefaultDeny: {egress: false}}",
    1
  ),
  (
    """
    endpointSelector: {}
    ingress:
    - fromEndpoints:
      - matchExpressions:
        - {key: k8s:io.kubernetes.pod.namespace, operator: Exists}
        - {key: app, operator: In, values: [web, mobile]}
    """, 1
  ),
]

private let clusterwideShapes: [(spec: String, rules: Int)] = [
  (
    "{endpointSelector: {matchLabels: {name: leia}}, ingress: [{fromEndpoints: [{matchLabels: {a: b}}]}]}",
    1
  ),
  ("{endpointSelector: {matchLabels: {reserved:health: ''}}, ingress: [{fromEntities: [remote-node]}]}", 1),
  (
    """
    endpointSelector: {matchExpressions: [{key: reserved:ingress, operator: Exists}]}
    ingress: [{fromEntities: [world]}]
    egress: [{toEntities: [cluster]}]
    """, 2
  ),
  (
    """
    nodeSelector: {matchLabels: {type: ingress-worker}}
    ingress:
    - fromEntities: [remote-node, health]
    - toPorts: [{ports: [{port: "22", protocol: TCP}, {port: "6443", protocol: TCP}]}]
    - icmps: [{fields: [{type: EchoRequest}]}]
    """, 3
  ),
  (
    """
    endpointSelector:
      matchExpressions: [{key: io.cilium.k8s.namespace.labels.team, operator: NotIn, values: [core]}]
    egress: [{toNodes: [{matchLabels: {node-role.kubernetes.io/control-plane: ""}}]}]
    """, 1
  ),
]

@Test func `the shapes of Cilium's documentation and connectivity tests are accepted`() {
  let shapes =
    ciliumShapes.map { (ciliumPolicy($0.spec), $0.rules) }
    + clusterwideShapes.map { (clusterwidePolicy($0.spec), $0.rules) }
  for (text, rules) in shapes {
    let reading = Reading(texts: [("t.yaml", text)])
    #expect(reading.problems.isEmpty, "\(text)\(reading.problems)")
    let policy = reading.set.ciliumPolicies.first
    let counts = policy.map {
      $0.ingress.count + $0.ingressDeny.count + $0.egress.count + $0.egressDeny.count
    }
    #expect(counts == rules, "\(text)")
    // The control: the same with a field nobody knows.
    #expect(!places(text.replacing("Selector:", with: "Selecter:")).isEmpty, "\(text)")
  }
}

/// Shapes of Istio's documentation, each with its number of rules.
private let istioShapes: [(spec: String, rules: Int)] = [
  ("{}", 0), ("{rules: [{}]}", 1), ("{action: DENY, rules: [{}]}", 1),
  (
    """
    selector: {matchLabels: {app: httpbin, version: v1}}
    action: ALLOW
    rules:
    - from:
      - source: {principals: [cluster.local/ns/default/sa/sleep]}
      - source: {namespaces: [dev]}
      to:
      - operation: {methods: [GET], paths: [/info*]}
      - operation: {methods: [POST], paths: [/data]}
      when:
      - {key: "request.auth.claims[iss]", values: ["https://accounts.example"]}
    """, 1
  ),
  (
    """
    selector: {matchLabels: {app: ingressgateway}}
    action: DENY
    rules: [{from: [{source: {notRemoteIpBlocks: [192.0.2.0/24, 198.51.100.7]}}]}]
    """, 1
  ),
  (
    """
    selector: {matchLabels: {app: tcp-echo}}
    action: ALLOW
    rules: [{to: [{operation: {ports: ["9000", "9001"]}}]}]
    """, 1
  ),
  ("{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}", 1),
  (
    """
    rules:
    - from: [{source: {requestPrincipals: ["issuer.example/subject"]}}]
      when: [{key: "request.auth.claims[groups]", values: [group1]}]
    """, 1
  ),
  (
    """
    action: DENY
    rules:
    - from: [{source: {notNamespaces: [foo, "istio-*"]}}]
      to: [{operation: {paths: ["/admin/{*}/edit", "/api/{**}"], notMethods: [GET, HEAD]}}]
      when:
      - {key: source.ip, notValues: [10.1.2.3, 10.2.0.0/16]}
      - {key: "request.headers[User-Agent]", values: ["Mozilla/*"]}
      - {key: destination.port, values: ["80", "443"]}
    """, 1
  ),
  (
    "{action: AUDIT, rules: [{to: [{operation: {paths: ['/user/profile/*'], hosts: ['*.example.com']}}]}]}", 1
  ),
  ("{action: DENY, rules: [{from: [{source: {serviceAccounts: [other/sleep]}}]}]}", 1),
]

@Test func `the shapes of Istio's documentation are accepted`() {
  for (spec, rules) in istioShapes {
    let reading = Reading(texts: [("t.yaml", authorizationPolicy(spec))])
    #expect(reading.problems.isEmpty, "\(spec)\(reading.problems)")
    #expect(reading.set.authorizationPolicies.first?.rules.count == rules, "\(spec)")
    #expect(!places(authorizationPolicy(spec.replacing("rules:", with: "rule:"))).isEmpty || rules == 0)
  }
}

@Test func `every ICMP type of the API is read by its name`() throws {
  let rows: [(String, String, TransportProtocol, UInt16)] = [
    ("DestinationUnreachable", "IPv4", .icmp, 3), ("DestinationUnreachable", "IPv6", .icmpv6, 1),
    ("Echo", "IPv4", .icmp, 8), ("EchoRequest", "IPv4", .icmp, 8), ("EchoRequest", "IPv6", .icmpv6, 128),
    ("ExtendedEchoReply", "IPv4", .icmp, 43), ("Photuris", "IPv4", .icmp, 40),
    ("PacketTooBig", "IPv6", .icmpv6, 2), ("NeighborSolicitation", "IPv6", .icmpv6, 135),
    ("ExtendedEchoReply", "IPv6", .icmpv6, 161), ("TimestampReply", "IPv4", .icmp, 14),
  ]
  for (name, family, kind, type) in rows {
    let text = ciliumPolicy(
      "endpointSelector: {}\negress: [{icmps: [{fields: [{type: \(name), family: \(family)}]}]}]")
    let policy = try #require(Reading(texts: [("t.yaml", text)]).set.ciliumPolicies.first)
    #expect(policy.egress[0].ports[0].ports == [PortMatch(protocol: kind, number: .range(type...type))])
  }
}
