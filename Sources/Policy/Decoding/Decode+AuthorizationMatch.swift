/// How Istio reads the texts of an AuthorizationPolicy (pilot/pkg/security/authz: matcher,
/// model/generator.go).
extension Decoding {
  /// Exact, `prefix*`, `*suffix` or `*`. A `*` anywhere else is the character itself (matcher.StringMatcher).
  func texts(_ name: String, of fields: Fields) -> [Match] {
    listField(name, of: fields, what: "strings") { node in nonEmptyString(node).map { Decoding.match($0) } }
  }

  private static func match(_ text: String) -> Match {
    if text == "*" { return .presence }
    if text.hasPrefix("*") { return .suffix(String(text.dropFirst())) }
    if text.hasSuffix("*") { return .prefix(String(text.dropLast())) }
    return .exact(text)
  }

  /// For a header `*` is its presence, be it empty (matcher.HeaderMatcher).
  func headerText(_ node: YAML.Node) -> Match? {
    nonEmptyString(node).map { $0 == "*" ? .any : Decoding.match($0) }
  }

  /// In a namespace each `*` is a wildcard, wherever it stands (srcNamespaceGenerator).
  func namespaces(_ name: String, of fields: Fields) -> [Match] {
    listField(name, of: fields, what: "strings") { node in
      nonEmptyString(node).map { text in
        let inner = text.dropFirst().dropLast()
        let bothEnds = text.count > 1 && text.hasPrefix("*") && text.hasSuffix("*")
        guard inner.contains("*") || bothEnds else { return Decoding.match(text) }
        let parts = text.split(separator: "*", omittingEmptySubsequences: false)
        return .regex(parts.map { Decoding.escaped($0) }.joined(separator: ".*"))
      }
    }
  }

  /// For a regular expression.
  private static func escaped(_ text: Substring) -> String {
    text.map { #"\.+?()|[]{}^$"#.contains($0) ? "\\\($0)" : "\($0)" }.joined()
  }

  /// The same as texts, and path templates.
  func paths(_ name: String, of fields: Fields) -> [Match] {
    listField(name, of: fields, what: "strings") { node in
      guard let text = nonEmptyString(node) else { return nil }
      if let fault = Decoding.faultInPath(text) {
        problem(node, "\(fault), found \(quoted(text))")
        return nil
      }
      return Decoding.isTemplate(text) ? .template(text) : Decoding.match(text)
    }
  }

  private static func isTemplate(_ text: String) -> Bool { text.contains("{*}") || text.contains("{**}") }

  /// CheckValidPathTemplate: braces are for `{*}` and `{**}` alone, each a whole segment, `{**}` the last of
  /// them; beside them only characters of a URI's path stand. And a template starts with `/`, or Envoy
  /// refuses it.
  private static func faultInPath(_ text: String) -> String? {
    let template = isTemplate(text)
    if template, !text.hasPrefix("/") { return "expected a path template that starts with `/`" }
    var rest = text[...]
    while rest.hasPrefix("/") { rest.removeFirst() }
    while rest.hasSuffix("/") { rest.removeLast() }
    var ended = false
    for segment in rest.split(separator: "/", omittingEmptySubsequences: false) {
      if segment == "{*}" || segment == "{**}" {
        if ended { return "expected `{**}` as the last operator of the path template" }
        ended = segment == "{**}"
        continue
      }
      if segment.contains("{") || segment.contains("}") {
        return "expected `{` and `}` only as `{*}` or `{**}`, each a whole segment"
      }
      if template, segment.isEmpty || !segment.utf8.allSatisfy(isPathLiteral) {
        return "expected segments of letters, digits and -._~%!$&'()+,;:@= in a path template"
      }
    }
    return nil
  }

  private static func isPathLiteral(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-._~%!$&'()+,;:@=".utf8.contains(byte)
    }
  }

  func blocks(_ name: String, of fields: Fields) -> [CIDR] {
    listField(name, of: fields, what: "addresses and blocks") { blockOrAddress($0) }
  }

  func ports(_ name: String, of fields: Fields) -> [UInt16] {
    listField(name, of: fields, what: "port numbers in quotes") { node -> UInt16? in
      guard let text = string(node) else { return nil }
      guard let port = decimal(Array(text.utf8)[...], atMost: 65535), port > 0 else {
        problem(node, "expected a port number from 1 to 65535 in quotes, found \(quoted(text))")
        return nil
      }
      return UInt16(port)
    }
  }

  /// `NAME`, of the policy's namespace, or `NAMESPACE/NAME` (security.CheckServiceAccount), as what a
  /// principal ends in.
  func serviceAccounts(_ name: String, of fields: Fields, in namespace: String) -> [Match] {
    if let node = fields[name], case .sequence(let items) = node.value, items.count > 16 {
      problem(node, field: name, "expected at most 16 service accounts, found \(items.count)")
    }
    return listField(name, of: fields, what: "service accounts") { node in
      guard let text = nonEmptyString(node) else { return nil }
      let parts = text.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty }), !text.contains("*"), text.utf8.count <= 320
      else {
        problem(
          node,
          "expected NAME or NAMESPACE/NAME without a wildcard, at most 320 characters, found \(quoted(text))")
        return nil
      }
      return .suffix("/ns/\(parts.count == 2 ? String(parts[0]) : namespace)/sa/\(parts[parts.count - 1])")
    }
  }
}
