extension PolicySet {
  /// The policies in the order of the evaluator's lists, so that a rule can be found by its reference.
  init(orderedAs evaluator: Evaluator) {
    self = evaluator.set
    networkPolicies = evaluator.networkPolicies
    authorizationPolicies = evaluator.authorizationPolicies
    adminPolicies = evaluator.adminPolicies + evaluator.baselinePolicies
    ciliumPolicies = evaluator.ciliumPolicies
  }

  /// The set as it would be if one rule were deleted from its file. Its policy stays, and isolates as before.
  /// - Parameter evaluator: of the same set, in whose lists the reference counts.
  func without(_ rule: RuleReference, of evaluator: Evaluator) -> PolicySet {
    guard let number = rule.rule else { return self }
    var set = self
    switch rule.family {
    case .network:
      set.networkPolicies[rule.policy].remove(number, peer: rule.peer, rule.direction)
    case .authorization:
      set.authorizationPolicies[rule.policy].rules.remove(at: number)
    case .admin, .baseline:
      let offset = rule.family == .baseline ? evaluator.adminPolicies.count : 0
      set.adminPolicies[offset + rule.policy].remove(number, peer: rule.peer, rule.direction)
    case .cilium:
      set.ciliumPolicies[rule.policy].remove(number, rule)
    }
    return set
  }

  /// The same without a whole Admin or Baseline policy.
  func withoutPolicy(_ rule: RuleReference, of evaluator: Evaluator) -> PolicySet {
    var set = self
    let offset = rule.family == .baseline ? evaluator.adminPolicies.count : 0
    set.adminPolicies.remove(at: offset + rule.policy)
    return set
  }
}

extension NetworkPolicy {
  /// The last peer takes its rule with it: without peers it would mean everybody.
  fileprivate mutating func remove(_ rule: Int, peer: Int?, _ direction: Direction) {
    func removed(_ rules: [Rule]) -> [Rule] {
      var rules = rules
      if let peer, rules[rule].peers.count > 1 {
        rules[rule].peers.remove(at: peer)
        rules[rule].peerPlaces.remove(at: peer)
      } else {
        rules.remove(at: rule)
      }
      return rules
    }
    if direction == .ingress { ingress = removed(ingress) } else { egress = removed(egress) }
  }
}

extension AdminPolicy {
  fileprivate mutating func remove(_ rule: Int, peer: Int?, _ direction: Direction) {
    func removed(_ rules: [Rule]) -> [Rule] {
      var rules = rules
      // One entry of the file is as many peers as it has blocks.
      let written = rules[rule]
      let kept = written.peers.indices.filter { peer != nil && written.peerIndices[$0] != peer }
      if kept.isEmpty {
        rules.remove(at: rule)
      } else {
        rules[rule].peers = kept.map { written.peers[$0] }
        rules[rule].peerPlaces = kept.map { written.peerPlaces[$0] }
        rules[rule].peerIndices = kept.map { written.peerIndices[$0] }
      }
      return rules
    }
    if direction == .ingress { ingress = removed(ingress) } else { egress = removed(egress) }
  }
}

extension CiliumPolicy {
  /// What asks about requests is named by its ports, the rest by its peers: where a rule has both, it is
  /// taken apart first, which changes nothing.
  fileprivate mutating func remove(_ number: Int, _ reference: RuleReference) {
    func removed(_ rules: [Rule]) -> [Rule] {
      var rules = rules
      let rule = rules[number]
      if let peer = reference.peer {
        var rest = rule
        rest.ports = rule.ports.filter { $0.requests == nil }
        rest.peers?.remove(at: peer)
        var asking = rule
        asking.ports = rule.ports.filter { $0.requests != nil }
        // Without ports a rule means every port.
        let keepsRest = rule.ports.isEmpty || !rest.ports.isEmpty
        rules.replaceSubrange(
          number...number, with: (keepsRest ? [rest] : []) + (asking.ports.isEmpty ? [] : [asking]))
      } else if let entry = reference.ports, rule.ports.count > 1 {
        rules[number].ports.remove(at: entry)
      } else {
        rules.remove(at: number)
      }
      return rules
    }
    switch (reference.direction, reference.denying) {
    case (.ingress, false): ingress = removed(ingress)
    case (.ingress, true): ingressDeny = removed(ingressDeny)
    case (.egress, false): egress = removed(egress)
    case (.egress, true): egressDeny = removed(egressDeny)
    }
  }
}

