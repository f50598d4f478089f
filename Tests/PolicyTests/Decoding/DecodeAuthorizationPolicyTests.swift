import Testing

@testable import Policy

private func read(_ text: String) throws -> AuthorizationPolicy {
  let reading = Reading(texts: [("t.yaml", text)])
  try #require(reading.problems.isEmpty, "\(reading.problems)")
  return try #require(reading.set.authorizationPolicies.first)
}

@Test("an AuthorizationPolicy with everything in it is read as written")
func wholeAuthorizationPolicy() throws {
  let policy = try read(
    authorizationPolicy(
      """
      selector: {matchLabels: {app: api}}
      action: DENY
      rules:
      - from:
        - source: {principals: ["cluster.local/ns/shop/sa/web", "cluster.local/*"], notNamespaces: [test]}
        - source: {namespaces: ["*-prod"], notPrincipals: ["*"]}
        to:
        - operation:
            ports: ["80", "443"]
            notPorts: ["8080"]
            methods: [GET, P*]
            notMethods: [POST]
            paths: [/a, /b/*, "*.html", "*"]
            notPaths: [/c]
            hosts: [example.com]
            notHosts: ["*.org"]
      - {}
      """))
  #expect(policy.name == Name("shop", "p"))
  #expect(policy.action == .deny)
  #expect(policy.selector == Selector([.init(key: "app", operator: .in, values: ["api"])]))
  #expect(policy.rules.count == 2)
  #expect(policy.rules.map(\.place.line) == [8, 21])
  #expect(
    policy.rules[0].from == [
      .init(
        principals: [.exact("cluster.local/ns/shop/sa/web"), .prefix("cluster.local/")],
        notNamespaces: [.exact("test")]),
      .init(notPrincipals: [.presence], namespaces: [.suffix("-prod")]),
    ])
  let request = RequestMatch(
    methods: [.exact("GET"), .prefix("P")], notMethods: [.exact("POST")],
    paths: [.exact("/a"), .prefix("/b/"), .suffix(".html"), .presence], notPaths: [.exact("/c")],
    hosts: [.exact("example.com")], notHosts: [.suffix(".org")])
  #expect(policy.rules[0].to == [.init(ports: [80, 443], notPorts: [8080], request: request)])
  #expect(policy.rules[1].from.isEmpty && policy.rules[1].to.isEmpty)
}

@Test(
  "no rules allow nothing, an empty rule allows everything, and both are legal",
  arguments: [
    ("spec: {}", 0), ("", 0), ("spec: {rules: []}", 0), ("spec: {rules: null}", 0),
    ("spec: {rules: [{}]}", 1), ("spec: {action: ALLOW}", 0),
    ("spec: {action: DENY, rules: [{}]}", 1), ("spec: {rules: [{from: null, to: null}]}", 1),
  ])
func emptyRules(rest: String, count: Int) throws {
  for version in ["v1", "v1beta1"] {
    let policy = try read(
      "apiVersion: security.istio.io/\(version)\nkind: AuthorizationPolicy\nmetadata: {name: p}\n\(rest)\n")
    #expect(policy.rules.count == count)
    #expect(policy.selector == nil)
    #expect(policy.action == (rest.contains("DENY") ? .deny : .allow))
  }
}

private let seventeen = (1...17).map { "a\($0)" }.joined(separator: ", ")

