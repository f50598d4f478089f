import Testing

@testable import Policy

private func readAll(_ text: String) throws -> [CiliumPolicy] {
  let reading = Reading(texts: [("t.yaml", text)])
  try #require(reading.problems.isEmpty, "\(reading.problems)")
  return reading.set.ciliumPolicies
}

private func read(_ spec: String) throws -> CiliumPolicy {
  try #require(try readAll(ciliumPolicy(spec)).first)
}

private func readClusterwide(_ spec: String) throws -> CiliumPolicy {
  try #require(try readAll(clusterwidePolicy(spec)).first)
}

private func asked(_ key: String, _ values: String...) -> Selector.Requirement {
  Selector.Requirement(key: key, operator: .in, values: Set(values))
}

private let inShop = asked("kubernetes.io/metadata.name", "shop")

private func peers(
  _ namespaces: [Selector.Requirement], _ pods: [Selector.Requirement] = [],
  accounts: [Selector.Requirement]? = nil
) -> PeerSelector {
  PeerSelector(
    namespaces: Selector(namespaces), pods: Selector(pods), accounts: accounts.map { Selector($0) })
}

private func block(_ text: String, except: String...) throws -> IPBlock {
  IPBlock(cidr: try #require(CIDR(text)), except: try except.map { try #require(CIDR($0)) })
}

@Test func `a CiliumNetworkPolicy with everything in it is read as written, with paths and places`() throws {
  let policy = try read(
    """
    description: who may call the shop
    labels: [{key: team, value: shop, source: k8s}]
    log: {value: audit}
    endpointSelector: {matchLabels: {app: api, k8s:tier: back}}
    ingress:
    - fromEndpoints:
      - matchLabels: {app: web}
      - matchExpressions: [{key: k8s:app, operator: NotIn, values: [old]}]
      toPorts:
      - ports: [{port: "80", protocol: TCP}, {port: HTTP-alt, protocol: TCP}]
        rules:
          http:
          - {method: GET|HEAD, path: "/api/.*", host: shop\\.example}
          - headers: ["X-Tenant: a b", x-trace]
            headerMatches: [{name: X-Key, value: k}, {name: X-Any}, {name: X-Log, value: l, mismatch: LOG}]
          - {}
    - authentication: {mode: disabled}
      fromEntities: [world, kube-apiserver]
      icmps: [{fields: [{type: 8}, {type: EchoReply, family: IPv4}, {type: "128", family: IPv6}]}]
    ingressDeny:
    - fromCIDR: [192.0.2.7, 10.0.0.0/8, 2001:db8::/32]
    egress:
    - toCIDRSet: [{cidr: 0.0.0.0/0, except: [10.0.0.0/8, 192.168.0.0/16]}]
      toPorts: [{ports: [{port: "8000", endPort: 8010}, {port: "53", protocol: ANY}]}]
    egressDeny:
    - toNodes: [{matchLabels: {role: edge}}]
    """)
  #expect(policy.kind == .networkPolicy && policy.name == Name("shop", "p") && policy.prefix.isEmpty)
  #expect(policy.place == Place(file: "t.yaml", line: 5, column: 3))
  #expect(policy.subject == .endpoints(peers([inShop], [asked("app", "api"), asked("tier", "back")])))
  #expect(policy.isolatesIngress && policy.isolatesEgress)

  #expect(policy.ingress.map(\.place.line) == [10, 21])
  let first = try #require(policy.ingress[0].peers)
  #expect(first.map(\.path) == ["fromEndpoints[0]", "fromEndpoints[1]"])
  #expect(first.map(\.place.line) == [11, 12])
  let old = Selector.Requirement(key: "app", operator: .notIn, values: ["old"])
  #expect(
    first.map(\.peer) == [
      .selector(peers([inShop], [asked("app", "web")])), .selector(peers([inShop], [old])),
    ])
  let web = try #require(policy.ingress[0].ports.first)
  #expect(web.path == "toPorts[0]" && web.place.line == 14)
  #expect(
    web.ports == [
      PortMatch(protocol: .tcp, number: .range(80...80)),
      PortMatch(protocol: .tcp, number: .named("http-alt")),
    ])
  #expect(
    web.requests == [
      RequestMatch(
        methods: [.regex("GET|HEAD")], urls: [.regex("/api/.*")], hosts: [.regex("shop\\.example")]),
      RequestMatch(headers: [
        HeaderMatch(name: "x-tenant", values: [.exact("a b")]), HeaderMatch(name: "x-trace", values: [.any]),
        HeaderMatch(name: "x-key", values: [.exact("k")]), HeaderMatch(name: "x-any", values: [.any]),
      ]),
      RequestMatch(),
    ])

  #expect(policy.ingress[1].peers?.map(\.peer) == [.entity(.world), .entity(.kubeAPIServer)])
  #expect(policy.ingress[1].ports.map(\.path) == ["icmps[0]"])
  #expect(
    policy.ingress[1].ports[0].ports == [
      PortMatch(protocol: .icmp, number: .range(8...8)), PortMatch(protocol: .icmp, number: .range(0...0)),
      PortMatch(protocol: .icmpv6, number: .range(128...128)),
    ])
  #expect(policy.ingress[1].ports[0].requests == nil)

  #expect(
    policy.ingressDeny[0].peers?.map(\.peer) == [
      .outside(try block("192.0.2.7/32")), .outside(try block("10.0.0.0/8")),
      .outside(try block("2001:db8::/32")),
    ])
  #expect(policy.ingressDeny[0].ports.isEmpty)
  #expect(
    policy.egress[0].peers?.map(\.peer) == [
      .outside(try block("0.0.0.0/0", except: "10.0.0.0/8", "192.168.0.0/16"))
    ])
  #expect(
    policy.egress[0].ports[0].ports == [
      PortMatch(protocol: nil, number: .range(8000...8010)),
      PortMatch(protocol: nil, number: .range(53...53)),
    ])
  #expect(policy.egressDeny[0].peers?.map(\.peer) == [.nodes(Selector([asked("role", "edge")]))])
}