extension Evaluator {
  /// Where a rule stands.
  func place(_ rule: RuleReference) -> Place {
    switch rule.family {
    case .network:
      let policy = networkPolicies[rule.policy]
      return rule.rule.map { place(policy.rules(rule.direction)[$0], peer: rule.peer) } ?? policy.place
    case .admin, .baseline:
      let policy = rule.family == .admin ? adminPolicies[rule.policy] : baselinePolicies[rule.policy]
      guard let number = rule.rule else { return policy.place }
      let written = policy.rules(rule.direction)[number]
      return rule.peer.flatMap { written.place(ofEntry: $0) } ?? written.place
    case .authorization:
      let policy = authorizationPolicies[rule.policy]
      return rule.rule.map { policy.rules[$0].place } ?? policy.place
    case .cilium:
      let policy = ciliumPolicies[rule.policy]
      guard let number = rule.rule else { return policy.place }
      let written = policy.rules(rule.direction, denying: rule.denying)[number]
      return CiliumPolicy.place(
        written, peer: rule.peer.flatMap { written.peers?[$0] }, ports: rule.ports.map { written.ports[$0] })
    }
  }

  private func place(_ rule: NetworkPolicy.Rule, peer: Int?) -> Place {
    peer.flatMap { $0 < rule.peerPlaces.count ? rule.peerPlaces[$0] : nil } ?? rule.place
  }
}

extension Universe {
  /// Every rule that can be named, whether it selects anybody or not.
  var rules: [RuleReference] {
    var found: [RuleReference] = []
    func add(
      _ family: RuleReference.Family, _ policy: Int, _ direction: Direction, _ counts: [Int]
    ) {
      for (rule, peers) in counts.enumerated() {
        let whole = RuleReference(family: family, policy: policy, direction: direction, rule: rule)
        if peers == 0 { found.append(whole) }
        for peer in 0..<peers {
          var one = whole
          one.peer = peer
          found.append(one)
        }
      }
    }
    for direction in [Direction.egress, .ingress] {
      for (number, policy) in evaluator.networkPolicies.enumerated() {
        add(.network, number, direction, policy.rules(direction).map(\.peers.count))
      }
      for (number, policy) in evaluator.adminPolicies.enumerated() {
        add(.admin, number, direction, policy.rules(direction).map(\.entryCount))
      }
      for (number, policy) in evaluator.baselinePolicies.enumerated() {
        add(.baseline, number, direction, policy.rules(direction).map(\.entryCount))
      }
      for (number, policy) in evaluator.ciliumPolicies.enumerated() {
        for denying in [false, true] {
          for (index, rule) in policy.rules(direction, denying: denying).enumerated() {
            found += rule.references(number, direction, denying: denying, index)
          }
        }
      }
    }
    for (number, policy) in evaluator.authorizationPolicies.enumerated() {
      add(.authorization, number, .ingress, policy.rules.map { _ in 0 })
    }
    return found
  }
}

extension CiliumPolicy.Rule {
  /// One for each peer that is not only about requests, one for each entry of the ports that is.
  fileprivate func references(_ policy: Int, _ direction: Direction, denying: Bool, _ rule: Int)
    -> [RuleReference]
  {
    var found: [RuleReference] = []
    for entry in ports.isEmpty ? [nil] : ports.indices.map(Optional.some) {
      let asks = entry.map { ports[$0].requests != nil } ?? false
      let named = asks || peers == nil ? [nil] : (peers ?? []).indices.map(Optional.some)
      for peer in named {
        let reference = RuleReference(
          family: .cilium, policy: policy, direction: direction, denying: denying, rule: rule, peer: peer,
          ports: entry
        ).named
        if !found.contains(reference) { found.append(reference) }
      }
    }
    return found
  }
}
