import Policy

extension Envoy {
  /// The content of `Paths.rules`: a DiscoveryResponse with one RBAC filter, deny-all where no rule allows.
  /// `generation` is its version_info, which Envoy shows in its statistics
  /// (`extension_config_discovery.http_filter.l7policy.version_text`) once it has taken the rules.
  ///
  /// The same rules and generation give the same text. To put it in force, write it beside `Paths.rules` and
  /// rename it over: Envoy does not look at a file that is written in place. One that it refuses changes
  /// nothing.
  public static func rules(_ rules: [L7Rule], generation: UInt32) -> String {
    self.rules(rules, generation: generation, sources: sources(of:))
  }

  /// As above, where `sources` gives the blocks a rule's requests come from.
  package static func rules(_ rules: [L7Rule], generation: UInt32, sources: (L7Rule) -> [CIDR]) -> String {
    var names: Set<String> = []
    var policies: [(String, JSON)] = []
    for rule in rules {
      let blocks = sources(rule)
      // Envoy refuses the whole file for an empty list; nobody, no port and no request are said by leaving it
      // out.
      guard !blocks.isEmpty, !rule.require.contains([]), rule.ports?.isEmpty != true else { continue }
      let name = unique(rule.name, among: &names)
      policies.append((name, policy(rule, from: blocks)))
    }
    // Always with `rules`: an RBAC filter without them would allow everything.
    let filter: JSON = [
      "@type": type("extensions.filters.http.rbac.v3.RBAC"),
      "rules": ["action": "ALLOW", "policies": .object(policies)],
    ]
    let response: JSON = [
      "version_info": .string(String(generation)),
      "resources": [
        [
          "@type": type("config.core.v3.TypedExtensionConfig"), "name": .string(Envoy.filter),
          "typed_config": filter,
        ]
      ],
    ]
    return response.compact
  }

  /// One policy rule can need several L7Rules; in Envoy's map each name stands once.
  private static func unique(_ name: String, among names: inout Set<String>) -> String {
    var candidate = name
    var number = 1
    while !names.insert(candidate).inserted {
      number += 1
      candidate = "\(name) (\(number))"
    }
    return candidate
  }

  private static func policy(_ rule: L7Rule, from blocks: [CIDR]) -> JSON {
    var conditions: [JSON] = []
    if let ports = rule.ports { conditions.append(any(of: ports.map(port))) }
    conditions += rule.require.map { any(of: $0.map(request)) }
    if conditions.isEmpty, rule.unless.isEmpty { conditions.append(["any": true]) }
    conditions += rule.unless.map { ["not_rule": request($0)] }
    return ["permissions": [all(of: conditions)], "principals": .array(blocks.map(principal))]
  }

  /// The socket's peer, not what x-forwarded-for says: a client writes that as it likes.
  private static func principal(_ block: CIDR) -> JSON {
    let length = block.base.isV4 ? block.prefix - 96 : block.prefix
    return [
      "direct_remote_ip": [
        "address_prefix": .string(text(of: block.base)), "prefix_len": .number(length),
      ]
    ]
  }

  private static func port(_ range: ClosedRange<UInt16>) -> JSON {
    if range.count == 1 { return ["destination_port": .number(Int(range.lowerBound))] }
    return [
      "destination_port_range": [
        "start": .number(Int(range.lowerBound)),
        // Int32Range is open at its end.
        "end": .number(Int(range.upperBound) + 1),
      ]
    ]
  }
}

/// How the parts of a request are matched is Istio's choice, so that a policy means the same: `:method` as it
/// is, `:authority` without regard to case and with a port if the client sent one, the path without query and
/// fragment.
extension Envoy {
  private static func request(_ match: RequestMatch) -> JSON {
    let lists = [
      (match.methods, match.notMethods, method), (match.paths, match.notPaths, path),
      (match.hosts, match.notHosts, host),
    ]
    var conditions: [JSON] = []
    for (wanted, unwanted, permission) in lists {
      if !wanted.isEmpty { conditions.append(any(of: wanted.map(permission))) }
      if !unwanted.isEmpty { conditions.append(["not_rule": any(of: unwanted.map(permission))]) }
    }
    return conditions.isEmpty ? ["any": true] : all(of: conditions)
  }

  private static func method(_ match: AuthorizationPolicy.Match) -> JSON {
    header(":method", match, ignoringCase: false)
  }

  private static func host(_ match: AuthorizationPolicy.Match) -> JSON {
    header(":authority", match, ignoringCase: true)
  }

  private static func header(_ name: String, _ match: AuthorizationPolicy.Match, ignoringCase: Bool) -> JSON {
    condition(match, ignoringCase: ignoringCase) { pattern in
      ["header": ["name": .string(name), "string_match": pattern]]
    }
  }

  private static func path(_ match: AuthorizationPolicy.Match) -> JSON {
    condition(match, ignoringCase: false) { pattern in ["url_path": ["path": pattern]] }
  }

  /// `about` makes a permission of a StringMatcher.
  private static func condition(
    _ match: AuthorizationPolicy.Match, ignoringCase: Bool, about: (JSON) -> JSON
  ) -> JSON {
    func matcher(_ kind: String, _ text: String) -> JSON {
      about(ignoringCase ? [kind: .string(text), "ignore_case": true] : [kind: .string(text)])
    }
    switch match {
    case .exact(let text): return matcher("exact", text)
    // Not Istio's regular expression `.+`: its dot does not match bytes that are not UTF-8, and a value with
    // one would get past a DENY rule for `*`. Envoy refuses an empty prefix or suffix.
    case .presence, .prefix(""), .suffix(""): return ["not_rule": matcher("exact", "")]
    case .prefix(let text): return matcher("prefix", text)
    case .suffix(let text): return matcher("suffix", text)
    case .any, .template, .regex: return ["not_rule": ["any": true]]
    }
  }

  private static func any(of permissions: [JSON]) -> JSON {
    if permissions.count == 1, let only = permissions.first { return only }
    return ["or_rules": ["rules": .array(permissions)]]
  }

  private static func all(of permissions: [JSON]) -> JSON {
    if permissions.count == 1, let only = permissions.first { return only }
    return ["and_rules": ["rules": .array(permissions)]]
  }
}