// MARK: - Isolation

@Test(
  arguments: [
    ("ingress: [{}]", true, false), ("ingressDeny: [{}]", true, false), ("egress: [{}]", false, true),
    ("egressDeny: [{}]", false, true), ("ingress: [{}]\negress: []", true, false),
    ("ingress: [{}]\negress: [{}]", true, true),
    ("ingress: [{}]\nenableDefaultDeny: {ingress: false}", false, false),
    ("ingress: [{}]\nenableDefaultDeny: {egress: true}", true, true),
    ("ingress: [{}]\nenableDefaultDeny: {ingress: null}", true, false),
    ("ingress: [{}]\nenableDefaultDeny: {}", true, false),
    ("egressDeny: [{}]\nenableDefaultDeny: {egress: false, ingress: true}", true, false),
  ])
func `a direction isolates where it has a rule, allowing or denying, unless enableDefaultDeny says otherwise`(
  spec: String, ingress: Bool, egress: Bool
) throws {
  let policy = try read("endpointSelector: {}\n" + spec)
  #expect(policy.isolatesIngress == ingress)
  #expect(policy.isolatesEgress == egress)
}

@Test(
  arguments: [
    ("{}", nil, 0), ("{fromEndpoints: []}", 0, 0), ("{fromEndpoints: null}", nil, 0),
    ("{toPorts: []}", nil, 0),
    ("{toPorts: [{}]}", nil, 1), ("{fromEntities: []}", 0, 0), ("{fromCIDR: []}", 0, 0),
    ("{fromCIDRSet: []}", 0, 0),
    ("{fromNodes: []}", 0, 0), ("{fromEndpoints: [], fromEntities: [all]}", 0, 0), ("{icmps: []}", nil, 0),
    ("{fromEntities: [all], toPorts: [{ports: []}]}", 1, 1),
  ] as [(String, Int?, Int)])