@Test(
  "what Istio refuses, and what would be judged otherwise than written, is refused",
  arguments: [
    Refusal(
      "action CUSTOM with a provider", authorizationPolicy("action: CUSTOM\nprovider: {name: x}"),
      "5:11 spec.action", "6:3 spec.provider", says: "the action `CUSTOM` is not supported"),
    Refusal(
      "a provider beside another action", authorizationPolicy("provider: {name: x}"), "5:3 spec.provider",
      says: "it belongs to the action CUSTOM"),
    Refusal(
      "an unknown action", authorizationPolicy("action: Deny\nrules: [{}]"), "5:11 spec.action",
      says: "did you mean `DENY`?"),
    Refusal(
      "targetRefs", authorizationPolicy("targetRefs: []\ntargetRef: {}"), "5:3 spec.targetRefs",
      "6:3 spec.targetRef", says: "`targetRefs` is not supported: it is for waypoints"),
    Refusal(
      "a bad block", authorizationPolicy("rules: [{from: [{source: {ipBlocks: [10.0.0.0/33, web]}}]}]"),
      "5:40 spec.rules[0].from[0].source.ipBlocks[0]", "5:53 spec.rules[0].from[0].source.ipBlocks[1]",
      says: "expected an address or a block"),
    Refusal(
      "service accounts beside principals",
      authorizationPolicy("rules: [{from: [{source: {serviceAccounts: [a], notPrincipals: [b]}}]}]"),
      "5:46 spec.rules[0].from[0].source.serviceAccounts", says: "cannot stand beside `notPrincipals`"),
    Refusal(
      "service accounts beside namespaces",
      authorizationPolicy("rules: [{from: [{source: {namespaces: [b], notServiceAccounts: [a]}}]}]"),
      "5:66 spec.rules[0].from[0].source.notServiceAccounts", says: "cannot stand beside `namespaces`"),
    Refusal(
      "what is no service account",
      authorizationPolicy("rules: [{from: [{source: {serviceAccounts: [a/b/c, 'a*', /a, a/, '']}}]}]"),
      "5:47 spec.rules[0].from[0].source.serviceAccounts[0]",
      "5:54 spec.rules[0].from[0].source.serviceAccounts[1]",
      "5:60 spec.rules[0].from[0].source.serviceAccounts[2]",
      "5:64 spec.rules[0].from[0].source.serviceAccounts[3]",
      "5:68 spec.rules[0].from[0].source.serviceAccounts[4]", says: "expected NAME or NAMESPACE/NAME"),
    Refusal(
      "more than 16 service accounts",
      authorizationPolicy("rules: [{from: [{source: {serviceAccounts: [\(seventeen)]}}]}]"),
      "5:46 spec.rules[0].from[0].source.serviceAccounts", says: "at most 16"),
    Refusal(
      "a condition without a key", authorizationPolicy("rules: [{when: [{values: [b]}]}]"),
      "5:19 spec.rules[0].when[0].key", says: "`key` is required"),
    Refusal(
      "a condition without values", authorizationPolicy("rules: [{when: [{key: source.ip, values: []}]}]"),
      "5:19 spec.rules[0].when[0].values", says: "at least one of `values` and `notValues`"),
    Refusal(
      "a condition with an empty value",
      authorizationPolicy("rules: [{when: [{key: source.principal, values: ['']}]}]"),
      "5:52 spec.rules[0].when[0].values[0]", says: "not empty"),
    Refusal(
      "an unknown attribute", authorizationPolicy("rules: [{when: [{key: source.ips, values: [b]}]}]"),
      "5:25 spec.rules[0].when[0].key", says: "did you mean `source.ip`?"),
    Refusal(
      "a header without a name",
      authorizationPolicy(
        "rules: [{when: [{key: 'request.headers[]', values: [b]}, {key: request.headers, values: [b]}]}]"),
      "5:25 spec.rules[0].when[0].key", "5:66 spec.rules[0].when[1].key", says: "request.headers[NAME]"),
    Refusal(
      "a header's name",
      authorizationPolicy("rules: [{when: [{key: 'request.headers[:path]', values: [b]}]}]"),
      "5:25 spec.rules[0].when[0].key", says: "a header's name"),
    Refusal(
      "a claim without a name",
      authorizationPolicy("rules: [{when: [{key: request.auth.claims, values: [b]}]}]"),
      "5:25 spec.rules[0].when[0].key", says: "request.auth.claims[NAME]"),
    Refusal(
      "the name in a TLS handshake",
      authorizationPolicy("rules: [{when: [{key: connection.sni, values: [b]}]}]"),
      "5:25 spec.rules[0].when[0].key", says: "`connection.sni` is not supported: weir reads no TLS"),
    Refusal(
      "another filter's metadata",
      authorizationPolicy("rules: [{when: [{key: 'experimental.envoy.filters.a.b[c]', values: [b]}]}]"),
      "5:25 spec.rules[0].when[0].key", says: "`experimental.envoy.filters.a.b[c]` is not supported"),
    Refusal(
      "an attribute of v1alpha1",
      authorizationPolicy("rules: [{when: [{key: 'destination.labels[a]', values: [b]}]}]"),
      "5:25 spec.rules[0].when[0].key", says: "the `selector` asks for the destination's labels"),
    Refusal(
      "a condition's block", authorizationPolicy("rules: [{when: [{key: remote.ip, notValues: [a]}]}]"),
      "5:48 spec.rules[0].when[0].notValues[0]", says: "expected an address or a block"),
    Refusal(
      "a condition's port",
      authorizationPolicy("rules: [{when: [{key: destination.port, values: ['65536']}]}]"),
      "5:52 spec.rules[0].when[0].values[0]", says: "1 to 65535"),
    Refusal(
      "a condition's service account",
      authorizationPolicy("rules: [{when: [{key: source.serviceAccount, values: ['*']}]}]"),
      "5:57 spec.rules[0].when[0].values[0]", says: "without a wildcard"),
    Refusal(
      "DENY without rules", authorizationPolicy("action: DENY"), "5:11 spec.rules", says: "never applies"),
    Refusal(
      "DENY with no rule", authorizationPolicy("action: DENY\nrules: []"), "6:10 spec.rules",
      says: "never applies"),
    Refusal(
      "an empty from", authorizationPolicy("rules: [{from: []}]"), "5:18 spec.rules[0].from",
      says: "at least one source"),
    Refusal(
      "an empty to", authorizationPolicy("rules: [{to: []}]"), "5:16 spec.rules[0].to",
      says: "at least one operation"),
    Refusal(
      "from without source", authorizationPolicy("rules: [{from: [{}]}]"),
      "5:19 spec.rules[0].from[0].source", says: "required"),
    Refusal(
      "fields of a source beside it", authorizationPolicy("rules: [{from: [{principals: [a]}]}]"),
      "5:19 spec.rules[0].from[0].source", "5:20 spec.rules[0].from[0].principals", says: "required"),
    Refusal(
      "an empty source", authorizationPolicy("rules: [{from: [{source: {}}]}]"),
      "5:28 spec.rules[0].from[0].source", says: "expected at least one of principals"),
    Refusal(
      "a source of empty lists", authorizationPolicy("rules: [{from: [{source: {principals: []}}]}]"),
      "5:28 spec.rules[0].from[0].source", says: "at least one"),
    Refusal(
      "an empty operation", authorizationPolicy("rules: [{to: [{operation: {ports: [], paths: null}}]}]"),
      "5:29 spec.rules[0].to[0].operation", says: "at least one"),
    Refusal(
      "an empty string", authorizationPolicy("rules: [{to: [{operation: {paths: [/a, '']}}]}]"),
      "5:42 spec.rules[0].to[0].operation.paths[1]", says: "not empty"),
    Refusal(
      "a port without quotes", authorizationPolicy("rules: [{to: [{operation: {ports: [80]}}]}]"),
      "5:38 spec.rules[0].to[0].operation.ports[0]", says: "put it in quotes"),
    Refusal(
      "port 0", authorizationPolicy("rules: [{to: [{operation: {ports: ['0']}}]}]"),
      "5:38 spec.rules[0].to[0].operation.ports[0]", says: "1 to 65535"),
    Refusal(
      "a named port", authorizationPolicy("rules: [{to: [{operation: {notPorts: [http]}}]}]"),
      "5:41 spec.rules[0].to[0].operation.notPorts[0]", says: "`http`"),
    Refusal(
      "matchExpressions in the selector", authorizationPolicy("selector: {matchExpressions: []}"),
      "5:14 spec.selector.matchExpressions", says: "unknown field"),
    Refusal(
      "a wildcard in the selector", authorizationPolicy("selector: {matchLabels: {app: '*'}}"),
      "5:33 spec.selector.matchLabels.app", says: "label value"),
  ])
