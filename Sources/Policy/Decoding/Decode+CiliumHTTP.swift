/// `rules.http` of a Cilium rule (pkg/policy/api/http.go; how it is matched: pkg/envoy, getHTTPRule).
extension Decoding {
  private static let httpRuleShape = Shape(
    what: "an HTTP rule", read: ["method", "path", "host", "headers", "headerMatches"])
  private static let headerMatchShape = Shape(
    what: "an entry of `headerMatches`", read: ["name", "value", "mismatch"],
    unsupported: ["secret": "weir reads no Secrets; write the `value`"])

  /// What happens to a request whose header does not match.
  private enum Mismatch: String, CaseIterable {
    case log = "LOG"
    case add = "ADD"
    case delete = "DELETE"
    case replace = "REPLACE"
  }

  /// Every member that is there must match; `{}` takes every request.
  func httpRule(_ node: YAML.Node) -> RequestMatch? {
    guard let fields = fields(node, Decoding.httpRuleShape) else { return nil }
    var request = RequestMatch()
    request.methods = regex("method", of: fields)
    request.urls = regex("path", of: fields)
    request.hosts = regex("host", of: fields)
    request.headers = listField("headers", of: fields, what: "headers") { header($0) }
    request.headers += listField("headerMatches", of: fields, what: "header matches") { headerMatch($0) }
      .compactMap { $0 }
    return request
  }

  /// An empty text asks nothing.
  private func regex(_ name: String, of fields: Fields) -> [Match] {
    let text = field(name, of: fields) { node -> String? in
      guard let text = string(node) else { return nil }
      if let fault = Language.fault(inRegex: text) {
        problem(node, "\(fault), found \(quoted(text))")
      }
      return text
    }
    guard let text, !text.isEmpty else { return [] }
    return [.regex(text)]
  }

  /// `X-Name: value`, or `X-Name` alone for a header that has to be there. The first space ends the name.
  private func header(_ node: YAML.Node) -> HeaderMatch? {
    guard let text = nonEmptyString(node) else { return nil }
    guard let space = text.firstIndex(of: " ") else {
      return headerName(text, node).map { HeaderMatch(name: $0, values: [.any]) }
    }
    var name = text[..<space]
    while name.hasSuffix(":") { name.removeLast() }
    let value = String(text[text.index(after: space)...])
    return headerName(String(name), node).map { HeaderMatch(name: $0, values: [.exact(value)]) }
  }

  /// In lower case, as Envoy compares names.
  private func headerName(_ name: String, _ node: YAML.Node) -> String? {
    if let fault = Syntax.headerName(name) {
      problem(node, "\(fault), found \(quoted(name))")
      return nil
    }
    return name.lowercased()
  }

  /// nil inside where the request is not refused for it: a mismatch that is only logged asks nothing.
  private func headerMatch(_ node: YAML.Node) -> HeaderMatch?? {
    guard let fields = fields(node, Decoding.headerMatchShape) else { return nil }
    let name = required("name", of: fields) { node in
      string(node).flatMap { headerName($0, node) }
    }
    let value = field("value", of: fields) { string($0) } ?? ""
    let mismatch = field("mismatch", of: fields) { node -> Mismatch? in
      let action = oneOf(Mismatch.allCases, node)
      if let action, action != .log {
        problem(node, "the action \(quoted(action.rawValue)) is not supported: weir rewrites no request")
      }
      return action
    }
    guard let name else { return nil }
    if mismatch != nil { return .some(nil) }
    return HeaderMatch(name: name, values: [value.isEmpty ? .any : .exact(value)])
  }
}