func `an empty rule names neither peers nor ports, an empty list of peers nobody, an absent one everybody`(
  rule: String, peers: Int?, ports: Int
) throws {
  let policy = try read("endpointSelector: {}\ningress: [\(rule)]")
  #expect(policy.ingress[0].peers?.count == peers)
  #expect(policy.ingress[0].ports.count == ports)
  #expect(policy.ingress[0].ports.allSatisfy { $0.ports.isEmpty && $0.requests == nil })
}

// MARK: - Objects

@Test func `specs are as many policies of one object, spec is one more, and each rule is named in its own`()
  throws
{
  let text = """
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: p}
    spec: {endpointSelector: {}, egress: [{}]}
    specs:
    - {endpointSelector: {matchLabels: {app: a}}, ingress: [{}]}
    - endpointSelector: {matchLabels: {app: b}}
      ingress: [{fromEntities: [all]}]
    status: {conditions: [{type: Valid, status: "True"}]}
    """
  let reading = Reading(texts: [("t.yaml", text)])
  #expect(reading.problems.isEmpty)
  #expect(reading.objects == 1)
  let policies = reading.set.ciliumPolicies
  #expect(policies.map(\.prefix) == ["", "specs[0].", "specs[1]."])
  #expect(policies.map(\.name) == Array(repeating: Name("default", "p"), count: 3))
  #expect(policies.map(\.place.line) == [4, 6, 7])
  let rule = policies[2].ingress[0]
  let name = policies[2].ruleName(.ingress, denying: false, rule: 0, peer: rule.peers?.first, ports: nil)
  #expect(name.rule == "specs[1].ingress[0].fromEntities[0]")
}

@Test func `a list as kubectl prints it is read, and no specs at all are no policy`() throws {
  let text = """
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicyList
    metadata: {resourceVersion: ""}
    items:
    - metadata: {name: a}
      spec: {endpointSelector: {}, ingress: [{}]}
    - metadata: {name: b}
      specs: []
    """
  #expect(try readAll(text).map(\.name) == [Name("default", "a")])
}

@Test func `a clusterwide policy is in no namespace and selects endpoints of every one, or nodes`() throws {
  let everywhere = try readClusterwide("endpointSelector: {matchLabels: {app: web}}\ningress: [{}]")
  #expect(everywhere.kind == .clusterwide && everywhere.name == Name("", "p.q"))
  #expect(everywhere.subject == .endpoints(peers([], [asked("app", "web")])))
  let some = try readClusterwide(
    """
    endpointSelector:
      matchExpressions:
      - {key: k8s:io.kubernetes.pod.namespace, operator: NotIn, values: [kube-system]}
      - {key: io.cilium.k8s.namespace.labels.team, operator: Exists}
    ingress: [{}]
    """)
  #expect(
    some.subject
      == .endpoints(
        peers([
          .init(key: "kubernetes.io/metadata.name", operator: .notIn, values: ["kube-system"]),
          .init(key: "team", operator: .exists, values: []),
        ])))
  let nodes = try readClusterwide(
    """
    nodeSelector: {matchLabels: {node-role.kubernetes.io/control-plane: "", k8s:zone: a}}
    ingress: [{fromEntities: [remote-node]}, {toPorts: [{ports: [{port: "22", protocol: TCP}]}]}]
    """)
  #expect(
    nodes.subject
      == .nodes(Selector([asked("node-role.kubernetes.io/control-plane", ""), asked("zone", "a")])))
}

// MARK: - Selectors

