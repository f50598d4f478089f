import Testing

@testable import Policy

private func read(_ spec: String) throws -> NetworkPolicy {
  let reading = Reading(texts: [("t.yaml", networkPolicy(spec))])
  try #require(reading.problems.isEmpty, "\(reading.problems)")
  return try #require(reading.set.networkPolicies.first)
}

private func cidr(_ text: String) throws -> CIDR { try #require(CIDR(text)) }

private func label(_ key: String, _ value: String) -> Selector.Requirement {
  Selector.Requirement(key: key, operator: .in, values: [value])
}

@Test("a NetworkPolicy with everything in it is read as written, with the place of each rule and peer")
func wholeNetworkPolicy() throws {
  let policy = try read(
    """
    podSelector: {matchLabels: {app: api, tier: back}}
    policyTypes: [Ingress, Egress]
    ingress:
    - from:
      - podSelector:
          matchExpressions:
          - {key: app, operator: In, values: [web, batch]}
          - {key: example.com/old, operator: DoesNotExist}
      - namespaceSelector: {}
        podSelector: {matchLabels: {app: x}}
      - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}
      ports:
      - port: 80
      - {port: 8000, endPort: 8010, protocol: UDP}
      - {port: http}
      - {protocol: SCTP}
    egress:
    - {}
    - to: [{namespaceSelector: {matchExpressions: [{key: a, operator: Exists}, {key: b, operator: NotIn, values: [""]}]}}]
    """)
  #expect(policy.name == Name("shop", "p"))
  #expect(policy.place == Place(file: "t.yaml", line: 1, column: 1))
  #expect(policy.podSelector == Selector([label("app", "api"), label("tier", "back")]))
  #expect(policy.isolatesIngress && policy.isolatesEgress)

  let rule = try #require(policy.ingress.first)
  #expect(policy.ingress.count == 1)
  #expect(rule.place == Place(file: "t.yaml", line: 8, column: 5))
  #expect(rule.peerPlaces.map(\.line) == [9, 13, 15])
  #expect(rule.peerPlaces.map(\.column) == [7, 7, 7])
  let block = NetworkPolicy.IPBlock(
    cidr: try cidr("10.0.0.0/8"), except: [try cidr("10.1.0.0/16"), try cidr("10.2.0.0/16")])
  let peers: [NetworkPolicy.Peer] = [
    .selector(
      PeerSelector(
        namespaces: nil,
        pods: Selector([
          .init(key: "app", operator: .in, values: ["web", "batch"]),
          .init(key: "example.com/old", operator: .doesNotExist, values: []),
        ]))),
    .selector(PeerSelector(namespaces: .everything, pods: Selector([label("app", "x")]))),
    .ipBlock(block),
  ]
  #expect(rule.peers == peers)
  let ports: [NetworkPolicy.Port] = [
    .init(protocol: .tcp, number: .range(80...80)), .init(protocol: .udp, number: .range(8000...8010)),
    .init(protocol: .tcp, number: .named("http")), .init(protocol: .sctp, number: .any),
  ]
  #expect(rule.ports == ports)

  #expect(policy.egress.count == 2)
  #expect(policy.egress[0].peers.isEmpty && policy.egress[0].ports.isEmpty)
  let requirements: [Selector.Requirement] = [
    .init(key: "a", operator: .exists, values: []), .init(key: "b", operator: .notIn, values: [""]),
  ]
  #expect(policy.egress[1].peers == [.selector(PeerSelector(namespaces: Selector(requirements), pods: nil))])
}

@Test(
  "policyTypes default to Ingress, and to Egress where there are egress rules",
  arguments: [
    ("podSelector: {}", true, false), ("{}", true, false), ("ingress: [{}]", true, false),
    ("egress: [{}]", true, true),
    ("egress: []", true, false), ("policyTypes: []", true, false),
    ("policyTypes: []\negress: [{}]", true, true),
    ("policyTypes: [Egress]", false, true), ("policyTypes: [Ingress]\negress: [{}]", true, false),
    ("policyTypes: null", true, false), ("policyTypes: [Ingress, Ingress]", true, false),
    ("policyTypes: [Ingress, Egress]", true, true),
  ])
func policyTypes(spec: String, ingress: Bool, egress: Bool) throws {
  let policy = try read(spec)
  #expect(policy.isolatesIngress == ingress)
  #expect(policy.isolatesEgress == egress)
  #expect(policy.podSelector == .everything)
}

@Test("a policy without a spec selects every pod of the default namespace")
func withoutSpec() throws {
  let reading = Reading(texts: [
    ("t.yaml", "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}}")
  ])
  #expect(reading.problems.isEmpty)
  #expect(reading.set.networkPolicies.map(\.name) == [Name("default", "p")])
  #expect(reading.set.networkPolicies.map(\.podSelector) == [.everything])
}

@Test("null is the same as absent: a peer's null selector is none, an empty one is everything")
func nullIsAbsent() throws {
  let policy = try read(
    "ingress:\n- from:\n  - namespaceSelector: null\n    podSelector: {}\n- from: null\n  ports:\n- from:\n  - {namespaceSelector: {}}"
  )
  #expect(
    policy.ingress.map(\.peers) == [
      [.selector(PeerSelector(namespaces: nil, pods: .everything))], [],
      [.selector(PeerSelector(namespaces: .everything, pods: nil))],
    ])
}

