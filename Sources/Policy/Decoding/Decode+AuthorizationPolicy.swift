/// The rules are those of Istio (pkg/config/validation, pkg/config/security and security.istio.io/v1
/// AuthorizationPolicy). What Istio has and weir does not judge is refused by name: to pass it over would
/// allow or deny something else than was written.
extension Decoding {
  private static let authorizationPolicyShape = Shape(
    what: "an AuthorizationPolicy", read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])
  private static let authorizationPolicySpecShape = Shape(
    what: "an AuthorizationPolicySpec", read: ["selector", "action", "rules"],
    unsupported: [
      "provider": "it belongs to the action CUSTOM, which asks another server",
      "targetRef": "it is for waypoints and gateways, and weir has none; use `selector`",
      "targetRefs": "it is for waypoints and gateways, and weir has none; use `selector`",
    ])
  private static let workloadSelectorShape = Shape(what: "a WorkloadSelector", read: ["matchLabels"])
  private static let authorizationRuleShape = Shape(what: "a Rule", read: ["from", "to", "when"])
  private static let fromShape = Shape(what: "an entry of `from`", read: ["source"])
  private static let toShape = Shape(what: "an entry of `to`", read: ["operation"])
  private static let sourceShape = Shape(
    what: "a Source",
    read: [
      "principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts", "notServiceAccounts",
      "ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks", "requestPrincipals",
      "notRequestPrincipals",
    ])
  private static let operationShape = Shape(
    what: "an Operation",
    read: ["ports", "notPorts", "methods", "notMethods", "paths", "notPaths", "hosts", "notHosts"],
    unsupported: ["ignorePathCase": "paths are compared with regard to case"])

  private enum Action: String, CaseIterable {
    case allow = "ALLOW"
    case deny = "DENY"
    case audit = "AUDIT"
    case custom = "CUSTOM"
  }

  func authorizationPolicy(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.authorizationPolicyShape) else { return }
    passStatus(of: object)
    let meta = metadata(of: object, kind: "AuthorizationPolicy")
    // An empty or absent spec is legal: ALLOW without a rule, which allows nothing.
    var policy = AuthorizationPolicy(
      name: meta?.name ?? Name("", ""), selector: nil, action: .allow, rules: [], dryRun: isDryRun(object),
      place: place(node))
    _ = field("spec", of: object) { authorizationPolicySpec($0, into: &policy) }
    if meta != nil { add(.authorizationPolicy(policy)) }
  }

  /// The annotation, as Go's strconv.ParseBool reads it; any other text is false.
  private func isDryRun(_ object: Fields) -> Bool {
    guard case .mapping(let meta)? = object["metadata"]?.value,
      case .mapping(let entries)? = meta.first(where: { $0.key == "annotations" })?.node.value,
      let entry = entries.first(where: { $0.key == "istio.io/dry-run" })
    else { return false }
    return ["1", "t", "T", "true", "TRUE", "True"].contains(entry.node.text)
  }

  private func authorizationPolicySpec(_ node: YAML.Node, into policy: inout AuthorizationPolicy) {
    guard let fields = fields(node, Decoding.authorizationPolicySpecShape) else { return }
    policy.selector = field("selector", of: fields) { workloadSelector($0) }
    policy.action = field("action", of: fields) { action($0) } ?? .allow
    let namespace = policy.name.namespace
    policy.rules = listField("rules", of: fields, what: "rules") { authorizationRule($0, in: namespace) }
    if policy.action == .deny, fields["rules"] == nil || policy.rules.isEmpty {
      problem(
        fields["rules"] ?? fields["action"] ?? node, field: "rules",
        "expected rules beside DENY, which never applies without; one rule `{}` denies everything")
    }
  }

  private func workloadSelector(_ node: YAML.Node) -> Selector? {
    guard let fields = fields(node, Decoding.workloadSelectorShape) else { return nil }
    return Selector(Decoding.requirements(field("matchLabels", of: fields) { self.labels($0) } ?? [:]))
  }

  private func action(_ node: YAML.Node) -> AuthorizationPolicy.Action? {
    guard let action = oneOf(Action.allCases, node) else { return nil }
    if action == .custom {
      problem(
        node, "the action `CUSTOM` is not supported: it asks another server; expected ALLOW, DENY or AUDIT")
    }
    return AuthorizationPolicy.Action(rawValue: action.rawValue)
  }

  private func authorizationRule(_ node: YAML.Node, in namespace: String) -> AuthorizationPolicy.Rule? {
    guard let fields = fields(node, Decoding.authorizationRuleShape) else { return nil }
    let from = entries("from", of: fields, Decoding.fromShape, "source") { source($0, in: namespace) }
    let to = entries("to", of: fields, Decoding.toShape, "operation") { operation($0) }
    let when = listField("when", of: fields, what: "conditions") { condition($0, in: namespace) }
    return AuthorizationPolicy.Rule(from: from, to: to, when: when, place: place(node))
  }

  /// `from: [{source: ...}]` and `to: [{operation: ...}]`. Present but empty is refused: it restricts nothing
  /// and looks as if it did.
  private func entries<T>(
    _ name: String, of rule: Fields, _ shape: Shape, _ inner: String, _ read: (YAML.Node) -> T?
  ) -> [T] {
    field(name, of: rule) { node -> [T]? in
      if case .sequence(let items) = node.value, items.isEmpty {
        problem(node, "expected at least one \(inner); leave `\(name)` out to match every \(inner)")
      }
      return list(node, of: "\(inner)s") { item -> T? in
        guard let fields = fields(item, shape) else { return nil }
        return required(inner, of: fields, read)
      }
    } ?? []
  }

  private func source(_ node: YAML.Node, in namespace: String) -> AuthorizationPolicy.Source? {
    guard let fields = fields(node, Decoding.sourceShape) else { return nil }
    var source = AuthorizationPolicy.Source(
      principals: texts("principals", of: fields), notPrincipals: texts("notPrincipals", of: fields),
      namespaces: namespaces("namespaces", of: fields),
      notNamespaces: namespaces("notNamespaces", of: fields),
      ipBlocks: blocks("ipBlocks", of: fields), notIpBlocks: blocks("notIpBlocks", of: fields),
      remoteIpBlocks: blocks("remoteIpBlocks", of: fields),
      notRemoteIpBlocks: blocks("notRemoteIpBlocks", of: fields),
      requestPrincipals: texts("requestPrincipals", of: fields),
      notRequestPrincipals: texts("notRequestPrincipals", of: fields))
    refuseEmpty(fields, Decoding.sourceShape)
    let accounts = ["serviceAccounts", "notServiceAccounts"]
    if let name = accounts.first(where: { says($0, fields) }), let node = fields[name],
      let other = ["principals", "notPrincipals", "namespaces", "notNamespaces"].first(where: {
        says($0, fields)
      })
    {
      problem(
        node, field: name, "\(quoted(name)) cannot stand beside \(quoted(other)); write a second source")
    }
    // Beside them no principals stand.
    source.principals += serviceAccounts(accounts[0], of: fields, in: namespace)
    source.notPrincipals += serviceAccounts(accounts[1], of: fields, in: namespace)
    return source
  }

  private func operation(_ node: YAML.Node) -> AuthorizationPolicy.Operation? {
    guard let fields = fields(node, Decoding.operationShape) else { return nil }
    let request = RequestMatch(
      methods: texts("methods", of: fields), notMethods: texts("notMethods", of: fields),
      paths: paths("paths", of: fields), notPaths: paths("notPaths", of: fields),
      hosts: texts("hosts", of: fields), notHosts: texts("notHosts", of: fields))
    refuseEmpty(fields, Decoding.operationShape)
    return AuthorizationPolicy.Operation(
      ports: ports("ports", of: fields), notPorts: ports("notPorts", of: fields), request: request)
  }

  /// A source or operation of only empty lists would match everything.
  private func refuseEmpty(_ fields: Fields, _ shape: Shape) {
    if !shape.read.contains(where: { says($0, fields) }) {
      problem(fields.node, "expected at least one of \(shape.read.joined(separator: ", "))")
    }
  }

  private func says(_ name: String, _ fields: Fields) -> Bool {
    if case .sequence(let items)? = fields[name]?.value { !items.isEmpty } else { fields[name] != nil }
  }
}
