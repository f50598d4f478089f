import Policy

/// Where the rules of a set stand in its files.
struct RulePlaces {
  private enum Policies {
    case network(Int)
    case admin(Int)
    /// One object; its `specs` are several.
    case cilium([Int])
    case authorization(Int)
  }

  private let set: PolicySet
  /// By `NetworkPolicy shop/default-deny`.
  private var policies: [String: Policies] = [:]

  init(_ set: PolicySet) {
    self.set = set
    for (index, policy) in set.networkPolicies.enumerated() {
      policies["NetworkPolicy \(policy.name)"] = .network(index)
    }
    for (index, policy) in set.adminPolicies.enumerated() {
      policies["\(policy.kind.rawValue) \(policy.name)"] = .admin(index)
    }
    for (index, policy) in set.ciliumPolicies.enumerated() {
      let name = "\(policy.kind.rawValue) \(policy.name)"
      if case .cilium(let others)? = policies[name] {
        policies[name] = .cilium(others + [index])
      } else {
        policies[name] = .cilium([index])
      }
    }
    for (index, policy) in set.authorizationPolicies.enumerated() {
      policies["AuthorizationPolicy \(policy.name)"] = .authorization(index)
    }
  }

  /// - Parameter path: `ingress[0].from[1]`; empty for the policy itself.
  func place(of policy: String, _ path: String) -> Place? {
    switch policies[policy] {
    case nil: nil
    case .network(let index): place(path, in: set.networkPolicies[index])
    case .admin(let index): place(path, in: set.adminPolicies[index])
    case .cilium(let all): all.lazy.compactMap { place(path, in: set.ciliumPolicies[$0]) }.first
    case .authorization(let index): place(path, in: set.authorizationPolicies[index])
    }
  }

  private func place(_ path: String, in policy: NetworkPolicy) -> Place? {
    if path.isEmpty { return policy.place }
    for (list, peers, rules) in [("ingress", "from", policy.ingress), ("egress", "to", policy.egress)] {
      for (index, rule) in rules.enumerated() {
        if let place = place(path, "\(list)[\(index)]", rule.place, peers, rule.peerPlaces) { return place }
      }
    }
    return nil
  }

  private func place(_ path: String, in policy: AdminPolicy) -> Place? {
    if path.isEmpty { return policy.place }
    for (list, peers, rules) in [("ingress", "from", policy.ingress), ("egress", "to", policy.egress)] {
      for (index, rule) in rules.enumerated() {
        let entries = (0..<rule.entryCount).map { rule.place(ofEntry: $0) ?? rule.place }
        if let place = place(path, "\(list)[\(index)]", rule.place, peers, entries) { return place }
      }
    }
    return nil
  }

  private func place(_ path: String, _ rule: String, _ own: Place, _ peers: String, _ places: [Place]) -> Place? {
    guard path.hasPrefix(rule) else { return nil }
    if path == rule { return own }
    return places.enumerated().first { path == "\(rule).\(peers)[\($0.offset)]" }?.element
  }

  private func place(_ path: String, in policy: CiliumPolicy) -> Place? {
    if path.isEmpty { return policy.place }
    guard path.hasPrefix(policy.prefix) else { return nil }
    let path = path.dropFirst(policy.prefix.count)
    let lists = [
      ("ingress", policy.ingress), ("ingressDeny", policy.ingressDeny), ("egress", policy.egress),
      ("egressDeny", policy.egressDeny),
    ]
    for (list, rules) in lists {
      for (index, rule) in rules.enumerated() where path.hasPrefix("\(list)[\(index)]") {
        let rest = path.dropFirst("\(list)[\(index)]".count)
        if rest.isEmpty { return rule.place }
        let entries = (rule.peers ?? []).map { ($0.path, $0.place) } + rule.ports.map { ($0.path, $0.place) }
        return entries.first { rest == ".\($0.0)" }?.1
      }
    }
    return nil
  }

  private func place(_ path: String, in policy: AuthorizationPolicy) -> Place? {
    if path.isEmpty { return policy.place }
    return policy.rules.enumerated().first { path == "rules[\($0.offset)]" }?.element.place
  }
}
