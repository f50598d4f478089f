import Testing

@testable import Policy

/// A sentence for each rule of Cilium's documentation ("Layer 3", "Layer 4", "Layer 7", deny policies,
/// entities).
@Suite struct SemanticsCiliumPolicyTests {
  /// shop: web, api, db on n1; ops: batch on n2; n2 also has an agent on its network.
  static var shop: World {
    var world = World()
    world.namespace("shop", ["team": "shop"])
    world.namespace("ops", ["team": "ops"])
    world.node("n1", ["zone": "a"], at: [v4(192, 168, 0, 1)])
    world.node("n2", ["zone": "b"], at: [v4(192, 168, 0, 2)])
    world.pod("shop/web", ["app": "web"], at: [v4(10, 0, 0, 1)], on: "n1", account: "web")
    world.pod(
      "shop/api", ["app": "api"], at: [v4(10, 0, 0, 2)], on: "n1",
      ports: [NamedPort(name: "http", port: 80, protocol: .tcp)])
    world.pod("shop/db", ["app": "db"], at: [v4(10, 0, 0, 3)], on: "n1")
    world.pod("ops/batch", ["app": "batch"], at: [v4(10, 0, 1, 1)], on: "n2")
    world.pod("ops/agent", ["app": "agent"], at: [v4(192, 168, 0, 2)], on: "n2", hostNetwork: true)
    return world
  }

  static let api = labels(["app": "api"])
  static let web = inNamespace("shop", ["app": "web"])
  static let toAPI = flow("shop/web", "shop/api")

  static func rule(_ text: String, _ path: String) -> RuleName {
    let name = World.name(text)
    return RuleName(kind: "CiliumNetworkPolicy", namespace: name.namespace, name: name.name, rule: path)
  }

  /// What one rule for shop/api's ingress says of a source.
  func ingress(
    _ rule: CiliumPolicy.Rule, from party: Party, _ port: UInt16 = 80, _ transport: TransportProtocol = .tcp
  )
    -> Verdict
  {
    var world = Self.shop
    world.cilium("shop/p", selects: Self.api, ingress: [rule])
    return world.evaluator.ingress(flow(from: party, to: at("shop/api"), port, transport)).verdict
  }

  func egress(_ rule: CiliumPolicy.Rule, to party: Party, _ port: UInt16 = 80) -> Verdict {
    var world = Self.shop
    world.cilium("shop/p", selects: Self.api, egress: [rule])
    return world.evaluator.egress(flow(from: at("shop/api"), to: party, port)).verdict
  }

