import Testing

@testable import Policy

/// An object whose spec begins on line 4, indented by two.
private func object(_ version: String, _ kind: String, _ spec: String, name: String = "p") -> String {
  "apiVersion: policy.networking.k8s.io/\(version)\nkind: \(kind)\nmetadata: {name: \(name)}\nspec:\n"
    + spec.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 + "\n" }.joined()
}

private let head = "tier: Admin\npriority: 10\nsubject: {namespaces: {}}\n"

/// A ClusterNetworkPolicy; `rest` begins on line 8, in column 3.
private func cluster(_ rest: String) -> String { object("v1alpha2", "ClusterNetworkPolicy", head + rest) }

/// One with one egress rule, whose rest begins on line 8, in column 27.
private func egress(_ rest: String) -> String { cluster("egress: [{action: Deny, \(rest)}]") }

/// The same with `to`, and protocols that begin in column 62.
private func protocols(_ list: String) -> String { egress("to: [{namespaces: {}}], protocols: \(list)") }

/// An AdminNetworkPolicy; `rest` begins on line 7, in column 3.
private func admin(_ rest: String) -> String {
  object("v1alpha1", "AdminNetworkPolicy", "priority: 10\nsubject: {namespaces: {}}\n" + rest)
}

/// One with one egress rule, whose ports begin on line 7, in column 58.
private func ports(_ list: String) -> String {
  admin("egress: [{action: Deny, to: [{namespaces: {}}], ports: \(list)}]")
}

private func baseline(_ rest: String, name: String = "default") -> String {
  object("v1alpha1", "BaselineAdminNetworkPolicy", "subject: {namespaces: {}}\n" + rest, name: name)
}

private func read(_ text: String) throws -> AdminPolicy {
  let reading = Reading(texts: [("t.yaml", text)])
  try #require(reading.problems.isEmpty, "\(reading.problems)")
  return try #require(reading.set.adminPolicies.first)
}

private func label(_ key: String, _ value: String) -> Selector {
  Selector([.init(key: key, operator: .in, values: [value])])
}