func refusedAuthorizationPolicies(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}

private func paths(_ path: String, in list: String = "paths") -> String {
  authorizationPolicy("rules: [{to: [{operation: {\(list): ['\(path)']}}]}]")
}

private func suffix(_ account: String) -> Match { .suffix("/ns/\(account)") }

private func cidrs(_ texts: String...) -> [CIDR] { texts.compactMap { CIDR($0) } }

@Test func `a source by address, service account and request principal is read as written`() throws {
  let policy = try read(
    authorizationPolicy(
      """
      action: AUDIT
      rules:
      - from:
        - source:
            ipBlocks: [10.0.0.1, 192.0.2.0/24, "2001:db8::/32"]
            notIpBlocks: [192.0.2.7]
            remoteIpBlocks: [203.0.113.0/24]
            notRemoteIpBlocks: ["::1"]
            requestPrincipals: ["*", "issuer.example/sub"]
            notRequestPrincipals: ["issuer.example/*"]
        - source: {serviceAccounts: [web, bank/teller], notServiceAccounts: [bank/trainee]}
      """))
  #expect(policy.action == .audit)
  let source = policy.rules[0].from[0]
  #expect(source.ipBlocks == cidrs("10.0.0.1/32", "192.0.2.0/24", "2001:db8::/32"))
  #expect(source.notIpBlocks == cidrs("192.0.2.7/32"))
  #expect(source.remoteIpBlocks == cidrs("203.0.113.0/24"))
  #expect(source.notRemoteIpBlocks == cidrs("::1/128"))
  #expect(source.requestPrincipals == [.presence, .exact("issuer.example/sub")])
  #expect(source.notRequestPrincipals == [.prefix("issuer.example/")])
  #expect(
    policy.rules[0].from[1]
      == .init(
        principals: [suffix("shop/sa/web"), suffix("bank/sa/teller")],
        notPrincipals: [suffix("bank/sa/trainee")]))
}

