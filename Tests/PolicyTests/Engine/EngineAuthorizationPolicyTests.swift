import Testing

@testable import Policy

/// A sentence for each rule of Istio's AuthorizationPolicy reference.
@Suite struct EngineAuthorizationPolicyTests {
  typealias Source = AuthorizationPolicy.Source
  typealias Operation = AuthorizationPolicy.Operation

  static let gets = Operation(request: RequestMatch(methods: [.exact("GET")]))
  static let posts = Operation(request: RequestMatch(methods: [.exact("POST")]))

  static var shop: World {
    var world = World()
    world.endpoint("shop/web", ["app": "web"], account: "web")
    world.endpoint("shop/api", ["app": "api"], account: "api")
    world.endpoint("ops/batch", ["app": "batch"])
    return world
  }

  static func get(_ path: String = "/", _ method: String = "GET", host: String = "h") -> Request {
    Request(method: method, path: path, host: host)
  }

  @Test func `without ALLOW policies a request is allowed unless a DENY rule matches`() {
    var world = Self.shop
    world.authorization(
      "shop/d", .deny, rules: [authorizationRule(from: [Source(namespaces: [.exact("ops")])])])
    let evaluator = world.evaluator
    #expect(
      evaluator.ingress(flow("ops/batch", "shop/api"))
        == Ruling(
          verdict: .denied, reason: .denyRule, rule: authorizationRule("shop/d", "rules[0]"), place: place(20)
        ))
    #expect(
      evaluator.ingress(flow("shop/web", "shop/api")) == Ruling(verdict: .allowed, reason: .notSelected))
  }

  @Test func `with an ALLOW policy what no rule matches is denied`() {
    var world = Self.shop
    world.authorization("shop/a", rules: [authorizationRule(from: [Source(namespaces: [.exact("shop")])])])
    let evaluator = world.evaluator
    #expect(evaluator.ingress(flow("shop/web", "shop/api")).rule == authorizationRule("shop/a", "rules[0]"))
    #expect(
      evaluator.ingress(flow("ops/batch", "shop/api"))
        == Ruling(verdict: .denied, reason: .noRule, rule: authorizationRule("shop/a", ""), place: place(1)))
  }

  @Test func `an ALLOW policy without rules allows nothing, a DENY policy without rules denies nothing`() {
    var world = Self.shop
    world.authorization("shop/d", .deny, rules: [])
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api")).verdict == .allowed)
    world.authorization("shop/a", rules: [])
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api")).verdict == .denied)
  }

  @Test func `a rule without from and to matches everything`() {
    var world = Self.shop
    world.authorization("shop/a", rules: [authorizationRule()])
    #expect(world.evaluator.ingress(flow(from: v4(8, 8, 8, 8), "shop/api")).verdict == .allowed)
  }

  @Test func `DENY is evaluated before ALLOW`() {
    var world = Self.shop
    world.authorization("shop/a", rules: [authorizationRule()])
    world.authorization("shop/z", .deny, rules: [authorizationRule(to: [Operation(ports: [80])])])
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 80)).reason == .denyRule)
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 81)).verdict == .allowed)
  }

  @Test func `a policy applies to its selector's workloads of its namespace`() {
    var world = Self.shop
    world.authorization("shop/a", selects: labels(["app": "api"]), rules: [])
    #expect(world.evaluator.ingress(flow("ops/batch", "shop/api")).verdict == .denied)
    #expect(world.evaluator.ingress(flow("ops/batch", "shop/web")).verdict == .allowed)
    #expect(world.evaluator.ingress(flow("shop/web", "ops/batch")).verdict == .allowed)
  }

  @Test func `a policy of the root namespace applies everywhere, narrowed by its selector`() {
    var world = Self.shop
    world.authorization("istio-system/a", selects: labels(["app": "batch"]), rules: [])
    #expect(world.evaluator.ingress(flow("shop/web", "ops/batch")).verdict == .denied)
    #expect(world.evaluator.ingress(flow("ops/batch", "shop/web")).verdict == .allowed)
  }

  @Test func `Istio does not handle UDP, SCTP and ICMP, so they are not selected`() {
    var world = Self.shop
    world.authorization("shop/a", rules: [])
    for transport in [TransportProtocol.udp, .sctp, .icmp] {
      #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 80, transport)).reason == .notSelected)
    }
  }

  @Test(arguments: [
    (AuthorizationPolicy.Match.exact("cluster.local/ns/shop/sa/web"), true),
    (.exact("spiffe://cluster.local/ns/shop/sa/web"), false),
    (.exact("cluster.local/ns/shop/sa/we"), false),
    (.prefix("cluster.local/ns/shop/"), true),
    (.prefix("cluster.local/ns/ops/"), false),
    (.suffix("/sa/web"), true),
    (.suffix("/sa/api"), false),
    (.presence, true),
  ])
  func `principals match exactly, by prefix, by suffix and by presence`(
    _ match: AuthorizationPolicy.Match, _ holds: Bool
  ) {
    var world = Self.shop
    world.authorization("shop/a", rules: [authorizationRule(from: [Source(principals: [match])])])
    #expect((world.evaluator.ingress(flow("shop/web", "shop/api")).verdict == .allowed) == holds)
    var not = Self.shop
    not.authorization("shop/a", rules: [authorizationRule(from: [Source(notPrincipals: [match])])])
    #expect((not.evaluator.ingress(flow("shop/web", "shop/api")).verdict == .allowed) != holds)
  }

  @Test func `an address outside has no principal: lists fail, not-lists hold`() {
    func answer(_ source: Source) -> Verdict {
      var world = Self.shop
      world.authorization("shop/a", rules: [authorizationRule(from: [source])])
      return world.evaluator.ingress(flow(from: v4(8, 8, 8, 8), "shop/api")).verdict
    }
    #expect(answer(Source(principals: [.presence])) == .denied)
    #expect(answer(Source(namespaces: [.presence])) == .denied)
    #expect(answer(Source(notPrincipals: [.presence])) == .allowed)
    #expect(answer(Source(notNamespaces: [.exact("shop")])) == .allowed)
  }

  @Test func `the lists of one source must all hold, sources are alternatives`() {
    func answer(_ sources: [Source], _ from: String) -> Verdict {
      var world = Self.shop
      world.authorization("shop/a", rules: [authorizationRule(from: sources)])
      return world.evaluator.ingress(flow(from, "shop/api")).verdict
    }
    let both = Source(principals: [.suffix("/sa/web")], notNamespaces: [.exact("shop")])
    #expect(answer([both], "shop/web") == .denied)
    #expect(answer([both, Source(namespaces: [.prefix("sh")])], "shop/web") == .allowed)
  }

  @Test func `ports must hold the destination port and notPorts must not`() {
    var world = Self.shop
    world.authorization(
      "shop/a", rules: [authorizationRule(to: [Operation(ports: [80, 81], notPorts: [81])])])
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 80)).verdict == .allowed)
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 81)).verdict == .denied)
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api", 82)).verdict == .denied)
  }

  @Test func `NetworkPolicy and AuthorizationPolicy must both allow, NetworkPolicy is named first`() {
    var world = Self.shop
    world.network("shop/n", ingress: [rule([pods(["app": "web"])])])
    world.authorization("shop/a", rules: [authorizationRule(from: [Source(namespaces: [.exact("ops")])])])
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api")).rule == authorizationRule("shop/a", ""))
    #expect(world.evaluator.ingress(flow("ops/batch", "shop/api")).rule == networkRule("shop/n", ""))
    world.authorization("shop/b", rules: [authorizationRule()])
    #expect(
      world.evaluator.ingress(flow("shop/web", "shop/api")).rule
        == networkRule("shop/n", "ingress[0].from[0]"))
  }

  @Test func `an ALLOW rule about requests proxies the flow and is named`() {
    var world = Self.shop
    world.authorization("shop/a", rules: [authorizationRule(to: [Self.gets])])
    #expect(
      world.evaluator.ingress(flow("shop/web", "shop/api"))
        == Ruling(
          verdict: .proxied, reason: .l7Rule, rule: authorizationRule("shop/a", "rules[0]"), place: place(20))
    )
  }

  @Test func `what L4 can decide is not proxied`() {
    var world = Self.shop
    world.authorization("shop/a", rules: [authorizationRule(to: [Self.gets])])
    world.authorization("shop/b", rules: [authorizationRule(from: [Source(namespaces: [.exact("shop")])])])
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api")).verdict == .allowed)
    #expect(world.evaluator.ingress(flow("ops/batch", "shop/api")).verdict == .proxied)
    world.authorization(
      "shop/c", .deny, rules: [authorizationRule(from: [Source(namespaces: [.exact("ops")])])])
    #expect(world.evaluator.ingress(flow("ops/batch", "shop/api")).verdict == .denied)
    world.network("shop/n", ingress: [])
    #expect(world.evaluator.ingress(flow("shop/web", "shop/api")).rule == networkRule("shop/n", ""))
  }

  @Test func `a DENY rule about requests proxies even what is allowed`() {
    var world = Self.shop
    world.authorization("shop/a", rules: [authorizationRule()])
    world.authorization("shop/d", .deny, rules: [authorizationRule(to: [Self.posts])])
    let ruling = world.evaluator.ingress(flow("shop/web", "shop/api"))
    #expect(ruling.verdict == .proxied)
    #expect(ruling.rule == authorizationRule("shop/d", "rules[0]"))
    #expect(world.evaluator.l7(flow("shop/web", "shop/api"), Self.get()).verdict == .allowed)
    #expect(world.evaluator.l7(flow("shop/web", "shop/api"), Self.get("/", "POST")).reason == .denyRule)
  }

  @Test func `a request must find an ALLOW rule, and names the policy where it does not`() {
    var world = Self.shop
    world.authorization("shop/a", rules: [authorizationRule(to: [Self.gets])])
    let evaluator = world.evaluator
    #expect(
      evaluator.l7(flow("shop/web", "shop/api"), Self.get()).rule == authorizationRule("shop/a", "rules[0]"))
    #expect(
      evaluator.l7(flow("shop/web", "shop/api"), Self.get("/", "PUT"))
        == Ruling(verdict: .denied, reason: .noRule, rule: authorizationRule("shop/a", ""), place: place(1)))
  }

  @Test func `paths are compared with case and without query and fragment`() {
    let match = RequestMatch(paths: [.exact("/api"), .prefix("/v1/"), .suffix(".js")])
    let held = ["/api", "/api?x=/y", "/api#top", "/v1/", "/v1/a?b", "/x/app.js?v=2"]
    let refused = ["/api/", "/API", "/v1", "/app.json", "/x?y=.js", "/x?/api"]
    #expect(held.filter { !match.matches(Self.get($0)) } == [])
    #expect(refused.filter { match.matches(Self.get($0)) } == [])
    #expect(!RequestMatch(notPaths: [.prefix("/admin")]).matches(Self.get("/admin?x")))
    #expect(!RequestMatch(paths: [.exact("/caf\u{e9}")]).matches(Self.get("/cafe\u{301}")))
  }

  @Test func `hosts are compared without case and as they are sent, port included`() {
    let match = RequestMatch(hosts: [.exact("Example.com"), .suffix(".example.org"), .prefix("dev.")])
    #expect(match.matches(Self.get(host: "EXAMPLE.com")))
    #expect(!match.matches(Self.get(host: "example.com:8080")))
    #expect(match.matches(Self.get(host: "a.EXAMPLE.org")))
    #expect(!match.matches(Self.get(host: "example.org")))
    #expect(match.matches(Self.get(host: "DEV.x")))
    #expect(!RequestMatch(notHosts: [.exact("a.b")]).matches(Self.get(host: "A.B")))
  }

  @Test func `methods are compared with case, presence wants something, and all fields must hold`() {
    #expect(!RequestMatch(methods: [.exact("GET")]).matches(Self.get("/", "get")))
    #expect(RequestMatch(methods: [.presence]).matches(Self.get("/", "X")))
    #expect(!RequestMatch(hosts: [.presence]).matches(Self.get(host: "")))
    let both = RequestMatch(methods: [.exact("GET")], notMethods: [.prefix("G")])
    #expect(!both.matches(Self.get()))
    #expect(RequestMatch(methods: [.exact("GET")], paths: [.prefix("/a")]).matches(Self.get("/ab")))
    #expect(!RequestMatch(methods: [.exact("GET")], paths: [.prefix("/a")]).matches(Self.get("/b")))
  }

  @Test func `the first proxy by name that takes a destination judges it`() {
    var world = Self.shop
    world.proxy("ops/b", takes: PeerSelector(namespaces: .everything, pods: labels(["app": "api"])))
    world.proxy("shop/c")
    world.proxy("ops/a", takes: PeerSelector(namespaces: nil, pods: nil))
    #expect(world.evaluator.proxy(for: Name("shop", "api"))?.name == Name("ops", "b"))
    #expect(world.evaluator.proxy(for: Name("shop", "web"))?.name == Name("shop", "c"))
    #expect(world.evaluator.proxy(for: Name("ops", "batch"))?.name == Name("ops", "a"))
  }
}