@Test("an IPv6 block holds no IPv4 address, and bits beyond a prefix are dropped")
func blocks() throws {
  let policy = try read(
    "egress: [{to: [{ipBlock: {cidr: '::/0', except: ['fd00::/8']}}, {ipBlock: {cidr: 10.1.2.3/8}}]}]")
  guard case .ipBlock(let everything)? = policy.egress.first?.peers.first else {
    Issue.record("no block")
    return
  }
  #expect(try everything.contains(#require(IPAddress("2001:db8::1"))))
  #expect(try !everything.contains(#require(IPAddress("fd00::1"))))
  #expect(!everything.contains(IPAddress(v4: 0x0a00_0001)))
  #expect(policy.egress[0].peers[1] == .ipBlock(.init(cidr: try cidr("10.0.0.0/8"), except: [])))
}

@Test(
  "a NetworkPolicy the API server would refuse is refused at the value that is wrong",
  arguments: [
    Refusal(
      "unknown field", networkPolicy("podSelectr: {}"), "5:3 spec.podSelectr",
      says: "did you mean `podSelector`?"),
    Refusal(
      "wrong case of a field", networkPolicy("PodSelector: {}"), "5:3 spec.PodSelector",
      says: "did you mean `podSelector`?"),
    Refusal(
      "unknown field in a rule", networkPolicy("ingress:\n- to: []"), "6:5 spec.ingress[0].to",
      says: "unknown field `to` in an ingress rule"),
    Refusal(
      "a rule that is null", networkPolicy("ingress:\n-"), "6:4 spec.ingress[0]", says: "found nothing"),
    Refusal(
      "rules that are a mapping", networkPolicy("ingress: {}"), "5:12 spec.ingress",
      says: "expected a list of ingress rules, found a mapping"),
    Refusal("a spec that is a list", networkPolicy("[]"), "5:3 spec", says: "a mapping"),
    Refusal(
      "an unknown policy type", networkPolicy("policyTypes: [ingress]"), "5:17 spec.policyTypes[0]",
      says: "did you mean `Ingress`?"),
    Refusal(
      "three policy types", networkPolicy("policyTypes: [Ingress, Egress, Ingress]"), "5:16 spec.policyTypes",
      says: "at most two"),
    Refusal(
      "a peer of nothing", networkPolicy("ingress: [{from: [{}]}]"), "5:21 spec.ingress[0].from[0]",
      says: "expected a peer"),
    Refusal(
      "a peer of null selectors", networkPolicy("egress: [{to: [{podSelector: null}]}]"),
      "5:18 spec.egress[0].to[0]", says: "expected a peer"),
    Refusal(
      "a block beside a selector",
      networkPolicy("ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}, podSelector: []}]}]"),
      "5:21 spec.ingress[0].from[0]", "5:38 spec.ingress[0].from[0].ipBlock.cidr",
      "5:62 spec.ingress[0].from[0].podSelector", says: "found both"),
    Refusal(
      "a block without cidr", networkPolicy("ingress: [{from: [{ipBlock: {}}]}]"),
      "5:31 spec.ingress[0].from[0].ipBlock.cidr", says: "required"),
    Refusal(
      "a block that is an address", networkPolicy("ingress: [{from: [{ipBlock: {cidr: 10.0.0.1}}]}]"),
      "5:38 spec.ingress[0].from[0].ipBlock.cidr", says: "found `10.0.0.1`"),
    Refusal(
      "an exception outside",
      networkPolicy("ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]"),
      "5:59 spec.ingress[0].from[0].ipBlock.except[0]", says: "part of 10.0.0.0/8"),
    Refusal(
      "an exception as large as the block",
      networkPolicy("ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]"),
      "5:59 spec.ingress[0].from[0].ipBlock.except[0]", says: "smaller"),
    Refusal(
      "an exception of the other family",
      networkPolicy("ingress: [{from: [{ipBlock: {cidr: '::/0', except: [10.0.0.0/8]}}]}]"),
      "5:55 spec.ingress[0].from[0].ipBlock.except[0]", says: "part of ::/0"),
    Refusal(
      "port 0", networkPolicy("ingress: [{ports: [{port: 0}]}]"), "5:29 spec.ingress[0].ports[0].port",
      says: "from 1 to 65535"),
    Refusal(
      "port 65536", networkPolicy("ingress: [{ports: [{port: 80}, {port: 65536}]}]"),
      "5:41 spec.ingress[0].ports[1].port", says: "found `65536`"),
    Refusal(
      "a port with a fraction", networkPolicy("ingress: [{ports: [{port: 80.5}]}]"),
      "5:29 spec.ingress[0].ports[0].port", says: "the number `80.5`"),
    Refusal(
      "a number in quotes", networkPolicy("ingress: [{ports: [{port: '80'}]}]"),
      "5:29 spec.ingress[0].ports[0].port", says: "without quotes"),
    Refusal(
      "a port name with capitals", networkPolicy("ingress: [{ports: [{port: HTTP}]}]"),
      "5:29 spec.ingress[0].ports[0].port", says: "port name"),
    Refusal(
      "a port name of 16 characters", networkPolicy("ingress: [{ports: [{port: abcdefghijklmnop}]}]"),
      "5:29 spec.ingress[0].ports[0].port", says: "at most 15"),
    Refusal(
      "a port name with two hyphens in a row", networkPolicy("ingress: [{ports: [{port: a--b}]}]"),
      "5:29 spec.ingress[0].ports[0].port", says: "twice in a row"),
    Refusal(
      "a port name without a letter", networkPolicy("ingress: [{ports: [{port: 1-2}]}]"),
      "5:29 spec.ingress[0].ports[0].port", says: "letter"),
    Refusal(
      "a protocol in lower case", networkPolicy("ingress: [{ports: [{protocol: tcp}]}]"),
      "5:33 spec.ingress[0].ports[0].protocol", says: "did you mean `TCP`?"),
    Refusal(
      "ICMP", networkPolicy("ingress: [{ports: [{protocol: ICMP}]}]"),
      "5:33 spec.ingress[0].ports[0].protocol", says: "TCP, UDP, SCTP"),
    Refusal(
      "endPort alone", networkPolicy("ingress: [{ports: [{endPort: 80}]}]"),
      "5:32 spec.ingress[0].ports[0].endPort", says: "beside"),
    Refusal(
      "endPort beside a name", networkPolicy("ingress: [{ports: [{port: http, endPort: 80}]}]"),
      "5:44 spec.ingress[0].ports[0].endPort", says: "`http`"),
    Refusal(
      "endPort below port", networkPolicy("ingress: [{ports: [{port: 80, endPort: 79}]}]"),
      "5:42 spec.ingress[0].ports[0].endPort", says: "80 or more"),
    Refusal(
      "an empty port name", networkPolicy("ingress: [{ports: [{port: ''}]}]"),
      "5:29 spec.ingress[0].ports[0].port", says: "port name"),
    Refusal(
      "endPort above 65535", networkPolicy("ingress: [{ports: [{port: 80, endPort: 65536}]}]"),
      "5:42 spec.ingress[0].ports[0].endPort", says: "from 1 to 65535"),
    Refusal(
      "an empty block", networkPolicy("ingress: [{from: [{ipBlock: {cidr: ''}}]}]"),
      "5:38 spec.ingress[0].from[0].ipBlock.cidr", says: "expected a block"),
    Refusal(
      "an address with a leading zero",
      networkPolicy("ingress: [{from: [{ipBlock: {cidr: 010.0.0.0/8}}]}]"),
      "5:38 spec.ingress[0].from[0].ipBlock.cidr", says: "found `010.0.0.0/8`"),
    Refusal(
      "endPort in quotes", networkPolicy("ingress: [{ports: [{port: 80, endPort: '90'}]}]"),
      "5:42 spec.ingress[0].ports[0].endPort", says: "without quotes"),
    Refusal(
      "an unknown operator", networkPolicy("podSelector: {matchExpressions: [{key: a, operator: Equals}]}"),
      "5:55 spec.podSelector.matchExpressions[0].operator", says: "In, NotIn, Exists, DoesNotExist"),
    Refusal(
      "In without values", networkPolicy("podSelector: {matchExpressions: [{key: a, operator: In}]}"),
      "5:36 spec.podSelector.matchExpressions[0].values", says: "at least one value"),
    Refusal(
      "NotIn with an empty list",
      networkPolicy("podSelector: {matchExpressions: [{key: a, operator: NotIn, values: []}]}"),
      "5:70 spec.podSelector.matchExpressions[0].values", says: "at least one value for NotIn"),
    Refusal(
      "Exists with a value",
      networkPolicy("podSelector: {matchExpressions: [{key: a, operator: Exists, values: [x]}]}"),
      "5:71 spec.podSelector.matchExpressions[0].values", says: "no values for Exists"),
    Refusal(
      "a requirement without key and operator", networkPolicy("podSelector: {matchExpressions: [{}]}"),
      "5:36 spec.podSelector.matchExpressions[0].key", "5:36 spec.podSelector.matchExpressions[0].operator",
      says: "required"),
    Refusal(
      "a label key with a space", networkPolicy("podSelector: {matchLabels: {a b: c}}"),
      "5:31 spec.podSelector.matchLabels[a b]", says: "label key"),
    Refusal(
      "a label key with two slashes", networkPolicy("podSelector: {matchLabels: {a/b/c: d}}"),
      "5:31 spec.podSelector.matchLabels[a/b/c]", says: "label key"),
    Refusal(
      "a label value that ends in a dot", networkPolicy("podSelector: {matchLabels: {a: b.}}"),
      "5:34 spec.podSelector.matchLabels.a", says: "label value"),
    Refusal(
      "a label value that is a number", networkPolicy("podSelector: {matchLabels: {a: 80}}"),
      "5:34 spec.podSelector.matchLabels.a",
      says: "expected a string, found the number `80`; put it in quotes"),
    Refusal(
      "a label value that is a boolean", networkPolicy("podSelector: {matchLabels: {a: y}}"),
      "5:34 spec.podSelector.matchLabels.a",
      says: "found the boolean `y`; put it in quotes"),
    Refusal(
      "a label value of 64 characters",
      networkPolicy("podSelector: {matchLabels: {a: \(String(repeating: "b", count: 64))}}"),
      "5:34 spec.podSelector.matchLabels.a", says: "at most 63"),
    Refusal(
      "every problem at once",
      networkPolicy("podSelector: []\ningress: [{ports: [{port: 0}, {port: 70000}]}]\negress: x"),
      "5:16 spec.podSelector", "6:29 spec.ingress[0].ports[0].port", "6:40 spec.ingress[0].ports[1].port",
      "7:11 spec.egress", says: ""),
  ])
func refusedNetworkPolicies(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}
