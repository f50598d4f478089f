import Policy

extension Envoy {
  /// The content of `Paths.rules`: a DiscoveryResponse with one RBAC filter, deny-all where no rule allows.
  /// `generation` is its version_info, which Envoy shows in its statistics
  /// (`extension_config_discovery.http_filter.l7policy.version_text`) once it has taken the rules.
  ///
  /// `shadow` refuses nothing: the access log names the first of them that matches a request (`shadowVerdict`
  /// denied, `shadowRule`), which is how AUDIT policies and dry-run ones are reported. A dry-run ALLOW policy
  /// is a rule that requires nothing, unless what the policy allows.
  ///
  /// With `audit` every request passes, and the access log says of each what `rules` would have done
  /// (`shadowVerdict`, `shadowRule`). Envoy has one shadow, so `shadow` is not told then.
  ///
  /// The same arguments give the same text. To put it in force, write it beside `Paths.rules` and rename it
  /// over: Envoy does not look at a file that is written in place. One that it refuses changes nothing.
  public static func rules(
    _ rules: [L7Rule], shadow: [L7Rule] = [], audit: Bool = false, generation: UInt32
  ) -> String {
    self.rules(rules, shadow: shadow, audit: audit, generation: generation, sources: sources(of:))
  }

  /// As above, where `sources` gives the blocks a rule's requests come from.
  package static func rules(
    _ rules: [L7Rule], shadow: [L7Rule] = [], audit: Bool = false, generation: UInt32,
    sources: (L7Rule) -> [CIDR]
  ) -> String {
    let told: JSON = ["action": "ALLOW", "policies": .object(policies(rules, sources))]
    let everything: JSON = [
      "action": "ALLOW",
      "policies": ["audit": ["permissions": [["any": true]], "principals": [["any": true]]]],
    ]
    // Always with `rules`: an RBAC filter without them would allow everything.
    var filter: [(String, JSON)] = [
      ("@type", type("extensions.filters.http.rbac.v3.RBAC")), ("rules", audit ? everything : told),
    ]
    if audit {
      filter.append(("shadow_rules", told))
    } else if !shadow.isEmpty {
      filter.append(("shadow_rules", ["action": "DENY", "policies": .object(policies(shadow, sources))]))
    }
    let response: JSON = [
      "version_info": .string(String(generation)),
      "resources": [
        [
          "@type": type("config.core.v3.TypedExtensionConfig"), "name": .string(Envoy.filter),
          "typed_config": .object(filter),
        ]
      ],
    ]
    return response.compact
  }

  private static func policies(_ rules: [L7Rule], _ sources: (L7Rule) -> [CIDR]) -> [(String, JSON)] {
    var names: Set<String> = []
    var policies: [(String, JSON)] = []
    for rule in rules {
      let blocks = sources(rule)
      // Envoy refuses the whole file for an empty list; nobody, no port and no request are said by leaving it
      // out.
      guard !blocks.isEmpty, !rule.require.contains(where: \.isEmpty), rule.ports?.isEmpty != true else {
        continue
      }
      let name = unique(rule.name, among: &names)
      policies.append((name, policy(rule, from: blocks)))
    }
    return policies
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