@Test(
  arguments: [
    ("{}", peers([inShop])),
    ("{matchLabels: {app: web}}", peers([inShop], [asked("app", "web")])),
    ("{matchLabels: {any:app: web}}", peers([inShop], [asked("app", "web")])),
    (
      "{matchLabels: {k8s:app.kubernetes.io/name: web}}",
      peers([inShop], [asked("app.kubernetes.io/name", "web")])
    ),
    (
      "{matchLabels: {k8s:io.kubernetes.pod.namespace: kube-system, k8s-app: dns}}",
      peers([asked("kubernetes.io/metadata.name", "kube-system")], [asked("k8s-app", "dns")])
    ),
    (
      "{matchLabels: {io.kubernetes.pod.namespace: kube-system}}",
      peers([asked("kubernetes.io/metadata.name", "kube-system")])
    ),
    (
      "{matchLabels: {io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name: dev}}",
      peers([asked("kubernetes.io/metadata.name", "dev")])
    ),
    ("{matchLabels: {k8s:io.cilium.k8s.namespace.labels.team: a}}", peers([asked("team", "a")])),
    (
      "{matchExpressions: [{key: k8s:io.kubernetes.pod.namespace, operator: Exists}]}",
      peers([.init(key: "kubernetes.io/metadata.name", operator: .exists, values: [])])
    ),
    (
      "{matchExpressions: [{key: io.kubernetes.pod.namespace, operator: In, values: [a, b]}]}",
      peers([asked("kubernetes.io/metadata.name", "a", "b")])
    ),
    (
      "{matchLabels: {io.cilium.k8s.policy.serviceaccount: web}}",
      peers([inShop], accounts: [asked("io.cilium.k8s.policy.serviceaccount", "web")])
    ),
    (
      "{matchLabels: {io.cilium.k8s.policy.cluster: default, app: web}}",
      peers([inShop], [asked("app", "web")])
    ),
    (
      "{matchExpressions: [{key: k8s:io.cilium.k8s.policy.cluster, operator: NotIn, values: [other]}]}",
      peers([inShop])
    ),
    ("{matchLabels: {b: x, a: z}}", peers([inShop], [asked("a", "z"), asked("b", "x")])),
  ])
func `a peer selector means the policy's namespace, unless it speaks of namespaces itself`(
  selector: String, expected: PeerSelector
) throws {
  let ingress = try read("endpointSelector: {}\ningress: [{fromEndpoints: [\(selector)]}]")
  #expect(ingress.ingress[0].peers?.map(\.peer) == [.selector(expected)])
  let egress = try read("endpointSelector: {}\negressDeny: [{toEndpoints: [\(selector)]}]")
  #expect(egress.egressDeny[0].peers?.map(\.peer) == [.selector(expected)])
}

@Test(
  arguments: [
    ("{}", peers([])), ("{matchLabels: {app: web}}", peers([], [asked("app", "web")])),
    (
      "{matchLabels: {io.kubernetes.pod.namespace: dev}}",
      peers([asked("kubernetes.io/metadata.name", "dev")])
    ),
  ])
func `a clusterwide peer selector means every namespace, unless it speaks of namespaces itself`(
  selector: String, expected: PeerSelector
) throws {
  let policy = try readClusterwide("endpointSelector: {}\ningress: [{fromEndpoints: [\(selector)]}]")
  #expect(policy.ingress[0].peers?.map(\.peer) == [.selector(expected)])
}

@Test(
  arguments: [
    ("{matchLabels: {'reserved:host': ''}}", .host), ("{matchLabels: {reserved.world: ''}}", .world),
    ("{matchLabels: {$health: ''}}", .health),
    ("{matchExpressions: [{key: 'reserved:init', operator: Exists}]}", .`init`),
    ("{matchExpressions: [{key: 'reserved:remote-node', operator: In, values: ['']}]}", .remoteNode),
    ("{matchLabels: {'reserved:kube-apiserver': ''}}", .kubeAPIServer),
    ("{matchLabels: {'reserved:world-ipv6': ''}}", .worldIPv6),
  ] as [(String, Entity)])
func `a reserved label among peers is the entity of that name`(selector: String, entity: Entity) throws {
  let policy = try read("endpointSelector: {}\ningress: [{fromEndpoints: [\(selector)]}]")
  #expect(policy.ingress[0].peers?.map(\.peer) == [.entity(entity)])
}

@Test func `every entity of the API is read`() throws {
  for entity in Entity.allCases {
    let policy = try read("endpointSelector: {}\negress: [{toEntities: [\(entity.rawValue)]}]")
    #expect(policy.egress[0].peers?.map(\.peer) == [.entity(entity)])
  }
  #expect(Entity.allCases.count == 13)
}

