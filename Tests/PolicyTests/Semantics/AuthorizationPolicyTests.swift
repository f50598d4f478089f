import Testing

@testable import Policy

/// A sentence for each rule of Istio's AuthorizationPolicy reference that is not in
/// EngineAuthorizationPolicyTests.
@Suite struct SemanticsAuthorizationPolicyTests {
  typealias Source = AuthorizationPolicy.Source
  typealias Operation = AuthorizationPolicy.Operation
  typealias Condition = AuthorizationPolicy.Condition
  typealias Rule = AuthorizationPolicy.Rule

  static var shop: World {
    var world = World()
    world.pod("shop/web", ["app": "web"], at: [v4(10, 0, 0, 1)], account: "web")
    world.pod(
      "shop/api", ["app": "api"], at: [v4(10, 0, 0, 2)],
      ports: [NamedPort(name: "db", port: 5432, protocol: .tcp)])
    world.pod("ops/batch", ["app": "batch"], at: [v4(10, 1, 0, 1), v6(1)])
    world.pod("ops/bare", ["app": "bare"])
    return world
  }

  static let toAPI = flow("shop/web", "shop/api")
  static let gets = Operation(request: RequestMatch(methods: [.exact("GET")]))

  static func rule(from: [Source] = [], to: [Operation] = [], when: [Condition] = []) -> Rule {
    Rule(from: from, to: to, when: when, place: place(20))
  }

  func world(_ rule: Rule, _ action: AuthorizationPolicy.Action = .allow) -> World {
    var world = Self.shop
    world.authorization("shop/p", action, selects: labels(["app": "api"]), rules: [rule])
    return world
  }

  /// Whether an ALLOW rule lets a source in.
  func allows(_ rule: Rule, from party: Party, _ port: UInt16 = 80) -> Bool {
    world(rule, .allow).evaluator.ingress(flow(from: party, to: at("shop/api"), port)).verdict == .allowed
  }

  @Test func `ipBlocks match the source's address, of an endpoint and of the outside`() {
    let ten = Self.rule(from: [Source(ipBlocks: [cidr(v4(10, 0, 0, 0), 24)])])
    #expect(allows(ten, from: at("shop/web")))
    #expect(!allows(ten, from: at("ops/batch")))
    #expect(allows(ten, from: .address(v4(10, 0, 0, 77))))
    #expect(!allows(ten, from: .address(v4(8, 8, 8, 8))))
  }

