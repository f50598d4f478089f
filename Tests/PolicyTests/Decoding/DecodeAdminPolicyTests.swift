import Testing

@testable import Policy

private func read(_ text: String) throws -> AdminPolicy {
  let reading = Reading(texts: [("t.yaml", text)])
  try #require(reading.problems.isEmpty, "\(reading.problems)")
  return try #require(reading.set.adminPolicies.first)
}

private func label(_ key: String, _ value: String) -> Selector {
  Selector([.init(key: key, operator: .in, values: [value])])
}

private func block(_ text: String) throws -> Peer { .ipBlock(IPBlock(cidr: try #require(CIDR(text)))) }

// MARK: - What is accepted

@Test("a ClusterNetworkPolicy with everything in it is read as written, with the place of each rule and peer")
func wholeClusterNetworkPolicy() throws {
  let policy = try read(
    """
    apiVersion: policy.networking.k8s.io/v1alpha2
    kind: ClusterNetworkPolicy
    metadata: {name: tenants.example.com, labels: {a: b}}
    spec:
      tier: Baseline
      priority: 1000
      subject:
        pods:
          namespaceSelector: {matchLabels: {tenant: a}}
          podSelector: {matchLabels: {app: web}}
      ingress:
      - name: from the monitors
        action: Accept
        from:
        - namespaces: {matchLabels: {kubernetes.io/metadata.name: monitoring}}
        - pods: {podSelector: {matchLabels: {app: probe}}}
        protocols:
        - tcp: {destinationPort: {number: 7564}}
        - udp: {destinationPort: {range: {start: 53, end: 5353}}}
        - sctp: {destinationPort: {number: 9003}}
        - destinationNamedPort: http
      - {action: Pass, from: [{namespaces: {}}]}
      egress:
      - action: Deny
        to:
        - nodes: {matchExpressions: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]}
        - networks: [10.0.0.0/8, "fd00::/8"]
        - networks:
          - 0.0.0.0/0
        - pods: {namespaceSelector: {}, podSelector: {}}
    status: {conditions: []}
    """)
  #expect(policy.kind == .clusterNetworkPolicy && policy.name == Name("", "tenants.example.com"))
  #expect(policy.tier == .baseline && policy.priority == 1000)
  #expect(policy.subject == PeerSelector(namespaces: label("tenant", "a"), pods: label("app", "web")))
  #expect(policy.place == Place(file: "t.yaml", line: 1, column: 1))
  #expect(policy.ingress.map(\.action) == [.accept, .pass] && policy.egress.map(\.action) == [.deny])
  let rule = try #require(policy.ingress.first)
  #expect(
    rule.peers == [
      .selector(PeerSelector(namespaces: label("kubernetes.io/metadata.name", "monitoring"), pods: nil)),
      .selector(PeerSelector(namespaces: .everything, pods: label("app", "probe"))),
    ])
  #expect(
    rule.ports == [
      PortMatch(protocol: .tcp, number: .range(7564...7564)),
      PortMatch(protocol: .udp, number: .range(53...5353)),
      PortMatch(protocol: .sctp, number: .range(9003...9003)),
      PortMatch(protocol: nil, number: .named("http")),
    ])
  #expect(rule.place == Place(file: "t.yaml", line: 12, column: 5))
  #expect(rule.peerPlaces.map(\.line) == [15, 16] && rule.peerIndices == [0, 1])
  #expect(policy.ingress[1].ports == nil)
  let nodes = Selector([
    .init(key: "node-role.kubernetes.io/control-plane", operator: .exists, values: [])
  ])
  #expect(
    policy.egress[0].peers == [
      .nodes(nodes), try block("10.0.0.0/8"), try block("fd00::/8"), try block("0.0.0.0/0"),
      .selector(PeerSelector(namespaces: .everything, pods: .everything)),
    ])
}

@Test("each network is a peer of its own, with its own place and the index of the file's peer")
func networksArePeers() throws {
  let rule = try read(
    AdminText.egress("to: [{namespaces: {}}, {networks: [10.0.0.0/8, 11.0.0.0/8]}, {nodes: {}}]")
  ).egress[0]
  #expect(rule.peerIndices == [0, 1, 1, 2])
  #expect(rule.peers.count == 4 && rule.peerPlaces.count == 4)
  #expect(rule.peerPlaces.map(\.column) == [32, 62, 74, 88])
}