@Test func `endpointSelector applies in the policy's namespace, whatever namespace its labels name`() throws {
  let other = try read(
    "endpointSelector: {matchLabels: {k8s:io.kubernetes.pod.namespace: other, app: a}}\ningress: [{}]")
  #expect(other.subject == .endpoints(peers([inShop], [asked("app", "a")])))
  // Under another key Cilium asks for both, which is nobody.
  let both = try read("endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: other}}\ningress: [{}]")
  #expect(
    both.subject == .endpoints(peers([inShop, asked("kubernetes.io/metadata.name", "other")])))
}

@Test
func
  `an endpoint here has no reserved label: to ask for one selects nobody, to ask that it is missing is true`()
  throws
{
  for selector in [
    "{matchLabels: {reserved:init: ''}}", "{matchExpressions: [{key: reserved:ingress, operator: Exists}]}",
  ] {
    let policy = try readClusterwide("endpointSelector: \(selector)\ningress: [{}]")
    #expect(
      policy.subject
        == .endpoints(peers([.init(key: "kubernetes.io/metadata.name", operator: .in, values: [])])))
  }
  let others = try readClusterwide(
    "endpointSelector: {matchExpressions: [{key: reserved:health, operator: DoesNotExist}]}\ningress: [{}]")
  #expect(others.subject == .endpoints(peers([])))
}

// MARK: - Ports and requests

@Test(
  arguments: [
    ("{port: '80'}", PortMatch(protocol: nil, number: .range(80...80))),
    ("{port: '0'}", PortMatch(protocol: nil, number: .any)),
    ("{port: '0', protocol: UDP}", PortMatch(protocol: .udp, number: .any)),
    ("{port: '0', endPort: 1023, protocol: TCP}", PortMatch(protocol: .tcp, number: .range(1...1023))),
    ("{port: '80', endPort: 0}", PortMatch(protocol: nil, number: .range(80...80))),
    ("{port: '80', endPort: 80, protocol: SCTP}", PortMatch(protocol: .sctp, number: .range(80...80))),
    ("{port: '1', endPort: 65535, protocol: ANY}", PortMatch(protocol: nil, number: .range(1...65535))),
    ("{port: Web}", PortMatch(protocol: nil, number: .named("web"))),
    ("{port: 0x10}", nil), ("{port: '0x10'}", PortMatch(protocol: nil, number: .named("0x10"))),
  ] as [(String, PortMatch?)])
func `a port is a number in quotes, 0 for every port, or a name in any case; without a protocol it is of any`(
  port: String, expected: PortMatch?
) throws {
  let text = ciliumPolicy("endpointSelector: {}\negress: [{toPorts: [{ports: [\(port)]}]}]")
  guard let expected else {
    #expect(!places(text).isEmpty)
    return
  }
  #expect(try readAll(text).first?.egress[0].ports[0].ports == [expected])
}

@Test
func
  `an empty list of HTTP rules asks nothing, an empty rule takes every request, rules alone are about TCP`()
  throws
{
  func ports(_ entry: String) throws -> CiliumPolicy.Ports? {
    let policy = try read("endpointSelector: {}\ningress: [{toPorts: [\(entry)]}]")
    return policy.ingress[0].ports.first
  }
  let port = "ports: [{port: '80', protocol: TCP}]"
  #expect(try ports("{\(port), rules: {}}")?.requests == nil)
  #expect(try ports("{\(port), rules: {http: []}}")?.requests == nil)
  #expect(try ports("{\(port), rules: {http: [{}]}}")?.requests == [RequestMatch()])
  #expect(try ports("{\(port), rules: {http: [{path: '', method: ''}]}}")?.requests == [RequestMatch()])
  let alone = try ports("{rules: {http: [{method: GET}]}}")
  #expect(alone?.requests == [RequestMatch(methods: [.regex("GET")])])
  #expect(alone?.ports == [PortMatch(protocol: .tcp, number: .any)])
  let logged = try ports("{\(port), rules: {http: [{headerMatches: [{name: a, value: b, mismatch: LOG}]}]}}")
  #expect(logged?.requests == [RequestMatch()])
}