private func block(_ text: String) throws -> Peer { .ipBlock(IPBlock(cidr: try #require(CIDR(text)))) }

private func repeated(_ item: String, _ count: Int) -> String {
  "[" + Array(repeating: item, count: count).joined(separator: ", ") + "]"
}

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
    egress("to: [{namespaces: {}}, {networks: [10.0.0.0/8, 11.0.0.0/8]}, {nodes: {}}]")
  ).egress[0]
  #expect(rule.peerIndices == [0, 1, 1, 2])
  #expect(rule.peers.count == 4 && rule.peerPlaces.count == 4)
  #expect(rule.peerPlaces.map(\.column) == [32, 62, 74, 88])
}

@Test("an AdminNetworkPolicy is read as what it became: Allow is Accept, its tier is Admin")
func wholeAdminNetworkPolicy() throws {
  let policy = try read(
    admin(
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
    baseline("ingress: [{action: Deny, from: [{namespaces: {}}]}, {action: Allow, from: [{namespaces: {}}]}]")
  )
  #expect(policy.kind == .baselineAdminNetworkPolicy && policy.tier == .baseline && policy.priority == 0)
  #expect(policy.name == Name("", "default"))
  #expect(policy.ingress.map(\.action) == [.deny, .accept] && policy.egress.isEmpty)
}

@Test(
  "what the API allows at its limits is accepted",
  arguments: [
    cluster("ingress: []\negress: null"),
    cluster("ingress: \(repeated("{action: Deny, from: [{namespaces: {}}]}", 25))"),
    egress("to: \(repeated("{namespaces: {}}", 25))"),
    protocols(repeated("{tcp: {destinationPort: {number: 1}}}", 25)),
    egress(
      "name: \(String(repeating: "é", count: 100)), to: [{nodes: {}}]"
    ),
    egress("to: [{networks: [\((0..<25).map { "10.0.\($0).0/24" }.joined(separator: ", "))]}]"),
    egress("to: [{networks: [10.1.2.3/8, '64:ff9b::10.0.0.0/120']}]"),
    egress("to: [{namespaces: {}, pods: null}]"),
    egress("to: [{namespaces: {}}], protocols: [{destinationNamedPort: Any_Name}]"),
    object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: 0\nsubject: {namespaces: {}}"),
    object(
      "v1beta1", "ClusterNetworkPolicy",
      head + "egress: [{action: Pass, to: [{networks: [10.0.0.0/8, 'fd00::/8']}]}]"),
    admin("ingress: \(repeated("{action: Pass, from: [{namespaces: {}}]}", 100))"),
    admin("ingress: [{action: Pass, from: \(repeated("{namespaces: {}}", 100))}]"),
    ports(repeated("{namedPort: a}", 100)),
    // The shapes of the project's conformance suite: block style, quoted names, comments, a list of networks
    // with an unquoted `::/0`.
    cluster(
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
    object("v1alpha2", "ClusterNetworkPolicy", head, name: "default"),
    baseline(""),
    object("v1alpha1", "AdminNetworkPolicy", "priority: 1\nsubject: {namespaces: {}}", name: "default"),
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
      "an unknown version", object("v1", "ClusterNetworkPolicy", head), "1:13 apiVersion",
      says: "policy.networking.k8s.io/v1alpha2 or policy.networking.k8s.io/v1beta1"),
    Refusal(
      "a namespace", cluster("").replacing("{name: p}", with: "{name: p, namespace: a}"),
      "3:32 metadata.namespace", says: "a ClusterNetworkPolicy is in no namespace"),
    Refusal(
      "a name with capitals", object("v1alpha2", "ClusterNetworkPolicy", head, name: "P"),
      "3:18 metadata.name", says: "DNS subdomain"),
    Refusal(
      "no spec",
      "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: p}\n",
      "1:1 spec", says: "required"),
    Refusal(
      "an empty spec", object("v1alpha2", "ClusterNetworkPolicy", "{}"), "5:3 spec.priority",
      "5:3 spec.subject",
      "5:3 spec.tier", says: "required"),
    Refusal("an unknown field", cluster("ingres: []"), "8:3 spec.ingres", says: "did you mean `ingress`?"),
    Refusal(
      "a tier in lower case",
      object("v1alpha2", "ClusterNetworkPolicy", "tier: admin\npriority: 1\nsubject: {namespaces: {}}"),
      "5:9 spec.tier", says: "did you mean `Admin`?"),
    Refusal(
      "a priority of 1001",
      object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: 1001\nsubject: {namespaces: {}}"),
      "6:13 spec.priority", says: "expected a priority from 0 to 1000, found `1001`"),
    Refusal(
      "a priority below 0",
      object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: -1\nsubject: {namespaces: {}}"),
      "6:13 spec.priority", says: "found `-1`"),
    Refusal(
      "a priority in quotes",
      object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: '1'\nsubject: {namespaces: {}}"),
      "6:13 spec.priority", says: "without quotes"),
    Refusal(
      "a subject of nothing",
      object("v1alpha2", "ClusterNetworkPolicy", "tier: Admin\npriority: 1\nsubject: {}"),
      "7:12 spec.subject", says: "exactly one of `namespaces`, `pods`, found none"),
    Refusal(
      "a subject of both",
      object(
        "v1alpha2", "ClusterNetworkPolicy",
        "tier: Admin\npriority: 1\nsubject: {namespaces: {}, pods: {podSelector: {}}}"),
      "7:12 spec.subject", says: "found `namespaces` and `pods`"),
    Refusal(
      "pods without a pod selector",
      object(
        "v1alpha2", "ClusterNetworkPolicy",
        "tier: Admin\npriority: 1\nsubject: {pods: {namespaceSelector: {}}}"),
      "7:19 spec.subject.pods.podSelector", says: "required"),
    Refusal(
      "a wrong label",
      object(
        "v1alpha2", "ClusterNetworkPolicy",
        "tier: Admin\npriority: 1\nsubject: {namespaces: {matchLabels: {a b: c}}}"),
      "7:40 spec.subject.namespaces.matchLabels[a b]", says: "label key"),
    Refusal(
      "26 rules", cluster("ingress: \(repeated("{action: Deny, from: [{namespaces: {}}]}", 26))"),
      "8:12 spec.ingress", says: "expected at most 25 rules, found 26"),
    Refusal(
      "a rule of nothing", cluster("ingress: [{}]"), "8:13 spec.ingress[0].action",
      "8:13 spec.ingress[0].from",
      says: "required"),
    Refusal(
      "the old word", cluster("ingress: [{action: Allow, from: [{namespaces: {}}]}]"),
      "8:22 spec.ingress[0].action", says: "expected Accept, Deny, Pass, found `Allow`"),
    Refusal(
      "the other direction's peers", cluster("ingress: [{action: Deny, to: [], from: [{namespaces: {}}]}]"),
      "8:28 spec.ingress[0].to", says: "unknown field `to` in an ingress rule"),
    Refusal(
      "the older kind's ports", egress("to: [{namespaces: {}}], ports: []"), "8:51 spec.egress[0].ports",
      says: "expected `name`, `action`, `to`, `protocols`"),
    Refusal(
      "a name of 101 characters", egress("name: \(String(repeating: "a", count: 101)), to: [{nodes: {}}]"),
      "8:33 spec.egress[0].name", says: "at most 100 characters, found 101"),
    Refusal(
      "no peers", egress("to: []"), "8:31 spec.egress[0].to", says: "expected 1 to 25 peers, found 0"),
    Refusal(
      "26 peers", egress("to: \(repeated("{nodes: {}}", 26))"), "8:31 spec.egress[0].to", says: "found 26"),
    Refusal(
      "a peer of nothing", egress("to: [{}]"), "8:32 spec.egress[0].to[0]",
      says: "exactly one of `namespaces`, `pods`, `nodes`, `networks`, `domainNames`, found none"),
    Refusal(
      "a peer of two", egress("to: [{nodes: {}, networks: [10.0.0.0/8]}]"), "8:32 spec.egress[0].to[0]",
      says: "found `nodes` and `networks`"),
    Refusal(
      "networks in ingress", cluster("ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]"),
      "8:36 spec.ingress[0].from[0].networks", says: "`networks` is a peer of egress rules only"),
    Refusal(
      "nodes in ingress", cluster("ingress: [{action: Deny, from: [{nodes: {}}]}]"),
      "8:36 spec.ingress[0].from[0].nodes", says: "`nodes` is a peer of egress rules only"),
    Refusal(
      "domain names", egress("to: [{domainNames: ['*.example.com']}]"),
      "8:33 spec.egress[0].to[0].domainNames", says: "not supported until DNS is followed"),
    Refusal(
      "no networks", egress("to: [{networks: []}]"), "8:43 spec.egress[0].to[0].networks",
      says: "1 to 25 networks, found 0"),
    Refusal(
      "26 networks",
      egress("to: [{networks: [\((0..<26).map { "10.0.\($0).0/24" }.joined(separator: ", "))]}]"),
      "8:43 spec.egress[0].to[0].networks", says: "found 26"),
    Refusal(
      "a network twice", egress("to: [{networks: [10.0.0.0/8, 10.0.0.0/8]}]"),
      "8:56 spec.egress[0].to[0].networks[1]", says: "`10.0.0.0/8` stands twice"),
    Refusal(
      "a network that is an address", egress("to: [{networks: [10.0.0.1]}]"),
      "8:44 spec.egress[0].to[0].networks[0]", says: "found `10.0.0.1`"),
    Refusal(
      "a network of 33 bits", egress("to: [{networks: [10.0.0.0/33]}]"),
      "8:44 spec.egress[0].to[0].networks[0]", says: "found `10.0.0.0/33`"),
    Refusal(
      "an IPv4 network in IPv6's form", egress("to: [{networks: ['::ffff:10.0.0.0/104']}]"),
      "8:44 spec.egress[0].to[0].networks[0]", says: "expected a block"),
    Refusal(
      "a list of protocols without any", protocols("[]"), "8:62 spec.egress[0].protocols",
      says: "1 to 25 ports, found 0"),
    Refusal(
      "26 protocols", protocols(repeated("{destinationNamedPort: a}", 26)), "8:62 spec.egress[0].protocols",
      says: "found 26"),
    Refusal(
      "a protocol of nothing", protocols("[{}]"), "8:63 spec.egress[0].protocols[0]",
      says: "exactly one of `tcp`, `udp`, `sctp`, `destinationNamedPort`, found none"),
    Refusal(
      "two protocols in one", protocols("[{tcp: {}, udp: {}}]"), "8:63 spec.egress[0].protocols[0]",
      says: "found `tcp` and `udp`"),
    Refusal(
      "a protocol without its port", protocols("[{tcp: {}}]"),
      "8:69 spec.egress[0].protocols[0].tcp.destinationPort", says: "required"),
    Refusal(
      "a protocol in capitals", protocols("[{TCP: {destinationPort: {number: 1}}}]"),
      "8:64 spec.egress[0].protocols[0].TCP", says: "did you mean `tcp`?"),
    Refusal(
      "a port of nothing", protocols("[{udp: {destinationPort: {}}}]"),
      "8:87 spec.egress[0].protocols[0].udp.destinationPort", says: "exactly one of `number`, `range`"),
    Refusal(
      "a port of both", protocols("[{udp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}]"),
      "8:87 spec.egress[0].protocols[0].udp.destinationPort", says: "found `number` and `range`"),
    Refusal(
      "port 0", protocols("[{tcp: {destinationPort: {number: 0}}}]"),
      "8:96 spec.egress[0].protocols[0].tcp.destinationPort.number", says: "from 1 to 65535"),
    Refusal(
      "a range of one", protocols("[{tcp: {destinationPort: {range: {start: 80, end: 80}}}}]"),
      "8:112 spec.egress[0].protocols[0].tcp.destinationPort.range.end", says: "more than `start` (80)"),
    Refusal(
      "a range without end", protocols("[{tcp: {destinationPort: {range: {start: 80}}}}]"),
      "8:95 spec.egress[0].protocols[0].tcp.destinationPort.range.end", says: "required"),
    Refusal(
      "a range that ends at 65536", protocols("[{tcp: {destinationPort: {range: {start: 1, end: 65536}}}}]"),
      "8:111 spec.egress[0].protocols[0].tcp.destinationPort.range.end", says: "found `65536`"),
    Refusal(
      "an empty name", protocols("[{destinationNamedPort: ''}]"),
      "8:86 spec.egress[0].protocols[0].destinationNamedPort", says: "not empty"),
    Refusal(
      "a named port of networks",
      egress("to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: http}]"),
      "8:70 spec.egress[0].protocols", says: "no named ports"),
    Refusal(
      "a named port of nodes", egress("to: [{nodes: {}}], protocols: [{destinationNamedPort: http}]"),
      "8:57 spec.egress[0].protocols", says: "no named ports"),
    Refusal(
      "v1beta1: bits beyond the prefix",
      object(
        "v1beta1", "ClusterNetworkPolicy", head + "egress: [{action: Deny, to: [{networks: [10.1.0.0/8]}]}]"),
      "8:44 spec.egress[0].to[0].networks[0]", says: "(10.0.0.0/8), found `10.1.0.0/8`"),
    Refusal("a status that is a list", cluster("") + "status: []\n", "9:9 status", says: "mapping"),
  ])
func refusedClusterNetworkPolicies(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}

@Test(
  "a v1alpha1 policy the API server would refuse is refused at the value that is wrong",
  arguments: [
    Refusal(
      "another version", object("v1alpha2", "AdminNetworkPolicy", "{}"), "1:13 apiVersion",
      says: "understood as policy.networking.k8s.io/v1alpha1"),
    Refusal(
      "no priority", object("v1alpha1", "AdminNetworkPolicy", "subject: {namespaces: {}}"),
      "5:3 spec.priority",
      says: "required"),
    Refusal("a tier", admin("tier: Admin"), "7:3 spec.tier", says: "an AdminNetworkPolicy's spec"),
    Refusal(
      "pods without a namespace selector",
      object("v1alpha1", "AdminNetworkPolicy", "priority: 1\nsubject: {pods: {podSelector: {}}}"),
      "6:19 spec.subject.pods.namespaceSelector", says: "required"),
    Refusal(
      "the new word", admin("ingress: [{action: Accept, from: [{namespaces: {}}]}]"),
      "7:22 spec.ingress[0].action", says: "expected Allow, Deny, Pass"),
    Refusal(
      "101 rules", admin("ingress: \(repeated("{action: Pass, from: [{namespaces: {}}]}", 101))"),
      "7:12 spec.ingress", says: "at most 100 rules, found 101"),
    Refusal(
      "101 peers", admin("ingress: [{action: Pass, from: \(repeated("{namespaces: {}}", 101))}]"),
      "7:34 spec.ingress[0].from", says: "1 to 100 peers, found 101"),
    Refusal("no ports", ports("[]"), "7:58 spec.egress[0].ports", says: "1 to 100 ports, found 0"),
    Refusal(
      "101 ports", ports(repeated("{namedPort: a}", 101)), "7:58 spec.egress[0].ports", says: "found 101"),
    Refusal(
      "a port of nothing", ports("[{}]"), "7:59 spec.egress[0].ports[0]",
      says: "exactly one of `portNumber`, `portRange`, `namedPort`, found none"),
    Refusal(
      "a port of two", ports("[{namedPort: a, portNumber: {port: 1}}]"), "7:59 spec.egress[0].ports[0]",
      says: "found `namedPort` and `portNumber`"),
    Refusal(
      "a port without number", ports("[{portNumber: {protocol: TCP}}]"),
      "7:72 spec.egress[0].ports[0].portNumber.port", says: "required"),
    Refusal(
      "a port of another protocol", ports("[{portNumber: {protocol: tcp, port: 1}}]"),
      "7:83 spec.egress[0].ports[0].portNumber.protocol", says: "did you mean `TCP`?"),
    Refusal(
      "port 65536", ports("[{portNumber: {port: 65536}}]"),
      "7:79 spec.egress[0].ports[0].portNumber.port", says: "from 1 to 65535"),
    Refusal(
      "a range backwards", ports("[{portRange: {start: 80, end: 79}}]"),
      "7:88 spec.egress[0].ports[0].portRange.end", says: "more than `start` (80), found `79`"),
    Refusal(
      "a named port of nodes", admin("egress: [{action: Deny, to: [{nodes: {}}], ports: [{namedPort: a}]}]"),
      "7:53 spec.egress[0].ports", says: "no named ports"),
    Refusal(
      "networks in ingress", admin("ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]"),
      "7:36 spec.ingress[0].from[0].networks", says: "egress rules only"),
    Refusal(
      "domain names", admin("egress: [{action: Allow, to: [{domainNames: [example.com]}]}]"),
      "7:34 spec.egress[0].to[0].domainNames", says: "until DNS is followed"),
    Refusal(
      "an IPv4 address inside IPv6",
      admin("egress: [{action: Deny, to: [{networks: ['64:ff9b::10.0.0.0/120']}]}]"),
      "7:44 spec.egress[0].to[0].networks[0]", says: "without an IPv4 address inside"),
    Refusal(
      "a baseline of another name", baseline("ingress: []", name: "mine"), "3:18 metadata.name",
      says: "expected `default`, the only name a BaselineAdminNetworkPolicy can have, found `mine`"),
    Refusal(
      "a baseline that passes", baseline("ingress: [{action: Pass, from: [{namespaces: {}}]}]"),
      "6:22 spec.ingress[0].action", says: "expected Allow, Deny, found `Pass`"),
    Refusal("a baseline's priority", baseline("priority: 1"), "6:3 spec.priority", says: "unknown field"),
  ])
func refusedAdminNetworkPolicies(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}
