import Policy
import Testing

/// A sentence for each rule of the Kubernetes documentation ("Network Policies" and the API reference).
@Suite struct EngineNetworkPolicyTests {
  /// shop: web, api, db; ops (team: ops): batch, web; nothing isolated yet.
  static var shop: World {
    var world = World()
    world.namespace("shop", ["team": "shop"])
    world.namespace("ops", ["team": "ops"])
    world.endpoint("shop/web", ["app": "web", "tier": "front"], at: [v4(10, 0, 0, 1)])
    world.endpoint(
      "shop/api", ["app": "api"], at: [v4(10, 0, 0, 2), v6(2)],
      ports: [
        NamedPort(name: "http", port: 8080, protocol: .tcp), NamedPort(name: "dns", port: 53, protocol: .udp),
      ])
    world.endpoint("shop/db", ["app": "db"], at: [v4(10, 0, 0, 3)])
    world.endpoint("ops/batch", ["app": "batch"], at: [v4(10, 1, 0, 1)])
    world.endpoint("ops/web", ["app": "web"], at: [v4(10, 1, 0, 2)])
    return world
  }

  func allows(_ world: World, _ flow: Flow) -> Bool {
    let evaluator = world.evaluator
    return evaluator.egress(flow).verdict == .allowed && evaluator.ingress(flow).verdict == .allowed
  }

  @Test func `without policies every connection is allowed and no policy is named`() {
    let ruling = Self.shop.evaluator.ingress(flow("ops/batch", "shop/db"))
    #expect(ruling == Ruling(verdict: .allowed, reason: .notSelected))
    #expect(Self.shop.evaluator.egress(flow("ops/batch", "shop/db")).reason == .notSelected)
  }

