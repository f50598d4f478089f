import CDatapath
import Testing

@testable import Policy

/// What proxies are told, rule by rule.
@Suite struct EngineL7Tests {
  typealias Source = AuthorizationPolicy.Source
  typealias Operation = AuthorizationPolicy.Operation

  /// shop/api behind a proxy that takes everything; web, batch and it are identities 3, 1 and 2.
  static var shop: World {
    var world = EngineAuthorizationPolicyTests.shop
    world.proxy("shop/envoy")
    return world
  }

  func rules(_ world: World) throws -> [L7Rule] {
    var numbers = Numbers()
    let tables = try compile(world.set, presence: world.presence, numbers: &numbers)
    return try #require(tables.l7[Name("shop", "envoy")])
  }

  static let api = labels(["app": "api"])
  static let reports = RequestMatch(methods: [.exact("GET")], paths: [.prefix("/reports/")])
  static let posts = RequestMatch(methods: [.exact("POST")])

  @Test func `a rule for one source's requests names its identity and every port`() throws {
    var world = Self.shop
    world.authorization(
      "shop/api", selects: Self.api,
      rules: [
        authorizationRule(
          from: [Source(namespaces: [.exact("ops")])], to: [Operation(request: Self.reports)]),
        authorizationRule(from: [Source(principals: [.suffix("/sa/web")])]),
      ])
    #expect(
      try rules(world) == [
        L7Rule(
          name: "AuthorizationPolicy shop/api rules[0]", target: 1, identities: [1], ports: nil,
          require: [[Self.reports]], unless: [])
      ])
  }

  @Test func `AUDIT and dry-run rules are reported where a proxy sees the requests, and refuse nothing`() throws {
    var world = Self.shop
    world.authorization(
      "shop/api", selects: Self.api, rules: [authorizationRule(to: [Operation(request: Self.reports)])])
    world.authorization(
      "shop/audit", .audit, selects: Self.api, rules: [authorizationRule(to: [Operation(request: Self.posts)])])
    world.authorization(
      "shop/dry", .deny, selects: Self.api,
      rules: [authorizationRule(from: [Source(namespaces: [.exact("ops")])])])
    world.set.authorizationPolicies[2].dryRun = true
    var numbers = Numbers()
    let tables = try compile(world.set, presence: world.presence, numbers: &numbers)
    #expect(
      tables.shadows[Name("shop", "envoy")] == [
        L7Rule(
          name: "AuthorizationPolicy shop/audit rules[0]", target: 1, identities: nil, ports: nil,
          require: [[Self.posts]], unless: [])
      ])
    #expect(try rules(world).map(\.name) == ["AuthorizationPolicy shop/api rules[0]"])
    let reader = TableReader(tables)
    func ruling(_ from: String) throws -> weir_ruling {
      let api = try #require(reader.workloads[world.presence.workloads[Name("shop", "api")] ?? 0])
      let peer = try #require(reader.workloads[world.presence.workloads[World.name(from)] ?? 0])
      return reader.ruling(api.class_, WEIR_INGRESS, peer.class_, 6, 80)
    }
    let batch = try ruling("ops/batch")
    #expect(batch.verdict == UInt8(WEIR_PROXIED.rawValue))
    #expect(batch.shadow == numbers.rules["AuthorizationPolicy shop/dry rules[0]"])
    #expect(batch.shadow_reason == UInt8(WEIR_REASON_DENY_RULE.rawValue))
    #expect(try ruling("shop/web").shadow == 0)
  }

  @Test func `a dry-run ALLOW policy would refuse what it does not match, unless another ALLOW policy is in force`()
    throws
  {
    var world = Self.shop
    world.authorization(
      "shop/dry", selects: Self.api, rules: [authorizationRule(from: [Source(namespaces: [.exact("shop")])])])
    world.set.authorizationPolicies[0].dryRun = true
    func shadows() throws -> Set<UInt32> {
      var numbers = Numbers()
      return Set(try compile(world.set, presence: world.presence, numbers: &numbers).ports.map(\.value.shadow))
    }
    #expect(try shadows().count == 2)
    world.authorization("shop/all", selects: Self.api, rules: [authorizationRule()])
    #expect(try shadows() == [0])
  }

  static func from(_ block: String, _ request: RequestMatch) -> AuthorizationPolicy.Rule {
    authorizationRule(from: [Source(ipBlocks: [CIDR(block)].compactMap { $0 })], to: [Operation(request: request)])
  }

  @Test func `addresses that make a difference cost no more than they say, up to the last port`() throws {
    var world = Self.shop
    let methods = ["GET", "POST", "PUT"].map { RequestMatch(methods: [.exact($0)]) }
    world.authorization(
      "shop/api", selects: Self.api, rules: methods.map { authorizationRule(to: [Operation(request: $0)]) })
    world.authorization(
      "shop/no", .deny, selects: Self.api,
      rules: (0..<30).map { Self.from("172.\($0).0.0/16", RequestMatch(methods: [.exact("M\($0)")])) })
    let told = try rules(world)
    #expect(told.count == 3 && told.allSatisfy { $0.unless.count == 30 && $0.ports == nil })
    // Of what differs only what all of them allow is told.
    world.set.authorizationPolicies = []
    world.authorization(
      "shop/api", selects: Self.api,
      rules: [Self.from("10.0.0.0/8", methods[0]), Self.from("10.0.0.0/8", methods[1]), Self.from("10.1.0.0/16", methods[2])])
    #expect(try rules(world).allSatisfy { $0.ports == nil })
  }

  @Test func `a source that may be refused by its address passes no request`() throws {
    var world = Self.shop
    world.set.endpoints[Name("shop", "web")]?.addresses = [v4(192, 168, 1, 5)]
    world.authorization("shop/api", selects: Self.api, rules: [authorizationRule(to: [Operation(request: Self.reports)])])
    func readers() throws -> [UInt32]? { try rules(world).first?.identities }
    #expect(try readers() == nil, "everybody")
    world.authorization(
      "shop/no", .deny, selects: Self.api,
      rules: [authorizationRule(from: [Source(ipBlocks: [cidr(v4(192, 168, 0, 0), 16)])])])
    let told = try #require(try readers())
    #expect(told.contains(0) && !told.contains(3), "web is identity 3")
  }

  @Test func `a rule for everybody names no identity, and its operations are alternatives`() throws {
    var world = Self.shop
    world.authorization(
      "shop/api", selects: Self.api,
      rules: [
        authorizationRule(to: [
          Operation(ports: [80], request: Self.reports), Operation(ports: [80, 81], request: Self.posts),
        ])
      ])
    #expect(
      try rules(world) == [
        L7Rule(
          name: "AuthorizationPolicy shop/api rules[0]", target: 1, identities: nil, ports: [80...80],
          require: [[Self.reports, Self.posts]], unless: []),
        L7Rule(
          name: "AuthorizationPolicy shop/api rules[0] #2", target: 1, identities: nil, ports: [81...81],
          require: [[Self.posts]], unless: []),
      ])
  }

  @Test func `a rule for everybody but one names the outside, as identity 0`() throws {
    var world = Self.shop
    world.authorization(
      "shop/api", selects: Self.api,
      rules: [
        authorizationRule(
          from: [Source(notPrincipals: [.suffix("/sa/web")])], to: [Operation(request: Self.reports)])
      ])
    let rules = try rules(world)
    #expect(rules.count == 1)
    #expect(rules.first?.identities == [0, 1, 2])
  }

  @Test func `DENY rules about requests narrow what is allowed`() throws {
    var world = Self.shop
    world.authorization("shop/api", selects: Self.api, rules: [authorizationRule()])
    world.authorization(
      "shop/no", .deny, selects: Self.api,
      rules: [
        authorizationRule(from: [Source(namespaces: [.exact("ops")])], to: [Operation(request: Self.posts)])
      ])
    #expect(
      try rules(world) == [
        L7Rule(
          name: "AuthorizationPolicy shop/api rules[0]", target: 1, identities: [1], ports: nil,
          require: [], unless: [Self.posts])
      ])
  }

  @Test func `without an ALLOW policy everything but the denied requests is allowed`() throws {
    var world = Self.shop
    world.authorization(
      "shop/no", .deny, selects: Self.api,
      rules: [
        authorizationRule(to: [Operation(notPorts: [8080], request: Self.posts)])
      ])
    #expect(
      try rules(world) == [
        L7Rule(
          name: "AuthorizationPolicy shop/no rules[0]", target: 1, identities: nil,
          ports: [0...8079, 8081...65535], require: [], unless: [Self.posts])
      ])
  }

  @Test func `what L4 denies is told to no proxy`() throws {
    var world = Self.shop
    world.authorization(
      "shop/api", selects: Self.api,
      rules: [
        authorizationRule(to: [Operation(request: Self.reports)])
      ])
    world.authorization(
      "shop/no", .deny,
      rules: [
        authorizationRule(from: [Source(notNamespaces: [.exact("shop")])])
      ])
    #expect(try rules(world).map(\.identities) == [[2, 3]])
  }

  @Test func `each allow rule and each destination has its own name`() throws {
    var world = Self.shop
    world.authorization(
      "shop/both",
      rules: [
        authorizationRule(to: [Operation(request: Self.reports)]),
        authorizationRule(to: [Operation(request: Self.posts)]),
      ])
    let told = try rules(world)
    #expect(told.map(\.target) == [1, 1, 2, 2])
    #expect(
      told.map(\.name) == [
        "AuthorizationPolicy shop/both rules[0]", "AuthorizationPolicy shop/both rules[1]",
        "AuthorizationPolicy shop/both rules[0] #2", "AuthorizationPolicy shop/both rules[1] #2",
      ])
  }

  @Test func `a proxy that judges nothing is told so`() throws {
    #expect(try rules(Self.shop) == [])
  }
}
