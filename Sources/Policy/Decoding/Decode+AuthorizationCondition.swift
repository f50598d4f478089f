/// `when`: the attributes of istio.io "Authorization Policy Conditions" (pkg/config/security:
/// ValidateAttribute).
extension Decoding {
  private static let conditionShape = Shape(what: "a Condition", read: ["key", "values", "notValues"])

  /// Attributes that are not judged, with the reason.
  private static let refusedAttributes: [(prefix: String, reason: String)] = [
    ("connection.sni", "is not supported: weir reads no TLS"),
    ("experimental.envoy.filters.", "is not supported: it asks for another filter's metadata"),
    (
      "request.experimental.inline.headers", "is not supported: it is experimental; use request.headers[NAME]"
    ),
    ("destination.namespace", "is no attribute: a policy applies in its own namespace"),
    ("destination.labels", "is no attribute: the `selector` asks for the destination's labels"),
    ("destination.name", "is no attribute: the `selector` asks for the destination"),
    ("destination.user", "is no attribute: the `selector` asks for the destination"),
  ]

  private static let attributes = [
    "request.headers[NAME]", "source.ip", "remote.ip", "source.namespace", "source.principal",
    "source.serviceAccount", "request.auth.principal", "request.auth.audiences", "request.auth.presenter",
    "request.auth.claims[NAME]", "destination.ip", "destination.port",
  ]

  func condition(_ node: YAML.Node, in namespace: String) -> AuthorizationPolicy.Condition? {
    guard let fields = fields(node, Decoding.conditionShape) else { return nil }
    let key = required("key", of: fields) { nonEmptyString($0) }
    let given = ["values", "notValues"].contains { name in
      if case .sequence(let items)? = fields[name]?.value { !items.isEmpty } else { fields[name] != nil }
    }
    if !given { problem(node, field: "values", "expected at least one of `values` and `notValues`") }
    guard let key else { return nil }
    switch key {
    case "source.ip":
      return .source(
        .init(ipBlocks: blocks("values", of: fields), notIpBlocks: blocks("notValues", of: fields)))
    case "remote.ip":
      return .source(
        .init(
          remoteIpBlocks: blocks("values", of: fields), notRemoteIpBlocks: blocks("notValues", of: fields)))
    case "source.namespace":
      return .source(
        .init(
          namespaces: namespaces("values", of: fields), notNamespaces: namespaces("notValues", of: fields)))
    case "source.principal":
      return .source(
        .init(principals: texts("values", of: fields), notPrincipals: texts("notValues", of: fields)))
    case "source.serviceAccount":
      return .source(
        .init(
          principals: serviceAccounts("values", of: fields, in: namespace),
          notPrincipals: serviceAccounts("notValues", of: fields, in: namespace)))
    case "destination.ip":
      return .destination(blocks: blocks("values", of: fields), notBlocks: blocks("notValues", of: fields))
    case "destination.port":
      return .operation(.init(ports: ports("values", of: fields), notPorts: ports("notValues", of: fields)))
    case "request.auth.principal", "request.auth.audiences", "request.auth.presenter":
      return .token(values: texts("values", of: fields), notValues: texts("notValues", of: fields))
    default: return namedCondition(key, of: fields)
    }
  }

  /// `request.headers[NAME]` and `request.auth.claims[NAME]`, the latter also `[NAME][INNER]`.
  private func namedCondition(_ key: String, of fields: Fields) -> AuthorizationPolicy.Condition? {
    if key.hasPrefix("request.headers") {
      guard let names = bracketed(key.dropFirst("request.headers".count)), names.count == 1 else {
        return wrongKey(key, of: fields, "expected request.headers[NAME]")
      }
      if let fault = Syntax.headerName(names[0]) { return wrongKey(key, of: fields, fault) }
      let values = listField("values", of: fields, what: "strings") { headerText($0) }
      let notValues = listField("notValues", of: fields, what: "strings") { headerText($0) }
      let header = HeaderMatch(name: names[0].lowercased(), values: values, notValues: notValues)
      return .operation(.init(request: RequestMatch(headers: [header])))
    }
    if key.hasPrefix("request.auth.claims") {
      guard bracketed(key.dropFirst("request.auth.claims".count)) != nil else {
        return wrongKey(key, of: fields, "expected request.auth.claims[NAME]")
      }
      return .token(values: texts("values", of: fields), notValues: texts("notValues", of: fields))
    }
    if let refused = Decoding.refusedAttributes.first(where: { key.hasPrefix($0.prefix) }) {
      return wrongKey(key, of: fields, "\(quoted(key)) \(refused.reason)", found: false)
    }
    let meant = likely(key, among: Decoding.attributes).map { "; did you mean \(quoted($0))?" } ?? ""
    return wrongKey(
      key, of: fields,
      "expected an attribute (\(Decoding.attributes.joined(separator: ", "))), found \(quoted(key))\(meant)",
      found: false)
  }

  private func wrongKey(
    _ key: String, of fields: Fields, _ message: String, found: Bool = true
  ) -> AuthorizationPolicy.Condition? {
    _ = field("key", of: fields) { problem($0, found ? "\(message), found \(quoted(key))" : message) }
    return nil
  }

  /// `[a][b]` as a and b; nil where it is anything else.
  private func bracketed(_ text: Substring) -> [String]? {
    var names: [String] = []
    var rest = text
    while rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]") else { return nil }
      let name = rest[rest.index(after: rest.startIndex)..<end]
      if name.isEmpty || name.contains("[") { return nil }
      names.append(String(name))
      rest = rest[rest.index(after: end)...]
    }
    return rest.isEmpty && !names.isEmpty ? names : nil
  }
}