@Test(
  arguments: [
    (
      "source.ip, values: [10.0.0.0/8], notValues: [10.1.0.1]",
      .source(.init(ipBlocks: cidrs("10.0.0.0/8"), notIpBlocks: cidrs("10.1.0.1/32")))
    ),
    ("remote.ip, notValues: [10.0.0.0/8]", .source(.init(notRemoteIpBlocks: cidrs("10.0.0.0/8")))),
    (
      "source.namespace, values: [dev, 'test-*']",
      .source(.init(namespaces: [.exact("dev"), .prefix("test-")]))
    ),
    ("source.principal, notValues: ['*/sa/web']", .source(.init(notPrincipals: [.suffix("/sa/web")]))),
    ("source.serviceAccount, values: [web]", .source(.init(principals: [suffix("shop/sa/web")]))),
    ("destination.ip, values: [10.0.0.1]", .destination(blocks: cidrs("10.0.0.1/32"), notBlocks: [])),
    (
      "destination.port, values: ['80', '443'], notValues: ['8080']",
      .operation(.init(ports: [80, 443], notPorts: [8080]))
    ),
    (
      "'request.headers[X-Tenant]', values: ['*', 'a*', '*b', c], notValues: [d]",
      .operation(
        .init(
          request: RequestMatch(headers: [
            HeaderMatch(
              name: "x-tenant", values: [.any, .prefix("a"), .suffix("b"), .exact("c")],
              notValues: [.exact("d")])
          ])))
    ),
    ("request.auth.principal, values: ['*']", .token(values: [.presence], notValues: [])),
    ("request.auth.audiences, values: [a.example]", .token(values: [.exact("a.example")], notValues: [])),
    ("request.auth.presenter, notValues: [a]", .token(values: [], notValues: [.exact("a")])),
    (
      "'request.auth.claims[iss]', values: ['*.example']",
      .token(values: [.suffix(".example")], notValues: [])
    ),
    ("'request.auth.claims[realm][roles]', values: [x]", .token(values: [.exact("x")], notValues: [])),
  ] as [(String, AuthorizationPolicy.Condition)])