@Test("an AdminNetworkPolicy is read as what it became: Allow is Accept, its tier is Admin")
func wholeAdminNetworkPolicy() throws {
  let policy = try read(
    AdminText.admin(
      """
      ingress:
      - name: ""
        action: Allow
        from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: a}}}}]
        ports:
        - portNumber: {port: 80}
        - portNumber: {protocol: UDP, port: 53}
        - portRange: {protocol: SCTP, start: 1, end: 65535}
        - portRange: {start: 8000, end: 8001}
        - namedPort: http
      egress:
      - {action: Pass, to: [{nodes: {}}]}
      - {action: Deny, to: [{networks: [0.0.0.0/0, "::/0"]}]}
      """))
  #expect(policy.kind == .adminNetworkPolicy && policy.tier == .admin && policy.priority == 10)
  #expect(policy.subject == PeerSelector(namespaces: .everything, pods: nil))
  #expect(policy.ingress.map(\.action) == [.accept] && policy.egress.map(\.action) == [.pass, .deny])
  #expect(
    policy.ingress[0].ports == [
      PortMatch(protocol: .tcp, number: .range(80...80)),
      PortMatch(protocol: .udp, number: .range(53...53)),
      PortMatch(protocol: .sctp, number: .range(1...65535)),
      PortMatch(protocol: .tcp, number: .range(8000...8001)),
      PortMatch(protocol: nil, number: .named("http")),
    ])
  #expect(policy.egress[1].peers == [try block("0.0.0.0/0"), try block("::/0")])
}

@Test("a BaselineAdminNetworkPolicy has no priority and is of the Baseline tier")
func wholeBaseline() throws {
  let policy = try read(
    AdminText.baseline("ingress: [{action: Deny, from: [{namespaces: {}}]}, {action: Allow, from: [{namespaces: {}}]}]")
  )
  #expect(policy.kind == .baselineAdminNetworkPolicy && policy.tier == .baseline && policy.priority == 0)
  #expect(policy.name == Name("", "default"))
  #expect(policy.ingress.map(\.action) == [.deny, .accept] && policy.egress.isEmpty)
}

@Test(
  "what the API allows at its limits is accepted",
  arguments: [
    AdminText.cluster("ingress: []\negress: null"),
    AdminText.cluster("ingress: \(AdminText.repeated("{action: Deny, from: [{namespaces: {}}]}", 25))"),
    AdminText.egress("to: \(AdminText.repeated("{namespaces: {}}", 25))"),
    AdminText.protocols(AdminText.repeated("{tcp: {destinationPort: {number: 1}}}", 25)),
    AdminText.egress(
      "name: \(String(repeating: "é", count: 100)), to: [{nodes: {}}]"
    ),
    AdminText.egress("to: [{networks: [\((0..<25).map { "10.0.\($0).0/24" }.joined(separator: ", "))]}]"),
    AdminText.egress("to: [{networks: [10.1.2.3/8, '64:ff9b::10.0.0.0/120']}]"),
    AdminText.egress("to: [{namespaces: {}, pods: null}]"),
    AdminText.egress("to: [{namespaces: {}}], protocols: [{destinationNamedPort: Any_Name}]"),
    AdminText.object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: 0\nsubject: {namespaces: {}}"),
    AdminText.object(
      "v1beta1", "ClusterNetworkPolicy",
      AdminText.head + "egress: [{action: Pass, to: [{networks: [10.0.0.0/8, 'fd00::/8']}]}]"),
    AdminText.admin("ingress: \(AdminText.repeated("{action: Pass, from: [{namespaces: {}}]}", 100))"),
    AdminText.admin("ingress: [{action: Pass, from: \(AdminText.repeated("{namespaces: {}}", 100))}]"),
    AdminText.ports(AdminText.repeated("{namedPort: a}", 100)),
    // The shapes of the project's conformance suite: block style, quoted names, comments, a list of networks
    // with an unquoted `::/0`.
    AdminText.cluster(
      """
      egress:
      - name: "to-the-nodes" # replaced by the next
        action: "Accept"
        to:
        - nodes:
            matchLabels:
              kubernetes.io/os: linux
        protocols:
        - tcp:
            destinationPort:
              number: 36363
        - udp:
            destinationPort:
              range:
                start: 5000
                end: 6000
      - name: "deny-the-rest"
        action: "Deny"
        to:
        - pods:
            podSelector:
              matchLabels:
                app: web
        - networks:
            - 0.0.0.0/0
            - ::/0
      """),
    "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicyList, metadata: {}, items: "
      + "[{metadata: {name: a}, spec: {priority: 1, subject: {namespaces: {}}}}]}",
    "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicyList, items: "
      + "[{metadata: {name: a}, spec: {tier: Admin, priority: 1, subject: {namespaces: {}}}}]}",
  ])