  @Test func `a policy without rules isolates what it selects, in its direction only`() {
    var world = Self.shop
    world.network("shop/deny", selects: labels(["app": "db"]), ingress: [])
    let evaluator = world.evaluator
    #expect(
      evaluator.ingress(flow("shop/web", "shop/db"))
        == Ruling(verdict: .denied, reason: .noRule, rule: networkRule("shop/deny", ""), place: place(1)))
    #expect(evaluator.egress(flow("shop/db", "shop/web")).verdict == .allowed)
    #expect(evaluator.ingress(flow("shop/web", "shop/api")).verdict == .allowed)
  }

  @Test func `a policy selects in its own namespace only`() {
    var world = Self.shop
    world.network("shop/deny", ingress: [])
    #expect(!allows(world, flow("ops/batch", "shop/web")))
    #expect(allows(world, flow("shop/web", "ops/web")))
  }

  @Test func `a workload always reaches itself`() {
    var world = Self.shop
    world.network("shop/deny", ingress: [], egress: [])
    #expect(world.evaluator.ingress(flow("shop/db", "shop/db")) == Ruling(verdict: .allowed, reason: .self))
    #expect(world.evaluator.egress(flow("shop/db", "shop/db")).reason == .self)
  }

  @Test func `an empty rule allows everybody on every port of every protocol`() {
    var world = Self.shop
    world.network("shop/all", ingress: [rule()])
    let ruling = world.evaluator.ingress(flow("ops/batch", "shop/db", 1, .sctp))
    #expect(
      ruling
        == Ruling(
          verdict: .allowed, reason: .rule, rule: networkRule("shop/all", "ingress[0]"), place: place(10)))
    #expect(world.evaluator.ingress(flow(from: v4(8, 8, 8, 8), "shop/db")).verdict == .allowed)
  }

  @Test func `policies are additive and the first matching one by name is named`() {
    var world = Self.shop
    world.network("shop/b", selects: labels(["app": "db"]), ingress: [rule([pods(["app": "api"])])])
    world.network("shop/a", selects: labels(["app": "db"]), ingress: [rule([pods(["app": "web"])])])
    let evaluator = world.evaluator
    #expect(
      evaluator.ingress(flow("shop/web", "shop/db")).rule == networkRule("shop/a", "ingress[0].from[0]"))
    #expect(
      evaluator.ingress(flow("shop/api", "shop/db")).rule == networkRule("shop/b", "ingress[0].from[0]"))
    #expect(evaluator.ingress(flow("ops/batch", "shop/db")).rule == networkRule("shop/a", ""))
  }

  @Test func `both the source's egress and the destination's ingress must allow`() {
    var world = Self.shop
    world.network("shop/out", selects: labels(["app": "web"]), egress: [rule([pods(["app": "api"])])])
    world.network("shop/in", selects: labels(["app": "db"]), ingress: [rule([pods(["app": "web"])])])
    #expect(world.evaluator.ingress(flow("shop/web", "shop/db")).verdict == .allowed)
    #expect(world.evaluator.egress(flow("shop/web", "shop/db")).verdict == .denied)
    #expect(allows(world, flow("shop/web", "shop/api")))
    #expect(
      world.evaluator.egress(flow("shop/web", "shop/api")).rule == networkRule("shop/out", "egress[0].to[0]"))
  }

  @Test func `a pod selector alone means pods of the policy's own namespace`() {
    var world = Self.shop
    world.network("shop/p", ingress: [rule([pods(["app": "web"])])])
    #expect(allows(world, flow("shop/web", "shop/db")))
    #expect(!allows(world, flow("ops/web", "shop/db")))
  }

  @Test func `a namespace selector alone means every pod of the namespaces it selects`() {
    var world = Self.shop
    let peer = NetworkPolicy.Peer.selector(PeerSelector(namespaces: labels(["team": "ops"]), pods: nil))
    world.network("shop/p", ingress: [rule([peer])])
    #expect(allows(world, flow("ops/batch", "shop/db")))
    #expect(!allows(world, flow("shop/web", "shop/db")))
  }

  @Test func `both selectors in one peer must hold, two peers are either`() {
    var world = Self.shop
    let both = NetworkPolicy.Peer.selector(
      PeerSelector(namespaces: labels(["team": "ops"]), pods: labels(["app": "web"])))
    world.network("shop/both", selects: labels(["app": "db"]), ingress: [rule([both])])
    #expect(allows(world, flow("ops/web", "shop/db")))
    #expect(!allows(world, flow("ops/batch", "shop/db")))
    let namespace = NetworkPolicy.Peer.selector(PeerSelector(namespaces: labels(["team": "ops"]), pods: nil))
    world.network(
      "shop/either", selects: labels(["app": "api"]), ingress: [rule([namespace, pods(["app": "web"])])])
    #expect(allows(world, flow("ops/batch", "shop/api")))
    #expect(
      world.evaluator.ingress(flow("shop/web", "shop/api"))
        == Ruling(
          verdict: .allowed, reason: .rule, rule: networkRule("shop/either", "ingress[0].from[1]"),
          place: place(12)))
    #expect(!allows(world, flow("shop/db", "shop/api")))
  }

  @Test func `an empty namespace selector means all namespaces`() {
    var world = Self.shop
    let peer = NetworkPolicy.Peer.selector(
      PeerSelector(namespaces: .everything, pods: labels(["app": "web"])))
    world.network("shop/p", ingress: [rule([peer])])
    #expect(allows(world, flow("ops/web", "shop/db")))
    #expect(!allows(world, flow(from: v4(8, 8, 8, 8), "shop/db")))
  }

  @Test func `a namespace without a file is selected by its name`() {
    var world = World()
    world.endpoint("a/x")
    world.endpoint("b/y")
    let peer = NetworkPolicy.Peer.selector(
      PeerSelector(namespaces: labels(["kubernetes.io/metadata.name": "b"]), pods: nil))
    world.network("a/p", ingress: [rule([peer])])
    #expect(allows(world, flow("b/y", "a/x")))
  }

  @Test(arguments: [
    (Selector.Operator.in, Set(["api", "db"]), true, false),
    (.notIn, Set(["web"]), true, true),
    (.exists, Set(), true, false),
    (.doesNotExist, Set(), false, true),
  ])
  func `each operator selects as labels.Requirement does`(
    _ operator: Selector.Operator, _ values: Set<String>, _ labelled: Bool, _ bare: Bool
  ) {
    var world = Self.shop
    world.endpoint("shop/bare")
    let selector = Selector([
      Selector.Requirement(key: "app", operator: `operator`, values: values)
    ])
    world.network(
      "shop/p", selects: labels(["app": "web"]),
      ingress: [rule([.selector(PeerSelector(namespaces: nil, pods: selector))])])
    #expect(allows(world, flow("shop/api", "shop/web")) == labelled)
    #expect(allows(world, flow("shop/bare", "shop/web")) == bare)
  }

  @Test func `an ipBlock holds its addresses without the excepted ones`() {
    var world = Self.shop
    world.network(
      "shop/p",
      ingress: [rule([block(v4(192, 168, 0, 0), 16, except: [cidr(v4(192, 168, 1, 0), 24)])])])
    #expect(allows(world, flow(from: v4(192, 168, 2, 1), "shop/db")))
    #expect(!allows(world, flow(from: v4(192, 168, 1, 1), "shop/db")))
    #expect(!allows(world, flow(from: v4(192, 169, 0, 1), "shop/db")))
  }

  @Test func `an ipBlock matches pods by their addresses, any of them where none is named`() {
    var world = Self.shop
    world.network("ops/p", ingress: [rule([block(v6(0), 64)])])
    #expect(allows(world, flow("shop/api", "ops/web")))
    #expect(!allows(world, flow("shop/web", "ops/web")))
    var seen = flow("shop/api", "ops/web")
    seen.fromAddress = v4(10, 0, 0, 2)
    #expect(!allows(world, seen))
    seen.fromAddress = v6(77)
    #expect(allows(world, seen))
  }

  @Test func `an ipBlock of one family holds no address of the other`() {
    var world = Self.shop
    world.network("shop/p", ingress: [rule([block(IPAddress(bits: 0), 0)])])
    #expect(allows(world, flow(from: v6(9), "shop/db")))
    #expect(!allows(world, flow(from: v4(9, 9, 9, 9), "shop/db")))
  }

  @Test func `ports are of their protocol, and without a number all of it`() {
    var world = Self.shop
    let udp = NetworkPolicy.Port(protocol: .udp, number: .any)
    world.network("shop/p", ingress: [rule(ports: [tcp(443), udp])])
    #expect(allows(world, flow("ops/web", "shop/db", 443)))
    #expect(!allows(world, flow("ops/web", "shop/db", 442)))
    #expect(allows(world, flow("ops/web", "shop/db", 9, .udp)))
    #expect(!allows(world, flow("ops/web", "shop/db", 443, .sctp)))
    #expect(!allows(world, flow("ops/web", "shop/db", 8, .icmp)))
  }

  @Test func `endPort closes a range with both ends in it`() {
    var world = Self.shop
    let range = NetworkPolicy.Port(protocol: .tcp, number: .range(32000...32768))
    world.network("shop/p", selects: labels(["app": "web"]), egress: [rule(ports: [range])])
    let answers = [31999, 32000, 32768, 32769].map { allows(world, flow("shop/web", "shop/db", $0)) }
    #expect(answers == [false, true, true, false])
  }

  @Test func `a named port of an ingress rule is the subject's port`() {
    var world = Self.shop
    let http = NetworkPolicy.Port(protocol: .tcp, number: .named("http"))
    world.network("shop/p", ingress: [rule(ports: [http])])
    #expect(allows(world, flow("shop/web", "shop/api", 8080)))
    #expect(!allows(world, flow("shop/web", "shop/api", 80)))
    #expect(!allows(world, flow("shop/web", "shop/db", 8080)))
  }

  @Test func `a named port of an egress rule is the peer's, with its protocol, and outside there is none`() {
    var world = Self.shop
    let http = NetworkPolicy.Port(protocol: .tcp, number: .named("http"))
    let dns = NetworkPolicy.Port(protocol: .tcp, number: .named("dns"))
    world.network("shop/p", selects: labels(["app": "web"]), egress: [rule(ports: [http, dns])])
    #expect(allows(world, flow("shop/web", "shop/api", 8080)))
    #expect(!allows(world, flow("shop/web", "shop/api", 53)))
    #expect(!allows(world, flow("shop/web", "shop/db", 8080)))
    #expect(!allows(world, flow("shop/web", to: v4(8, 8, 8, 8), 8080)))
  }

  @Test func `a pod on the host's network is not selected, and as a peer it is only its address`() {
    var world = Self.shop
    world.set.endpoints[Name("shop", "web")]?.hostNetwork = true
    world.network("shop/p", ingress: [rule([pods(["app": "web"])])])
    #expect(allows(world, flow("ops/batch", "shop/web")))
    #expect(!allows(world, flow("shop/web", "shop/db")))
    world.network("shop/q", ingress: [rule([block(v4(10, 0, 0, 1), 32)])])
    #expect(allows(world, flow("shop/web", "shop/db")))
    #expect(world.evaluator.party(at: v4(10, 0, 0, 1)) == .address(v4(10, 0, 0, 1)))
  }

  @Test func `an address belongs to the first endpoint by name that declares it`() {
    var world = Self.shop
    world.endpoint("aaa/z", at: [v4(10, 0, 0, 3)])
    #expect(world.evaluator.party(at: v4(10, 0, 0, 3)) == .endpoint(Name("aaa", "z")))
    #expect(world.evaluator.party(at: v4(10, 0, 0, 9)) == .address(v4(10, 0, 0, 9)))
  }
}