func `each attribute of when is read as what it asks`(text: String, condition: AuthorizationPolicy.Condition)
  throws
{
  let policy = try read(authorizationPolicy("rules: [{when: [{key: \(text)}]}]"))
  #expect(policy.rules[0].when == [condition])
  #expect(policy.rules[0].from.isEmpty && policy.rules[0].to.isEmpty)
}

@Test(
  arguments: [
    ("true", true), ("True", true), ("TRUE", true), ("1", true), ("t", true), ("T", true), ("false", false),
    ("tRUE", false), ("yes", false), ("", false),
  ])
func `the annotation for a dry run is read as Go reads a boolean`(value: String, dryRun: Bool) throws {
  let text = """
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: p, annotations: {istio.io/dry-run: '\(value)'}}
    spec: {action: DENY, rules: [{}]}
    """
  #expect(try read(text).dryRun == dryRun)
}

@Test(
  arguments: [
    ("/a/{*}", .template("/a/{*}")), ("/a/{*}/b/{**}", .template("/a/{*}/b/{**}")),
    ("/{**}/b", .template("/{**}/b")), ("/{*}/{*}/", .template("/{*}/{*}/")), ("/a*", .prefix("/a")),
    // A star elsewhere is the character itself.
    ("/a/*/b", .exact("/a/*/b")), ("*a*", .suffix("a*")), ("**", .suffix("*")), ("/a?b", .exact("/a?b")),
  ] as [(String, Match)])
func `a path is exact, a prefix, a suffix or a template`(path: String, match: Match) throws {
  for list in ["paths", "notPaths"] {
    let request = try read(paths(path, in: list)).rules[0].to[0].request
    #expect(request.paths + request.notPaths == [match])
  }
}

@Test(
  arguments: [
    ("/{**}/{*}", "the last operator"), ("/{**}/{**}", "the last operator"), ("/{*}a", "a whole segment"),
    ("/a/{**}b", "a whole segment"), ("/{a}/{*}", "a whole segment"), ("/{a=*}", "a whole segment"),
    ("/{}", "a whole segment"), ("/{*", "a whole segment"), ("/a}", "a whole segment"),
    ("/{***}", "a whole segment"),
    ("/*/{*}", "in a path template"), ("/{*}/b*", "in a path template"), ("/{*}//b", "in a path template"),
    ("/{*}/a b", "in a path template"), ("/{*}/b?c", "in a path template"), ("a/{*}", "starts with `/`"),
  ])
func `a path template Istio would refuse is refused`(path: String, says: String) {
  #expect(places(paths(path)) == ["5:38 spec.rules[0].to[0].operation.paths[0]"])
  #expect(message(paths(path)).contains(says), "\(message(paths(path)))")
}

@Test func `a star in a namespace is a wildcard wherever it stands, elsewhere the character`() throws {
  let policy = try read(
    authorizationPolicy(
      "rules: [{from: [{source: {namespaces: ['*', 'a*', '*b', 'a*b', '*a*', a.b], principals: ['a*b']}}]}]"))
  #expect(
    policy.rules[0].from[0].namespaces == [
      .presence, .prefix("a"), .suffix("b"), .regex("a.*b"), .regex(".*a.*"), .exact("a.b"),
    ])
  #expect(policy.rules[0].from[0].principals == [.exact("a*b")])
}