  @Test func `notIpBlocks exclude, with positives on one and the same address`() {
    let rule = Self.rule(from: [
      Source(ipBlocks: [cidr(v4(10, 0, 0, 0), 8)], notIpBlocks: [cidr(v4(10, 1, 0, 0), 16)])
    ])
    #expect(allows(rule, from: at("shop/web")))
    // Of its two addresses the one is excluded and the other not in the blocks.
    #expect(!allows(rule, from: at("ops/batch")))
    #expect(
      allows(Self.rule(from: [Source(notIpBlocks: [cidr(v4(10, 1, 0, 0), 16)])]), from: at("ops/batch")))
  }

  @Test func `the address used in the flow is the one that counts`() {
    let evaluator = world(Self.rule(from: [Source(ipBlocks: [cidr(v4(10, 1, 0, 0), 16)])])).evaluator
    var batch = flow("ops/batch", "shop/api")
    #expect(evaluator.ingress(batch).verdict == .allowed)
    batch.fromAddress = v6(1)
    #expect(evaluator.ingress(batch).verdict == .denied)
  }

  @Test func `without an address no block holds and every notIpBlocks does`() {
    #expect(!allows(Self.rule(from: [Source(ipBlocks: [cidr(v4(0, 0, 0, 0), 0)])]), from: at("ops/bare")))
    #expect(allows(Self.rule(from: [Source(notIpBlocks: [cidr(v4(0, 0, 0, 0), 0)])]), from: at("ops/bare")))
  }

  @Test func `remoteIpBlocks are the source address while no proxy is trusted`() {
    #expect(
      allows(Self.rule(from: [Source(remoteIpBlocks: [cidr(v4(10, 0, 0, 1), 32)])]), from: at("shop/web")))
    #expect(
      !allows(Self.rule(from: [Source(notRemoteIpBlocks: [cidr(v4(10, 0, 0, 1), 32)])]), from: at("shop/web"))
    )
  }

  @Test func `an address outside has no principal and no namespace`() {
    let outside = Party.address(v4(8, 8, 8, 8))
    #expect(!allows(Self.rule(from: [Source(principals: [.presence])]), from: outside))
    #expect(!allows(Self.rule(from: [Source(namespaces: [.presence])]), from: outside))
    #expect(allows(Self.rule(from: [Source(notNamespaces: [.exact("shop")])]), from: outside))
    #expect(allows(Self.rule(from: [Source(principals: [.presence])]), from: at("shop/web")))
  }

  @Test func `a request principal never matches without a RequestAuthentication`() {
    #expect(!allows(Self.rule(from: [Source(requestPrincipals: [.presence])]), from: at("shop/web")))
    #expect(allows(Self.rule(from: [Source(notRequestPrincipals: [.presence])]), from: at("shop/web")))
    let deny = world(Self.rule(from: [Source(notRequestPrincipals: [.presence])]), .deny)
    #expect(deny.evaluator.ingress(Self.toAPI).verdict == .denied)
  }

  @Test func `claims and audiences never match without a RequestAuthentication`() {
    #expect(!allows(Self.rule(when: [.token(values: [.exact("a")], notValues: [])]), from: at("shop/web")))
    #expect(allows(Self.rule(when: [.token(values: [], notValues: [.exact("a")])]), from: at("shop/web")))
  }

  @Test func `all conditions of when must hold, beside from and to`() {
    let both = Self.rule(
      from: [Source(namespaces: [.exact("shop")])],
      when: [
        .source(Source(ipBlocks: [cidr(v4(10, 0, 0, 0), 24)])), .operation(Operation(ports: [80, 81])),
      ])
    #expect(allows(both, from: at("shop/web")))
    #expect(!allows(both, from: at("shop/web"), 82))
    #expect(!allows(both, from: .address(v4(10, 0, 0, 9))))
    #expect(
      !allows(
        Self.rule(to: [Operation(ports: [80])], when: [.operation(Operation(notPorts: [80]))]),
        from: at("shop/web")))
  }

  @Test func `destination ip is an address of the workload`() {
    let here = Condition.destination(blocks: [cidr(v4(10, 0, 0, 2), 32)], notBlocks: [])
    #expect(allows(Self.rule(when: [here]), from: at("shop/web")))
    #expect(
      !allows(
        Self.rule(when: [.destination(blocks: [cidr(v4(10, 0, 0, 3), 32)], notBlocks: [])]),
        from: at("shop/web")))
    #expect(
      !allows(
        Self.rule(when: [.destination(blocks: [], notBlocks: [cidr(v4(10, 0, 0, 0), 8)])]),
        from: at("shop/web")))
    var used = Self.toAPI
    used.toAddress = v4(127, 0, 0, 1)
    #expect(world(Self.rule(when: [here])).evaluator.ingress(used).verdict == .denied)
  }

  @Test func `a header condition is decided by the request`() {
    let header = HeaderMatch(name: "x-team", values: [.prefix("ops")], notValues: [.exact("ops-old")])
    let evaluator = world(Self.rule(when: [.operation(Operation(request: RequestMatch(headers: [header])))]))
      .evaluator
    #expect(evaluator.ingress(Self.toAPI).verdict == .proxied)
    func verdict(_ headers: [String: String]) -> Verdict {
      evaluator.l7(Self.toAPI, Request(method: "GET", path: "/", host: "h", headers: headers)).verdict
    }
    #expect(verdict(["x-team": "ops-new"]) == .allowed)
    #expect(verdict(["x-team": "ops-old"]) == .denied)
    #expect(verdict(["x-team": "dev"]) == .denied)
    #expect(verdict([:]) == .denied)
  }

  @Test func `an absent header satisfies every notValues`() {
    let match = RequestMatch(headers: [HeaderMatch(name: "x-team", values: [], notValues: [.presence])])
    #expect(match.matches(Request(method: "GET", path: "/", host: "h")))
    #expect(!match.matches(Request(method: "GET", path: "/", host: "h", headers: ["x-team": "a"])))
  }

  @Test func `a certain operation beside a condition about requests still asks`() {
    let header = HeaderMatch(name: "a", values: [.presence])
    let rule = Self.rule(
      to: [Operation(ports: [80])], when: [.operation(Operation(request: RequestMatch(headers: [header])))])
    #expect(world(rule).evaluator.ingress(Self.toAPI).verdict == .proxied)
    #expect(world(rule).evaluator.ingress(flow("shop/web", "shop/api", 81)).verdict == .denied)
  }

  @Test func `AUDIT does not affect whether requests are allowed or denied`() {
    let audit = world(Self.rule(), .audit)
    #expect(audit.evaluator.ingress(Self.toAPI) == .notSelected)
    let explained = audit.evaluator.explain(Self.toAPI, request: nil)
    #expect(explained.verdict == "allowed")
    #expect(
      explained.audit?.map(\.policy.rule) == ["rules[0]"] && explained.audit?.map(\.verdict) == ["allowed"])
    let other = world(Self.rule(to: [Operation(ports: [81])]), .audit)
    #expect(other.evaluator.explain(Self.toAPI, request: nil).audit == nil)
  }

  @Test func `a dry run is not enforced, and explain says what it would do`() {
    var world = world(Self.rule(to: [Self.gets]), .deny)
    world.set.authorizationPolicies[0].dryRun = true
    #expect(world.evaluator.ingress(Self.toAPI) == .notSelected)
    let get = Request(method: "GET", path: "/", host: "h")
    let explained = world.evaluator.explain(Self.toAPI, request: get)
    #expect(explained.verdict == "allowed" && explained.audit?.first?.verdict == "denied")
    #expect(explained.audit?.first?.action == "DENY" && explained.audit?.first?.policy.rule == "rules[0]")
    let put = Request(method: "PUT", path: "/", host: "h")
    #expect(world.evaluator.explain(Self.toAPI, request: put).audit == nil)
  }

  @Test func `a dry run of ALLOW is reported where it would refuse without a rule`() {
    var world = world(Self.rule(to: [Operation(ports: [81])]), .allow)
    world.set.authorizationPolicies[0].dryRun = true
    let explained = world.evaluator.explain(Self.toAPI, request: nil)
    #expect(explained.verdict == "allowed" && explained.audit?.map(\.verdict) == ["denied"])
    #expect(explained.audit?.first?.policy.rule == "")
  }

  // MARK: HTTP rules on plain TCP

  func service(_ port: Service.Port) -> World {
    var world = Self.shop
    world.service("shop/api", selects: ["app": "api"], ports: [port])
    return world
  }

  static func servicePort(_ name: String?, _ port: UInt16 = 80, app: String? = nil) -> Service.Port {
    Service.Port(name: name, protocol: .tcp, port: port, target: .range(80...80), appProtocol: app)
  }

  @Test(
    arguments: [
      ("tcp", nil, true), ("tcp-db", nil, true), ("tls", nil, true), ("https-x", nil, true),
      ("mongo", nil, true),
      ("mysql", nil, true), ("redis", nil, true), ("TCP", nil, true), ("http", nil, false),
      ("http2-x", nil, false),
      ("grpc", nil, false), ("grpc-web-x", nil, false), ("web", nil, false), (nil, nil, false),
      ("http", "tcp", true), ("tcp", "http", false), ("tcp", "kubernetes.io/h2c", false),
      ("tcp", "kubernetes.io/ws", false), (nil, "kubernetes.io/wss", true),
    ] as [(String?, String?, Bool)])
  func `a port's protocol is appProtocol, else its name up to the first dash`(
    _ name: String?, _ app: String?, _ isPlain: Bool
  ) throws {
    let world = service(Self.servicePort(name, app: app))
    let api = try #require(world.set.endpoints[Name("shop", "api")])
    #expect(world.set.isPlainTCP(api, port: 80) == isPlain)
    #expect(!world.set.isPlainTCP(api, port: 81))
  }

  @Test func `a server-first port without a protocol is TCP`() throws {
    let world = service(Self.servicePort("x", 3306))
    let api = try #require(world.set.endpoints[Name("shop", "api")])
    #expect(world.set.isPlainTCP(api, port: 80))
  }

  @Test func `a target by name is the endpoint's port, and a Service means its own namespace and selector`()
    throws
  {
    var world = service(
      Service.Port(name: "tcp", protocol: .tcp, port: 1, target: .named("db"), appProtocol: nil))
    let api = try #require(world.set.endpoints[Name("shop", "api")])
    let web = try #require(world.set.endpoints[Name("shop", "web")])
    #expect(world.set.isPlainTCP(api, port: 5432) && !world.set.isPlainTCP(api, port: 1))
    #expect(!world.set.isPlainTCP(web, port: 5432))
    world.set.services = [:]
    world.service("ops/api", selects: ["app": "api"], ports: [Self.servicePort("tcp")])
    #expect(!world.set.isPlainTCP(api, port: 80))
  }

  @Test func `an ALLOW rule with HTTP-only fields never matches on a plain TCP port`() {
    for (name, verdict) in [("tcp", Verdict.denied), ("http", .proxied)] {
      var world = service(Self.servicePort(name))
      world.authorization("shop/p", rules: [Self.rule(to: [Self.gets, Operation(ports: [80])])])
      world.set.authorizationPolicies[0].rules[0].to = [Self.gets]
      #expect(world.evaluator.ingress(Self.toAPI).verdict == verdict)
    }
    var world = service(Self.servicePort("tcp"))
    world.authorization("shop/p", rules: [Self.rule(to: [Operation(ports: [80])])])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .allowed)
  }

  @Test func `a DENY rule loses its HTTP-only fields on a plain TCP port`() {
    for (name, verdict) in [("tcp", Verdict.denied), ("http", .proxied)] {
      var world = service(Self.servicePort(name))
      world.authorization("shop/p", .deny, rules: [Self.rule(to: [Self.gets])])
      #expect(world.evaluator.ingress(Self.toAPI).verdict == verdict)
    }
    var world = service(Self.servicePort("tcp"))
    var scoped = Self.gets
    scoped.ports = [8080]
    world.authorization("shop/p", .deny, rules: [Self.rule(to: [scoped])])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .allowed)
  }

  @Test func `request principals are HTTP-only fields, too`() {
    var world = service(Self.servicePort("tcp"))
    world.authorization("shop/p", .deny, rules: [Self.rule(from: [Source(requestPrincipals: [.presence])])])
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .denied)
    world.set.authorizationPolicies[0].action = .allow
    world.set.authorizationPolicies[0].rules = [
      Self.rule(when: [.token(values: [], notValues: [.exact("a")])])
    ]
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .denied)
    world.set.services = [:]
    #expect(world.evaluator.ingress(Self.toAPI).verdict == .allowed)
  }
}
