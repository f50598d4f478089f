import Testing

@testable import Policy

/// How the families and tiers combine (docs/semantics.md).
@Suite struct SemanticsTiersTests {
  typealias Source = AuthorizationPolicy.Source
  typealias Operation = AuthorizationPolicy.Operation

  static var shop: World { SemanticsCiliumPolicyTests.shop }
  static let api = labels(["app": "api"])
  static let toAPI = flow("shop/web", "shop/api")
  static let gets = RequestMatch(methods: [.exact("GET")])
  static let puts = RequestMatch(methods: [.exact("PUT")])
  static let get = Request(method: "GET", path: "/", host: "h")
  static let put = Request(method: "PUT", path: "/", host: "h")

  // MARK: NetworkPolicy and the own node

  @Test func `traffic to and from the node where a Pod runs is always allowed`() {
    var world = Self.shop
    world.network("shop/none", ingress: [], egress: [])
    let evaluator = world.evaluator
    #expect(evaluator.ingress(flow(from: .node("n1"), to: at("shop/api"))) == .ownNode)
    #expect(evaluator.egress(flow(from: at("shop/api"), to: .node("n1"))) == .ownNode)
    #expect(evaluator.ingress(flow(from: .node("n2"), to: at("shop/api"))).verdict == .denied)
    #expect(evaluator.egress(flow(from: at("shop/api"), to: .node("n2"))).verdict == .denied)
  }

  @Test func `the own node is an opinion of a policy that selects, and of no other`() {
    var world = Self.shop
    world.admin("base", tier: .baseline, ingress: [adminRule(.deny, [.nodes(.everything)])])
    let host = flow(from: .node("n1"), to: at("shop/api"))
    #expect(world.evaluator.ingress(host).tier == .baseline)
    world.network("shop/none", ingress: [])
    #expect(world.evaluator.ingress(host) == .ownNode)
  }

  @Test func `a Pod on the node's network is the node`() {
    var world = Self.shop
    world.pod("ops/local", at: [v4(192, 168, 0, 1)], on: "n1", hostNetwork: true)
    world.network("shop/none", ingress: [])
    #expect(world.evaluator.ingress(flow("ops/local", "shop/api")) == .ownNode)
    #expect(world.evaluator.ingress(flow("ops/agent", "shop/api")).verdict == .denied)
  }

  @Test func `an ipBlock matches Pods and nodes by address, a Cilium CIDR does not`() {
    var world = Self.shop
    let all = IPBlock(cidr: cidr(v4(0, 0, 0, 0), 0))
    world.network("shop/block", selects: Self.api, egress: [rule([.ipBlock(all)])])
    world.cilium("shop/cidr", selects: labels(["app": "db"]), egress: [ciliumRule([.outside(all)])])
    for party in [at("ops/batch"), .node("n2")] {
      #expect(world.evaluator.egress(flow(from: at("shop/api"), to: party)).verdict == .allowed)
      #expect(world.evaluator.egress(flow(from: at("shop/db"), to: party)).verdict == .denied)
    }
  }

  @Test func `an address of a node is that node`() {
    let set = Self.shop.set
    #expect(set.party(at: v4(192, 168, 0, 2)) == .node("n2"))
    #expect(set.party(at: v4(10, 0, 0, 1)) == at("shop/web"))
    #expect(set.party(at: v4(8, 8, 8, 8)) == .address(v4(8, 8, 8, 8)))
  }

  // MARK: every family must allow

  @Test(arguments: [0, 1, 2])
  func `every family that has an opinion must allow`(_ refusing: Int) {
    var world = Self.shop
    let everybody = [rule()]
    world.network("shop/n", selects: Self.api, ingress: refusing == 0 ? [] : everybody)
    world.cilium(
      "shop/c", selects: Self.api, ingress: [refusing == 1 ? ciliumRule() : ciliumRule([.entity(.all)])])
    world.authorization("shop/a", selects: Self.api, rules: refusing == 2 ? [] : [authorizationRule()])
    let ruling = world.evaluator.ingress(Self.toAPI)
    let kinds = ["NetworkPolicy", "CiliumNetworkPolicy", "AuthorizationPolicy"]
    #expect(ruling.verdict == .denied && ruling.rule?.kind == kinds[refusing])
  }

