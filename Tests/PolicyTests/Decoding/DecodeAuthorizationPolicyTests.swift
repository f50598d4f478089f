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

@Test(
  "what Istio refuses, and what would be judged otherwise than written, is refused",
  arguments: [
    Refusal(
      "when", authorizationPolicy("rules: [{when: [{key: a, values: [b]}]}]"), "5:12 spec.rules[0].when",
      says: "`when` is not supported by this version"),
    Refusal(
      "action AUDIT", authorizationPolicy("action: AUDIT"), "5:11 spec.action",
      says: "`AUDIT` is not supported by this version"),
    Refusal(
      "action CUSTOM with a provider", authorizationPolicy("action: CUSTOM\nprovider: {name: x}"),
      "5:11 spec.action", "6:3 spec.provider", says: "`CUSTOM`"),
    Refusal(
      "an unknown action", authorizationPolicy("action: Deny\nrules: [{}]"), "5:11 spec.action",
      says: "did you mean `DENY`?"),
    Refusal(
      "targetRefs", authorizationPolicy("targetRefs: []\ntargetRef: {}"), "5:3 spec.targetRefs",
      "6:3 spec.targetRef", says: "`targetRefs` is not supported"),
    Refusal(
      "ipBlocks", authorizationPolicy("rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]"),
      "5:29 spec.rules[0].from[0].source.ipBlocks", says: "`ipBlocks` is not supported"),
    Refusal(
      "requestPrincipals", authorizationPolicy("rules: [{from: [{source: {requestPrincipals: ['*']}}]}]"),
      "5:29 spec.rules[0].from[0].source.requestPrincipals", says: "not supported"),
    Refusal(
      "serviceAccounts", authorizationPolicy("rules: [{from: [{source: {serviceAccounts: [web]}}]}]"),
      "5:29 spec.rules[0].from[0].source.serviceAccounts", says: "not supported"),
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
      "a star in the middle", authorizationPolicy("rules: [{to: [{operation: {paths: [/a/*/b]}}]}]"),
      "5:38 spec.rules[0].to[0].operation.paths[0]", says: "elsewhere it is no wildcard"),
    Refusal(
      "a star at both ends", authorizationPolicy("rules: [{to: [{operation: {hosts: ['*a*']}}]}]"),
      "5:38 spec.rules[0].to[0].operation.hosts[0]", says: "once at the start or the end"),
    Refusal(
      "a path template", authorizationPolicy("rules: [{to: [{operation: {paths: ['/a/{*}/b']}}]}]"),
      "5:38 spec.rules[0].to[0].operation.paths[0]", says: "path templates"),
    Refusal(
      "a path template at the end",
      authorizationPolicy("rules: [{to: [{operation: {notPaths: ['/a/{**}']}}]}]"),
      "5:41 spec.rules[0].to[0].operation.notPaths[0]", says: "path templates"),
    Refusal(
      "matchExpressions in the selector", authorizationPolicy("selector: {matchExpressions: []}"),
      "5:14 spec.selector.matchExpressions", says: "unknown field"),
    Refusal(
      "a wildcard in the selector", authorizationPolicy("selector: {matchLabels: {app: '*'}}"),
      "5:33 spec.selector.matchLabels.app", says: "label value"),
    Refusal(
      "a dry run",
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, annotations: {istio.io/dry-run: 'true'}}\n",
      "3:53 metadata.annotations[istio.io/dry-run]", says: "not supported by this version"),
  ])
func refusedAuthorizationPolicies(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}