  @Test func `a rule selecting the endpoint puts the direction it has into default deny`() {
    var world = Self.shop
    world.cilium("shop/p", selects: Self.api, ingress: [ciliumRule()])
    #expect(
      world.evaluator.ingress(Self.toAPI)
        == Ruling(verdict: .denied, reason: .noRule, rule: Self.rule("shop/p", ""), place: place(1)))
    #expect(world.evaluator.egress(flow("shop/api", "shop/db")) == .notSelected)
    #expect(world.evaluator.ingress(flow("shop/web", "shop/db")) == .notSelected)
  }

  @Test func `an empty rule matches nothing`() {
    #expect(ingress(ciliumRule(), from: at("shop/web")) == .denied)
    #expect(ingress(ciliumRule([]), from: at("shop/web")) == .denied)
    #expect(ingress(ciliumRule([.entity(.all)]), from: at("shop/web")) == .allowed)
  }

  @Test func `a rule that names no peer but ports is for everybody`() {
    #expect(ingress(ciliumRule(nil, toPorts(port(80))), from: at("ops/batch")) == .allowed)
    #expect(ingress(ciliumRule(nil, toPorts(port(80))), from: .address(v4(8, 8, 8, 8))) == .allowed)
    #expect(ingress(ciliumRule(nil, toPorts(port(80))), from: at("ops/batch"), 81) == .denied)
  }

  @Test func `peers and ports of a rule must both match, each by one of its entries`() {
    let both = ciliumRule(
      [Self.web, everywhere(["app": "db"])], toPorts(port(80), port(443)), toPorts(port(8080), index: 1))
    #expect(ingress(both, from: at("shop/web"), 443) == .allowed)
    #expect(ingress(both, from: at("shop/db"), 8080) == .allowed)
    #expect(ingress(both, from: at("shop/db"), 81) == .denied)
    #expect(ingress(both, from: at("ops/batch"), 80) == .denied)
  }

  @Test func `fromEndpoints never means an address, a node or a Pod on its network`() {
    let all = ciliumRule([everywhere()])
    #expect(ingress(all, from: at("ops/batch")) == .allowed)
    #expect(ingress(all, from: .node("n2")) == .denied)
    #expect(ingress(all, from: at("ops/agent")) == .denied)
    #expect(ingress(all, from: .address(v4(8, 8, 8, 8))) == .denied)
  }

  @Test func `a service account is selected by its name`() {
    let account = Selector([Selector.Requirement(key: "x", operator: .in, values: ["web"])])
    let peer = Peer.selector(PeerSelector(namespaces: .everything, pods: nil, accounts: account))
    #expect(ingress(ciliumRule([peer]), from: at("shop/web")) == .allowed)
    #expect(ingress(ciliumRule([peer]), from: at("shop/db")) == .denied)
  }

  @Test func `deny takes precedence over allow, in whatever policy it stands`() {
    var world = Self.shop
    world.cilium("shop/a", selects: Self.api, ingress: [ciliumRule([.entity(.all)])])
    world.cilium("shop/b", selects: Self.api, ingressDeny: [ciliumRule([Self.web], toPorts(port(80)))])
    let denied = world.evaluator.ingress(Self.toAPI)
    #expect(
      denied.reason == .denyRule && denied.rule == Self.rule("shop/b", "ingressDeny[0].fromEndpoints[0]"))
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 81)).verdict == .allowed)
    #expect(world.evaluator.ingress(flow("shop/db", "shop/api")).verdict == .allowed)
  }

  @Test func `a deny rule alone isolates as an allow rule does, unless enableDefaultDeny says no`() {
    var world = Self.shop
    world.cilium("shop/p", selects: Self.api, ingressDeny: [ciliumRule([Self.web])])
    #expect(world.evaluator.ingress(flow("shop/db", "shop/api")).reason == .noRule)
    var open = Self.shop
    open.cilium("shop/p", selects: Self.api, ingressDeny: [ciliumRule([Self.web])], isolates: false)
    #expect(open.evaluator.ingress(flow("shop/db", "shop/api")) == .notSelected)
    #expect(open.evaluator.ingress(Self.toAPI).reason == .denyRule)
  }

  @Test func `a policy that does not isolate has no opinion of what it does not name`() {
    var world = Self.shop
    world.cilium("shop/p", selects: Self.api, ingress: [ciliumRule([Self.web])], isolates: false)
    world.admin("base", tier: .baseline, ingress: [adminRule(.deny, [everywhere()])])
    #expect(world.evaluator.ingress(flow("shop/db", "shop/api")).tier == .baseline)
    let named = world.evaluator.ingress(Self.toAPI)
    #expect(named.verdict == .allowed && named.tier == .namespaced)
  }

  @Test func `a CIDR means neither endpoints nor nodes`() {
    let all = ciliumRule([.outside(IPBlock(cidr: cidr(v4(0, 0, 0, 0), 0), except: [cidr(v4(9, 0, 0, 0), 8)]))]
    )
    #expect(egress(all, to: .address(v4(8, 8, 8, 8))) == .allowed)
    #expect(egress(all, to: .address(v4(9, 8, 8, 8))) == .denied)
    #expect(egress(all, to: at("ops/batch")) == .denied)
    #expect(egress(all, to: .node("n2")) == .denied)
    #expect(egress(all, to: at("ops/agent")) == .denied)
    #expect(egress(all, to: .address(v6(1))) == .denied)
  }

  @Test(arguments: [
    // all, world, cluster, host, remote-node
    ("ops/batch", [true, false, true, false, false]),
    ("ops/agent", [true, false, true, false, true]),
    ("node/n1", [true, false, true, true, false]),
    ("node/n2", [true, false, true, false, true]),
    ("ip:8.8.8.8", [true, true, false, false, false]),
  ])
  func `entities mean what Cilium's documentation says`(_ text: String, _ expected: [Bool]) throws {
    let party = try Party(text)
    let entities: [Entity] = [.all, .world, .cluster, .host, .remoteNode]
    #expect(entities.map { egress(ciliumRule([.entity($0)]), to: party) == .allowed } == expected)
  }

  @Test func `world-ipv4 and world-ipv6 are the world by family`() {
    #expect(egress(ciliumRule([.entity(.worldIPv4)]), to: .address(v4(8, 8, 8, 8))) == .allowed)
    #expect(egress(ciliumRule([.entity(.worldIPv4)]), to: .address(v6(8))) == .denied)
    #expect(egress(ciliumRule([.entity(.worldIPv6)]), to: .address(v6(8))) == .allowed)
    #expect(egress(ciliumRule([.entity(.worldIPv6)]), to: at("ops/batch")) == .denied)
  }

  @Test(arguments: [Entity.health, .`init`, .ingress, .unmanaged, .none])
  func `entities of Cilium's own components are nobody`(_ entity: Entity) {
    #expect(egress(ciliumRule([.entity(entity)]), to: at("ops/batch")) == .denied)
    #expect(egress(ciliumRule([.entity(entity)]), to: .node("n1")) == .denied)
  }

  @Test func `kube-apiserver is who stands behind the Service default kubernetes`() {
    var world = Self.shop
    world.apiServer(at: [v4(192, 168, 0, 2), v4(172, 16, 0, 1), v4(10, 0, 1, 1)])
    world.cilium("shop/p", selects: Self.api, egress: [ciliumRule([.entity(.kubeAPIServer)])])
    let evaluator = world.evaluator
    for party in [Party.node("n2"), at("ops/batch"), .address(v4(172, 16, 0, 1))] {
      #expect(evaluator.egress(flow(from: at("shop/api"), to: party)).verdict == .allowed, "\(party)")
    }
    for party in [Party.node("n1"), at("shop/db"), .address(v4(172, 16, 0, 2))] {
      #expect(evaluator.egress(flow(from: at("shop/api"), to: party)).verdict == .denied, "\(party)")
    }
  }

  @Test func `nodes are selected by their labels`() {
    #expect(ingress(ciliumRule([.nodes(labels(["zone": "b"]))]), from: .node("n2")) == .allowed)
    #expect(ingress(ciliumRule([.nodes(labels(["zone": "b"]))]), from: at("ops/agent")) == .allowed)
    #expect(ingress(ciliumRule([.nodes(labels(["zone": "c"]))]), from: .node("n2")) == .denied)
  }

  @Test func `the local host always gets in unless a deny rule says no`() {
    var world = Self.shop
    world.cilium("shop/p", selects: Self.api, ingress: [ciliumRule()], egress: [ciliumRule()])
    let host = flow(from: .node("n1"), to: at("shop/api"))
    #expect(world.evaluator.ingress(host) == .ownNode)
    #expect(world.evaluator.ingress(flow(from: .node("n2"), to: at("shop/api"))).verdict == .denied)
    #expect(world.evaluator.egress(flow(from: at("shop/api"), to: .node("n1"))).verdict == .denied)
    world.cilium("shop/q", selects: Self.api, ingressDeny: [ciliumRule([.entity(.host)])])
    #expect(world.evaluator.ingress(host).reason == .denyRule)
  }

  @Test func `a port without a protocol is TCP, UDP and SCTP alike and never ICMP`() {
    let any = ciliumRule([.entity(.all)], toPorts(port(80, to: nil, nil)))
    for transport in TransportProtocol.allCases {
      #expect(ingress(any, from: at("shop/web"), 80, transport) == (transport.isICMP ? .denied : .allowed))
    }
  }

  @Test func `port ranges hold both their ends`() {
    let range = ciliumRule(nil, toPorts(port(80, to: 444)))
    #expect(
      [79, 80, 444, 445].map { ingress(range, from: at("shop/web"), $0) } == [
        .denied, .allowed, .allowed, .denied,
      ])
  }

  @Test func `a named port is the serving endpoint's`() {
    let named = ciliumRule(nil, toPorts(PortMatch(protocol: .tcp, number: .named("http"))))
    #expect(ingress(named, from: at("shop/web"), 80) == .allowed)
    #expect(ingress(named, from: at("shop/web"), 81) == .denied)
    var world = Self.shop
    world.cilium("shop/p", selects: labels(["app": "web"]), egress: [named])
    #expect(world.evaluator.egress(Self.toAPI).verdict == .allowed)
    #expect(world.evaluator.egress(flow("shop/web", "shop/db")).verdict == .denied)
  }

  @Test func `without a layer 4 rule every protocol passes, with one ICMP does not`() {
    #expect(ingress(ciliumRule([Self.web]), from: at("shop/web"), 8, .icmp) == .allowed)
    #expect(ingress(ciliumRule([Self.web], toPorts(port(80))), from: at("shop/web"), 8, .icmp) == .denied)
  }

  @Test func `icmps select by type, each family its own`() {
    let echo = ciliumRule([Self.web], icmp(8))
    #expect(ingress(echo, from: at("shop/web"), 8, .icmp) == .allowed)
    #expect(ingress(echo, from: at("shop/web"), 0, .icmp) == .denied)
    #expect(ingress(echo, from: at("shop/web"), 8, .icmpv6) == .denied)
    #expect(ingress(echo, from: at("shop/web"), 8, .tcp) == .denied)
    #expect(
      ingress(ciliumRule([Self.web], icmp(128, .icmpv6)), from: at("shop/web"), 128, .icmpv6) == .allowed)
  }

  static let gets = RequestMatch(methods: [.exact("GET")])

  @Test func `a request is permitted if one of the HTTP rules matches`() {
    var world = Self.shop
    let put = RequestMatch(
      methods: [.exact("PUT")], headers: [HeaderMatch(name: "x-my-header", values: [.exact("true")])])
    world.cilium(
      "shop/p", selects: Self.api,
      ingress: [ciliumRule([Self.web], toPorts(port(80), http: [Self.gets, put]))])
    let evaluator = world.evaluator
    #expect(evaluator.ingress(Self.toAPI).verdict == .proxied)
    #expect(evaluator.ingress(Self.toAPI).rule == Self.rule("shop/p", "ingress[0].toPorts[0]"))
    #expect(evaluator.l7(Self.toAPI, Request(method: "GET", path: "/", host: "h")).verdict == .allowed)
    let with = Request(method: "PUT", path: "/", host: "h", headers: ["x-my-header": "true"])
    #expect(evaluator.l7(Self.toAPI, with).verdict == .allowed)
    let refused = evaluator.l7(Self.toAPI, Request(method: "PUT", path: "/", host: "h"))
    #expect(refused.reason == .noRule && refused.rule == Self.rule("shop/p", ""))
    #expect(evaluator.ingress(flow("shop/web", "shop/api", 81)).verdict == .denied)
  }

  @Test func `an empty HTTP rule allows every request, and nothing that is none`() {
    var world = Self.shop
    world.cilium(
      "shop/p", selects: Self.api,
      ingress: [ciliumRule([Self.web], toPorts(port(80), http: [RequestMatch()]))])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .proxied)
    #expect(world.evaluator.l7(Self.toAPI, Request(method: "PUT", path: "/", host: "h")).verdict == .allowed)
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 80, .udp)).verdict == .denied)
  }

  @Test func `HTTP rules of several policies are combined`() {
    var world = Self.shop
    world.cilium(
      "shop/p", selects: Self.api, ingress: [ciliumRule([Self.web], toPorts(port(80), http: [Self.gets]))])
    let puts = RequestMatch(methods: [.exact("PUT")])
    world.cilium("shop/q", selects: Self.api, ingress: [ciliumRule(nil, toPorts(port(80), http: [puts]))])
    let evaluator = world.evaluator
    let put = Request(method: "PUT", path: "/", host: "h")
    #expect(evaluator.l7(Self.toAPI, put).rule == Self.rule("shop/q", "ingress[0].toPorts[0]"))
    #expect(evaluator.l7(flow("shop/db", "shop/api"), put).verdict == .allowed)
    #expect(
      evaluator.l7(flow("shop/db", "shop/api"), Request(method: "GET", path: "/", host: "h")).verdict
        == .denied)
  }

  @Test func `a layer 4 rule makes the layer 7 part of a similar one ineffective`() {
    var world = Self.shop
    world.cilium(
      "shop/p", selects: Self.api, ingress: [ciliumRule([Self.web], toPorts(port(80), http: [Self.gets]))])
    world.cilium("shop/q", selects: Self.api, ingress: [ciliumRule([Self.web], toPorts(port(80)))])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .allowed)
    #expect(world.evaluator.ingress(flow("shop/db", "shop/api")).verdict == .denied)
  }

  @Test func `HTTP rules hold for what goes out, too, and both sides must allow`() {
    var world = Self.shop
    world.cilium(
      "shop/out", selects: labels(["app": "web"]),
      egress: [ciliumRule(nil, toPorts(port(80), http: [Self.gets]))])
    let get = Request(method: "GET", path: "/a", host: "h")
    #expect(world.evaluator.egress(Self.toAPI).verdict == .proxied)
    #expect(world.evaluator.l7(Self.toAPI, get).verdict == .allowed)
    #expect(world.evaluator.l7(Self.toAPI, Request(method: "PUT", path: "/a", host: "h")).verdict == .denied)
    let other = RequestMatch(urls: [.exact("/b")])
    world.cilium("shop/in", selects: Self.api, ingress: [ciliumRule(nil, toPorts(port(80), http: [other]))])
    #expect(world.evaluator.l7(Self.toAPI, get).rule == Self.rule("shop/in", ""))
    #expect(world.evaluator.l7(Self.toAPI, Request(method: "GET", path: "/b", host: "h")).verdict == .allowed)
  }

  @Test func `a path is compared with its query`() {
    let b = RequestMatch(urls: [.exact("/b")])
    #expect(b.matches(Request(method: "GET", path: "/b", host: "h")))
    #expect(!b.matches(Request(method: "GET", path: "/b?x=1", host: "h")))
    #expect(RequestMatch(paths: [.exact("/b")]).matches(Request(method: "GET", path: "/b?x=1", host: "h")))
  }

  @Test func `a nodeSelector selects nodes and the Pods on their network, and no other Pod`() {
    var world = Self.shop
    world.cilium(nodes: labels(["zone": "b"]), "host", ingress: [ciliumRule([Self.web])])
    let evaluator = world.evaluator
    #expect(evaluator.ingress(flow(from: at("shop/web"), to: .node("n2"))).verdict == .allowed)
    #expect(evaluator.ingress(flow(from: at("shop/db"), to: .node("n2"))).verdict == .denied)
    #expect(evaluator.ingress(flow("shop/db", "ops/agent")).verdict == .denied)
    #expect(evaluator.ingress(flow(from: at("shop/db"), to: .node("n1"))) == .notSelected)
    #expect(evaluator.ingress(flow("shop/db", "ops/batch")) == .notSelected)
    let explained = evaluator.explain(flow(from: at("shop/db"), to: .node("n2")), request: nil)
    #expect(explained.verdict == "denied" && explained.enforced == false)
    #expect(explained.why == "weir judges workloads, not a node's own processes")
  }
}