  @Test func `where every family allows the flow is allowed`() {
    var world = Self.shop
    world.network("shop/n", selects: Self.api, ingress: [rule()])
    world.cilium("shop/c", selects: Self.api, ingress: [ciliumRule([.entity(.all)])])
    world.authorization("shop/a", selects: Self.api, rules: [authorizationRule()])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .allowed)
  }

  @Test func `a refusal at L4 outweighs another family's proxied`() {
    var world = Self.shop
    world.authorization(
      "shop/a", selects: Self.api, rules: [authorizationRule(to: [Operation(request: Self.gets)])])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .proxied)
    world.cilium("shop/c", selects: Self.api, ingress: [ciliumRule()])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .denied)
  }

  @Test func `all families with rules about requests must allow a request`() {
    var world = Self.shop
    world.authorization(
      "shop/a", selects: Self.api, rules: [authorizationRule(to: [Operation(request: Self.gets)])])
    world.cilium(
      "shop/c", selects: Self.api,
      ingress: [ciliumRule(nil, toPorts(port(80), http: [Self.gets, Self.puts]))])
    #expect(world.evaluator.l7(Self.toAPI, Self.get).verdict == .allowed)
    let refused = world.evaluator.l7(Self.toAPI, Self.put)
    #expect(refused.verdict == .denied && refused.rule?.kind == "AuthorizationPolicy")
  }

  @Test func `DENY policies that do not match have no opinion`() {
    var world = Self.shop
    world.authorization("shop/a", .deny, rules: [authorizationRule(to: [Operation(ports: [81])])])
    world.admin("base", tier: .baseline, ingress: [adminRule(.deny, [everywhere()])])
    #expect(world.evaluator.ingress(Self.toAPI).tier == .baseline)
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 81)).tier == .namespaced)
  }

  // MARK: joined

  @Test func `joined, an allow of either NetworkPolicy or Cilium is enough`() {
    var world = Self.shop
    world.network("shop/n", selects: Self.api, ingress: [rule([pods(["app": "web"])])])
    world.cilium("shop/c", selects: Self.api, ingress: [ciliumRule([everywhere(["app": "db"])])])
    let flows = [Self.toAPI, flow("shop/db", "shop/api"), flow("ops/batch", "shop/api")]
    #expect(flows.map { world.evaluator.ingress($0).verdict } == [.denied, .denied, .denied])
    world.set.joined = true
    #expect(flows.map { world.evaluator.ingress($0).verdict } == [.allowed, .allowed, .denied])
    #expect(world.evaluator.ingress(flows[2]).rule?.kind == "NetworkPolicy")
  }

  @Test func `joined, Cilium's deny rules beat a NetworkPolicy's allow`() {
    var world = Self.shop
    world.set.joined = true
    world.network("shop/n", selects: Self.api, ingress: [rule()])
    world.cilium("shop/c", selects: Self.api, ingressDeny: [ciliumRule([SemanticsCiliumPolicyTests.web])])
    #expect(world.evaluator.ingress(Self.toAPI).reason == .denyRule)
    #expect(world.evaluator.ingress(flow("shop/db", "shop/api")).verdict == .allowed)
  }

  @Test func `joined, a NetworkPolicy's allow makes Cilium's rules about requests ineffective`() {
    var world = Self.shop
    world.network("shop/n", selects: Self.api, ingress: [rule()])
    world.cilium(
      "shop/c", selects: Self.api, ingress: [ciliumRule(nil, toPorts(port(80), http: [Self.gets]))])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .proxied)
    world.set.joined = true
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .allowed)
  }

  @Test func `joined, AuthorizationPolicy must still allow`() {
    var world = Self.shop
    world.set.joined = true
    world.network("shop/n", selects: Self.api, ingress: [rule()])
    world.authorization("shop/a", selects: Self.api, rules: [])
    #expect(world.evaluator.ingress(Self.toAPI).rule?.kind == "AuthorizationPolicy")
  }

  // MARK: Accept and requests

  static var accepted: World {
    var world = shop
    world.admin("accept", ingress: [adminRule(.accept, [everywhere()])])
    return world
  }

  @Test func `an Accept passes over what L4 can decide`() {
    var world = Self.accepted
    world.network("shop/n", ingress: [])
    world.cilium("shop/c", selects: Self.api, ingressDeny: [ciliumRule([.entity(.all)])])
    world.authorization("shop/d", .deny, rules: [authorizationRule()])
    world.authorization("shop/a", rules: [])
    let ruling = world.evaluator.ingress(Self.toAPI)
    #expect(ruling.verdict == .allowed && ruling.tier == .admin)
  }

  @Test func `after an Accept rules about requests still hold for the peers and ports they name`() {
    var world = Self.accepted
    world.authorization(
      "shop/a", selects: Self.api,
      rules: [authorizationRule(to: [Operation(ports: [80], request: Self.gets)])])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .proxied)
    #expect(world.evaluator.l7(Self.toAPI, Self.get).verdict == .allowed)
    #expect(world.evaluator.l7(Self.toAPI, Self.put).verdict == .denied)
    // No rule names this port, and what L4 refuses is accepted.
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 81)).tier == .admin)
  }

  @Test func `after an Accept a DENY about requests is asked, and what it does not match passes`() {
    var world = Self.accepted
    world.authorization(
      "shop/d", .deny, selects: Self.api, rules: [authorizationRule(to: [Operation(request: Self.puts)])])
    world.authorization("shop/e", .deny, selects: Self.api, rules: [authorizationRule()])
    world.authorization("shop/a", selects: Self.api, rules: [])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .proxied)
    #expect(world.evaluator.l7(Self.toAPI, Self.put).rule == authorizationRule("shop/d", "rules[0]"))
    #expect(world.evaluator.l7(Self.toAPI, Self.get).verdict == .allowed)
  }

  @Test func `after an Accept an ALLOW that is certain leaves nothing to ask`() {
    var world = Self.accepted
    world.authorization(
      "shop/a", selects: Self.api,
      rules: [
        authorizationRule(to: [Operation(request: Self.gets)]),
        authorizationRule(to: [Operation(ports: [80])]),
      ])
    #expect(world.evaluator.ingress(Self.toAPI).tier == .admin)
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 81)).verdict == .proxied)
  }

  @Test func `after an Accept Cilium's rules about requests hold where no rule for L4 covers them`() {
    var world = Self.accepted
    world.cilium(
      "shop/c", selects: Self.api, ingress: [ciliumRule(nil, toPorts(port(80), http: [Self.gets]))])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .proxied)
    #expect(world.evaluator.l7(Self.toAPI, Self.put).verdict == .denied)
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 81)).tier == .admin)
    world.cilium("shop/d", selects: Self.api, ingress: [ciliumRule([SemanticsCiliumPolicyTests.web])])
    #expect(world.evaluator.ingress(Self.toAPI).tier == .admin)
    #expect(world.evaluator.ingress(flow("shop/db", "shop/api")).verdict == .proxied)
  }

  @Test func `a Deny of the Admin tier leaves nothing to ask`() {
    var world = Self.shop
    world.admin("deny", ingress: [adminRule(.deny, [everywhere()])])
    world.authorization(
      "shop/a", selects: Self.api, rules: [authorizationRule(to: [Operation(request: Self.gets)])])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .denied)
    #expect(world.evaluator.l7(Self.toAPI, Self.get) == .notSelected)
  }

  // MARK: explain and matrix

  @Test func `explain names every rule that matched and lost, and the policies without a match`() {
    var world = Self.shop
    world.admin(
      "pass", priority: 1, ingress: [adminRule(.pass, [everywhere()]), adminRule(.deny, [everywhere()])])
    world.network("shop/n", selects: Self.api, ingress: [rule(), rule([pods(["app": "web"])])])
    world.cilium(
      "shop/c", selects: Self.api, ingress: [ciliumRule([SemanticsCiliumPolicyTests.web])],
      ingressDeny: [ciliumRule(nil, toPorts(port(80)))])
    world.authorization("shop/a", selects: Self.api, rules: [authorizationRule(to: [Operation(ports: [81])])])
    world.admin("base", tier: .baseline, ingress: [adminRule(.accept, [everywhere()])])
    let layer = world.evaluator.explain(Self.toAPI, request: nil).layers[1]
    #expect(layer.policy?.rule == "ingressDeny[0].toPorts[0]" && layer.tier == "namespaced")
    #expect(
      layer.considered.map { "\($0.name) \($0.rule)" } == [
        "pass ingress[0].from[0]", "pass ingress[1].from[0]", "n ingress[0]", "n ingress[1].from[0]",
        "c ingress[0].fromEndpoints[0]", "a ", "base ingress[0].from[0]",
      ])
  }

  @Test func `explain has an l7 layer for each side that is proxied`() {
    var world = Self.shop
    world.proxy("shop/envoy")
    world.cilium(
      "shop/out", selects: labels(["app": "web"]),
      egress: [ciliumRule(nil, toPorts(port(80), http: [Self.gets]))])
    world.authorization(
      "shop/a", selects: Self.api, rules: [authorizationRule(to: [Operation(request: Self.puts)])])
    let explained = world.evaluator.explain(Self.toAPI, request: Self.get)
    #expect(explained.verdict == "denied" && explained.enforced == nil)
    #expect(explained.layers.map(\.layer) == ["egress", "ingress", "l7", "l7"])
    #expect(explained.layers.map(\.side) == [nil, nil, "egress", "ingress"])
    #expect(explained.layers.map(\.verdict) == ["proxied", "proxied", "allowed", "denied"])
  }

  @Test func `explain says in which tier it was decided`() {
    let explained = Self.accepted.evaluator.explain(Self.toAPI, request: nil)
    #expect(explained.layers.map(\.tier) == ["default", "admin"])
  }

  @Test func `a matrix has the nodes, each itself`() {
    var world = Self.shop
    world.network("shop/none", selects: Self.api, ingress: [])
    let matrix = world.evaluator.matrix(ports: [(.tcp, 80)], outside: [])
    #expect(matrix.endpoints.suffix(2) == ["node/n1", "node/n2"])
    let rows = matrix.ports["80/TCP"]
    #expect(rows?["node/n1"]?["shop/api"] == "allowed" && rows?["node/n2"]?["shop/api"] == "denied-ingress")
    #expect(rows?["node/n1"]?["node/n1"] == "self" && rows?["shop/api"]?["node/n2"] == "allowed")
  }

  @Test(arguments: ["node/n1", "shop/web", "ip:192.0.2.1"])
  func `an endpoint's text is read as it is written`(_ text: String) throws {
    #expect(try Party(text).description == text)
  }

  @Test func `ICMPv6 is a protocol of its own, in whatever case`() throws {
    let echo = try TransportProtocol.port("128/icmpv6")
    #expect(echo.protocol == .icmpv6 && echo.port == 128)
    #expect(throws: TextError.self) { try TransportProtocol.port("256/ICMPv6") }
  }
}