func acceptedAdminPolicies(text: String) throws { _ = try read(text) }

@Test("the three kinds have names of their own")
func adminNames() {
  let texts = [
    AdminText.object("v1alpha2", "ClusterNetworkPolicy", AdminText.head, name: "default"),
    AdminText.baseline(""),
    AdminText.object("v1alpha1", "AdminNetworkPolicy", "priority: 1\nsubject: {namespaces: {}}", name: "default"),
  ]
  let reading = Reading(texts: texts.enumerated().map { ("\($0.offset).yaml", $0.element) })
  #expect(reading.problems.isEmpty && reading.set.adminPolicies.count == 3, "\(reading.problems)")
  #expect(Reading(texts: texts.map { ("a.yaml", $0) } + [("b.yaml", texts[0])]).problems.count == 1)
}

// MARK: - What is refused

@Test(
  "a ClusterNetworkPolicy the API server would refuse is refused at the value that is wrong",
  arguments: [
    Refusal(
      "an unknown version", AdminText.object("v1", "ClusterNetworkPolicy", AdminText.head), "1:13 apiVersion",
      says: "policy.networking.k8s.io/v1alpha2 or policy.networking.k8s.io/v1beta1"),
    Refusal(
      "a namespace", AdminText.cluster("").replacing("{name: p}", with: "{name: p, namespace: a}"),
      "3:32 metadata.namespace", says: "a ClusterNetworkPolicy is in no namespace"),
    Refusal(
      "a name with capitals", AdminText.object("v1alpha2", "ClusterNetworkPolicy", AdminText.head, name: "P"),
      "3:18 metadata.name", says: "DNS subdomain"),
    Refusal(
      "no spec",
      "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: p}\n",
      "1:1 spec", says: "required"),
    Refusal(
      "an empty spec", AdminText.object("v1alpha2", "ClusterNetworkPolicy", "{}"), "5:3 spec.priority",
      "5:3 spec.subject",
      "5:3 spec.tier", says: "required"),
    Refusal("an unknown field", AdminText.cluster("ingres: []"), "8:3 spec.ingres", says: "did you mean `ingress`?"),
    Refusal(
      "a tier in lower case",
      AdminText.object("v1alpha2", "ClusterNetworkPolicy", "tier: admin\npriority: 1\nsubject: {namespaces: {}}"),
      "5:9 spec.tier", says: "did you mean `Admin`?"),
    Refusal(
      "a priority of 1001",
      AdminText.object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: 1001\nsubject: {namespaces: {}}"),
      "6:13 spec.priority", says: "expected a priority from 0 to 1000, found `1001`"),
    Refusal(
      "a priority below 0",
      AdminText.object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: -1\nsubject: {namespaces: {}}"),
      "6:13 spec.priority", says: "found `-1`"),
    Refusal(
      "a priority in quotes",
      AdminText.object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: '1'\nsubject: {namespaces: {}}"),
      "6:13 spec.priority", says: "without quotes"),
    Refusal(
      "a subject of nothing",
      AdminText.object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: 1\nsubject: {}"),
      "7:12 spec.subject", says: "exactly one of `namespaces`, `pods`, found none"),
    Refusal(
      "a subject of both",
      AdminText.object(
        "v1alpha2", "ClusterNetworkPolicy",
        "tier: Admin\npriority: 1\nsubject: {namespaces: {}, pods: {podSelector: {}}}"),
      "7:12 spec.subject", says: "found `namespaces` and `pods`"),
    Refusal(
      "pods without a pod selector",
      AdminText.object(
        "v1alpha2", "ClusterNetworkPolicy",
        "tier: Admin\npriority: 1\nsubject: {pods: {namespaceSelector: {}}}"),
      "7:19 spec.subject.pods.podSelector", says: "required"),
    Refusal(
      "a wrong label",
      AdminText.object(
        "v1alpha2", "ClusterNetworkPolicy",
        "tier: Admin\npriority: 1\nsubject: {namespaces: {matchLabels: {a b: c}}}"),
      "7:40 spec.subject.namespaces.matchLabels[a b]", says: "label key"),
    Refusal(
      "26 rules", AdminText.cluster("ingress: \(AdminText.repeated("{action: Deny, from: [{namespaces: {}}]}", 26))"),
      "8:12 spec.ingress", says: "expected at most 25 rules, found 26"),
    Refusal(
      "a rule of nothing", AdminText.cluster("ingress: [{}]"), "8:13 spec.ingress[0].action",
      "8:13 spec.ingress[0].from",
      says: "required"),
    Refusal(
      "the old word", AdminText.cluster("ingress: [{action: Allow, from: [{namespaces: {}}]}]"),
      "8:22 spec.ingress[0].action", says: "expected Accept, Deny, Pass, found `Allow`"),
    Refusal(
      "the other direction's peers", AdminText.cluster("ingress: [{action: Deny, to: [], from: [{namespaces: {}}]}]"),
      "8:28 spec.ingress[0].to", says: "unknown field `to` in an ingress rule"),
    Refusal(
      "the older kind's ports", AdminText.egress("to: [{namespaces: {}}], ports: []"), "8:51 spec.egress[0].ports",
      says: "expected `name`, `action`, `to`, `protocols`"),
    Refusal(
      "a name of 101 characters", AdminText.egress("name: \(String(repeating: "a", count: 101)), to: [{nodes: {}}]"),
      "8:33 spec.egress[0].name", says: "at most 100 characters, found 101"),
    Refusal(
      "no peers", AdminText.egress("to: []"), "8:31 spec.egress[0].to", says: "expected 1 to 25 peers, found 0"),
    Refusal(
      "26 peers", AdminText.egress("to: \(AdminText.repeated("{nodes: {}}", 26))"), "8:31 spec.egress[0].to", says: "found 26"),
    Refusal(
      "a peer of nothing", AdminText.egress("to: [{}]"), "8:32 spec.egress[0].to[0]",
      says: "exactly one of `namespaces`, `pods`, `nodes`, `networks`, `domainNames`, found none"),
    Refusal(
      "a peer of two", AdminText.egress("to: [{nodes: {}, networks: [10.0.0.0/8]}]"), "8:32 spec.egress[0].to[0]",
      says: "found `nodes` and `networks`"),
    Refusal(
      "networks in ingress", AdminText.cluster("ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]"),
      "8:36 spec.ingress[0].from[0].networks", says: "`networks` is a peer of egress rules only"),
    Refusal(
      "nodes in ingress", AdminText.cluster("ingress: [{action: Deny, from: [{nodes: {}}]}]"),
      "8:36 spec.ingress[0].from[0].nodes", says: "`nodes` is a peer of egress rules only"),
    Refusal(
      "domain names", AdminText.egress("to: [{domainNames: ['*.example.com']}]"),
      "8:33 spec.egress[0].to[0].domainNames", says: "not supported until DNS is followed"),
    Refusal(
      "no networks", AdminText.egress("to: [{networks: []}]"), "8:43 spec.egress[0].to[0].networks",
      says: "1 to 25 networks, found 0"),
    Refusal(
      "26 networks",
      AdminText.egress("to: [{networks: [\((0..<26).map { "10.0.\($0).0/24" }.joined(separator: ", "))]}]"),
      "8:43 spec.egress[0].to[0].networks", says: "found 26"),
    Refusal(
      "a network twice", AdminText.egress("to: [{networks: [10.0.0.0/8, 10.0.0.0/8]}]"),
      "8:56 spec.egress[0].to[0].networks[1]", says: "`10.0.0.0/8` stands twice"),
    Refusal(
      "a network that is an address", AdminText.egress("to: [{networks: [10.0.0.1]}]"),
      "8:44 spec.egress[0].to[0].networks[0]", says: "found `10.0.0.1`"),
    Refusal(
      "a network of 33 bits", AdminText.egress("to: [{networks: [10.0.0.0/33]}]"),
      "8:44 spec.egress[0].to[0].networks[0]", says: "found `10.0.0.0/33`"),
    Refusal(
      "an IPv4 network in IPv6's form", AdminText.egress("to: [{networks: ['::ffff:10.0.0.0/104']}]"),
      "8:44 spec.egress[0].to[0].networks[0]", says: "expected a block"),
    Refusal(
      "a list of protocols without any", AdminText.protocols("[]"), "8:62 spec.egress[0].protocols",
      says: "1 to 25 ports, found 0"),
    Refusal(
      "26 protocols", AdminText.protocols(AdminText.repeated("{destinationNamedPort: a}", 26)), "8:62 spec.egress[0].protocols",
      says: "found 26"),
    Refusal(
      "a protocol of nothing", AdminText.protocols("[{}]"), "8:63 spec.egress[0].protocols[0]",
      says: "exactly one of `tcp`, `udp`, `sctp`, `destinationNamedPort`, found none"),
    Refusal(
      "two protocols in one", AdminText.protocols("[{tcp: {}, udp: {}}]"), "8:63 spec.egress[0].protocols[0]",
      says: "found `tcp` and `udp`"),
    Refusal(
      "a protocol without its port", AdminText.protocols("[{tcp: {}}]"),
      "8:69 spec.egress[0].protocols[0].tcp.destinationPort", says: "required"),
    Refusal(
      "a protocol in capitals", AdminText.protocols("[{TCP: {destinationPort: {number: 1}}}]"),
      "8:64 spec.egress[0].protocols[0].TCP", says: "did you mean `tcp`?"),
    Refusal(
      "a port of nothing", AdminText.protocols("[{udp: {destinationPort: {}}}]"),
      "8:87 spec.egress[0].protocols[0].udp.destinationPort", says: "exactly one of `number`, `range`"),
    Refusal(
      "a port of both", AdminText.protocols("[{udp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}]"),
      "8:87 spec.egress[0].protocols[0].udp.destinationPort", says: "found `number` and `range`"),
    Refusal(
      "port 0", AdminText.protocols("[{tcp: {destinationPort: {number: 0}}}]"),
      "8:96 spec.egress[0].protocols[0].tcp.destinationPort.number", says: "from 1 to 65535"),
    Refusal(
      "a range of one", AdminText.protocols("[{tcp: {destinationPort: {range: {start: 80, end: 80}}}}]"),
      "8:112 spec.egress[0].protocols[0].tcp.destinationPort.range.end", says: "more than `start` (80)"),
    Refusal(
      "a range without end", AdminText.protocols("[{tcp: {destinationPort: {range: {start: 80}}}}]"),
      "8:95 spec.egress[0].protocols[0].tcp.destinationPort.range.end", says: "required"),
    Refusal(
      "a range that ends at 65536", AdminText.protocols("[{tcp: {destinationPort: {range: {start: 1, end: 65536}}}}]"),
      "8:111 spec.egress[0].protocols[0].tcp.destinationPort.range.end", says: "found `65536`"),
    Refusal(
      "an empty name", AdminText.protocols("[{destinationNamedPort: ''}]"),
      "8:86 spec.egress[0].protocols[0].destinationNamedPort", says: "not empty"),
    Refusal(
      "a named port of networks",
      AdminText.egress("to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: http}]"),
      "8:70 spec.egress[0].protocols", says: "no named ports"),
    Refusal(
      "a named port of nodes", AdminText.egress("to: [{nodes: {}}], protocols: [{destinationNamedPort: http}]"),
      "8:57 spec.egress[0].protocols", says: "no named ports"),
    Refusal(
      "v1beta1: bits beyond the prefix",
      AdminText.object(
        "v1beta1", "ClusterNetworkPolicy", AdminText.head + "egress: [{action: Deny, to: [{networks: [10.1.0.0/8]}]}]"),
      "8:44 spec.egress[0].to[0].networks[0]", says: "(10.0.0.0/8), found `10.1.0.0/8`"),
    Refusal("a status that is a list", AdminText.cluster("") + "status: []\n", "9:9 status", says: "mapping"),
  ])
func refusedClusterNetworkPolicies(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}
