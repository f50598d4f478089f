/// The rules are those of Istio (pkg/config/validation and security.istio.io/v1 AuthorizationPolicy). What
/// Istio has and weir does not judge yet is refused by name: to pass it over would allow or deny something
/// else than was written.
extension Decoding {
  private static let authorizationPolicyShape = Shape(
    what: "an AuthorizationPolicy", read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])
  private static let authorizationPolicySpecShape = Shape(
    what: "an AuthorizationPolicySpec", read: ["selector", "action", "rules"],
    refused: ["provider", "targetRef", "targetRefs"])
  private static let workloadSelectorShape = Shape(what: "a WorkloadSelector", read: ["matchLabels"])
  private static let authorizationRuleShape = Shape(what: "a Rule", read: ["from", "to"], refused: ["when"])
  private static let fromShape = Shape(what: "an entry of `from`", read: ["source"])
  private static let toShape = Shape(what: "an entry of `to`", read: ["operation"])
  private static let sourceShape = Shape(
    what: "a Source", read: ["principals", "notPrincipals", "namespaces", "notNamespaces"],
    refused: [
      "ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks", "requestPrincipals",
      "notRequestPrincipals",
      "serviceAccounts", "notServiceAccounts",
    ])
  private static let operationShape = Shape(
    what: "an Operation",
    read: ["ports", "notPorts", "methods", "notMethods", "paths", "notPaths", "hosts", "notHosts"])

  func authorizationPolicy(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.authorizationPolicyShape) else { return }
    passStatus(of: object)
    refuseDryRun(object)
    let meta = metadata(of: object, kind: "AuthorizationPolicy")
    // An empty or absent spec is legal: ALLOW without a rule, which allows nothing.
    var policy = AuthorizationPolicy(
      name: meta?.name ?? Name("", ""), selector: nil, action: .allow, rules: [], place: place(node))
    _ = field("spec", of: object) { authorizationPolicySpec($0, into: &policy) }
    if meta != nil { add(.authorizationPolicy(policy)) }
  }

  /// Istio only logs what a policy with this annotation would do.
  private func refuseDryRun(_ object: Fields) {
    guard case .mapping(let meta)? = object["metadata"]?.value,
      let annotations = meta.first(where: { $0.key == "annotations" })?.node,
      case .mapping(let entries) = annotations.value,
      let entry = entries.first(where: { $0.key == "istio.io/dry-run" }),
      ["1", "t", "true"].contains(entry.node.text.lowercased())
    else { return }
    _ = field("metadata", of: object) { node in
      field("annotations", of: Fields(node: node, entries: meta)) { _ in
        problem(entry.node, field: entry.key, "`istio.io/dry-run` is not supported by this version")
      }
    }
  }

  private func authorizationPolicySpec(_ node: YAML.Node, into policy: inout AuthorizationPolicy) {
    guard let fields = fields(node, Decoding.authorizationPolicySpecShape) else { return }
    policy.selector = field("selector", of: fields) { workloadSelector($0) }
    policy.action = field("action", of: fields) { action($0) } ?? .allow
    policy.rules = listField("rules", of: fields, what: "rules") { authorizationRule($0) }
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
    if case .string = node.value, node.text == "AUDIT" || node.text == "CUSTOM" {
      problem(node, "the action \(quoted(node.text)) is not supported by this version; expected ALLOW, DENY")
      return nil
    }
    return oneOf([AuthorizationPolicy.Action.allow, .deny], node)
  }

  private func authorizationRule(_ node: YAML.Node) -> AuthorizationPolicy.Rule? {
    guard let fields = fields(node, Decoding.authorizationRuleShape) else { return nil }
    let from = entries("from", of: fields, Decoding.fromShape, "source") { source($0) }
    let to = entries("to", of: fields, Decoding.toShape, "operation") { operation($0) }
    return AuthorizationPolicy.Rule(from: from, to: to, place: place(node))
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

  private func source(_ node: YAML.Node) -> AuthorizationPolicy.Source? {
    guard let fields = fields(node, Decoding.sourceShape) else { return nil }
    let source = AuthorizationPolicy.Source(
      principals: matches("principals", of: fields), notPrincipals: matches("notPrincipals", of: fields),
      namespaces: matches("namespaces", of: fields), notNamespaces: matches("notNamespaces", of: fields))
    refuseEmpty(fields, Decoding.sourceShape)
    return source
  }

  private func operation(_ node: YAML.Node) -> AuthorizationPolicy.Operation? {
    guard let fields = fields(node, Decoding.operationShape) else { return nil }
    let request = RequestMatch(
      methods: matches("methods", of: fields), notMethods: matches("notMethods", of: fields),
      paths: matches("paths", of: fields), notPaths: matches("notPaths", of: fields),
      hosts: matches("hosts", of: fields), notHosts: matches("notHosts", of: fields))
    refuseEmpty(fields, Decoding.operationShape)
    return AuthorizationPolicy.Operation(
      ports: ports("ports", of: fields), notPorts: ports("notPorts", of: fields), request: request)
  }

  /// A source or operation of only empty lists would match everything.
  private func refuseEmpty(_ fields: Fields, _ shape: Shape) {
    let said = (shape.read + shape.refused).contains { name in
      if case .sequence(let items)? = fields[name]?.value { !items.isEmpty } else { fields[name] != nil }
    }
    if !said { problem(fields.node, "expected at least one of \(shape.read.joined(separator: ", "))") }
  }

  private func ports(_ name: String, of fields: Fields) -> [UInt16] {
    listField(name, of: fields, what: "port numbers in quotes") { node -> UInt16? in
      guard let text = string(node) else { return nil }
      guard let port = decimal(Array(text.utf8)[...], atMost: 65535), port > 0 else {
        problem(node, "expected a port number from 1 to 65535 in quotes, found \(quoted(text))")
        return nil
      }
      return UInt16(port)
    }
  }

  private func matches(_ name: String, of fields: Fields) -> [AuthorizationPolicy.Match] {
    let paths = name == "paths" || name == "notPaths"
    return listField(name, of: fields, what: "strings") { match($0, path: paths) }
  }

  private func match(_ node: YAML.Node, path: Bool) -> AuthorizationPolicy.Match? {
    guard let text = nonEmptyString(node) else { return nil }
    if text == "*" { return .presence }
    if path, text.contains("{*}") || text.contains("{**}") {
      problem(node, "path templates (`{*}`, `{**}`) are not supported by this version, found \(quoted(text))")
      return nil
    }
    let stars = text.utf8.count { $0 == UInt8(ascii: "*") }
    if stars == 0 { return .exact(text) }
    if stars == 1, text.hasPrefix("*") { return .suffix(String(text.dropFirst())) }
    if stars == 1, text.hasSuffix("*") { return .prefix(String(text.dropLast())) }
    // Istio takes such a `*` for the character itself, which nobody means.
    problem(
      node,
      "expected `*` alone, or once at the start or the end (elsewhere it is no wildcard), "
        + "found \(quoted(text))"
    )
    return nil
  }
}
