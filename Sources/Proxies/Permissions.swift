import Policy

/// How the parts of a request are matched is the choice of the policies' own projects, so that a file means
/// the same: `:method` as it is, `:authority` without regard to case and with a port if the client sent one,
/// the path without query and fragment for Istio and `:path` whole for Cilium.
extension Envoy {
  static func request(_ match: RequestMatch) -> JSON {
    let lists = [
      (match.methods, match.notMethods, method), (match.paths, match.notPaths, path), (match.urls, [], url),
      (match.hosts, match.notHosts, host),
    ]
    var conditions: [JSON] = []
    for (wanted, unwanted, permission) in lists {
      if !wanted.isEmpty { conditions.append(any(of: wanted.map(permission))) }
      if !unwanted.isEmpty { conditions.append(["not_rule": any(of: unwanted.map(permission))]) }
    }
    for header in match.headers {
      let about = { (match: Match) in value(of: header.name, match) }
      if !header.values.isEmpty { conditions.append(any(of: header.values.map(about))) }
      if !header.notValues.isEmpty {
        conditions.append(["not_rule": any(of: header.notValues.map(about))])
      }
    }
    return all(of: conditions)
  }

  private static func method(_ match: Match) -> JSON {
    condition(match, ignoringCase: false) { header(":method", $0) }
  }

  private static func host(_ match: Match) -> JSON {
    condition(match, ignoringCase: true) { header(":authority", $0) }
  }

  private static func url(_ match: Match) -> JSON {
    condition(match, ignoringCase: false) { header(":path", $0) }
  }

  private static func path(_ match: Match) -> JSON {
    condition(match, ignoringCase: false) { ["url_path": ["path": $0]] }
  }

  /// A header that need not be there: a StringMatcher does not match one that is not. Of one that is sent
  /// more than once Envoy compares each value by itself, so what is not empty must be said without a `not`.
  private static func value(of name: String, _ match: Match) -> JSON {
    switch match {
    case .any, .prefix(""), .suffix(""): return ["header": ["name": .string(name), "present_match": true]]
    // Any bytes: a dot would not match those that are not UTF-8.
    case .presence: return header(name, ["safe_regex": ["regex": "\\C+"]])
    default: return condition(match, ignoringCase: false) { header(name, $0) }
    }
  }

  private static func header(_ name: String, _ pattern: JSON) -> JSON {
    ["header": ["name": .string(name), "string_match": pattern]]
  }

  /// `about` makes a permission of a StringMatcher, for a text that every request has.
  private static func condition(_ match: Match, ignoringCase: Bool, about: (JSON) -> JSON) -> JSON {
    func matcher(_ kind: String, _ text: String) -> JSON {
      about(ignoringCase ? [kind: .string(text), "ignore_case": true] : [kind: .string(text)])
    }
    switch match {
    case .exact(let text): return matcher("exact", text)
    // Envoy refuses an empty prefix or suffix.
    case .any, .prefix(""), .suffix(""): return ["any": true]
    // Not Istio's regular expression `.+`: its dot does not match bytes that are not UTF-8, and a value with
    // one would get past a DENY rule for `*`.
    case .presence: return ["not_rule": matcher("exact", "")]
    case .prefix(let text): return matcher("prefix", text)
    case .suffix(let text): return matcher("suffix", text)
    // Not Envoy's own uri_template: that makes the same regular expression, again for every request.
    case .template, .regex:
      guard let regex = match.regex else { return ["not_rule": ["any": true]] }
      return about(["safe_regex": ["regex": .string(regex)]])
    }
  }

  static func any(of permissions: [JSON]) -> JSON {
    if permissions.count == 1, let only = permissions.first { return only }
    return ["or_rules": ["rules": .array(permissions)]]
  }

  /// Without permissions: any request.
  static func all(of permissions: [JSON]) -> JSON {
    if permissions.isEmpty { return ["any": true] }
    if permissions.count == 1, let only = permissions.first { return only }
    return ["and_rules": ["rules": .array(permissions)]]
  }
}
