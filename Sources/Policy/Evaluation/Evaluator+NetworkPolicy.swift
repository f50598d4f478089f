extension Evaluator {
  /// The union of what the selecting policies allow; nil where none selects. The order of the policies
  /// decides only whose name is given.
  func judge(_ policies: [NetworkPolicy], _ question: Question) -> Ruling? {
    guard let first = policies.first else { return nil }
    // Kubernetes documentation, "Network Policies": traffic to and from the node where a Pod runs is always
    // allowed.
    if question.isOwnNode { return .ownNode }
    if let allow = matched(policies, question, first: true).first { return allow.ruling(.allowed, .rule) }
    return Ruling(verdict: .denied, reason: .noRule, rule: first.ruleName(""), place: first.place)
  }

  /// - Parameter first: the first one is enough.
  func matched(_ policies: [NetworkPolicy], _ question: Question, first: Bool = false) -> [Matched] {
    var found: [Matched] = []
    for policy in policies {
      for (index, rule) in policy.rules(question.direction).enumerated() {
        guard rule.ports.isEmpty || matches(rule.ports, question) else { continue }
        let position = rule.peers.firstIndex { matches($0, from: policy.name.namespace, question) }
        guard position != nil || rule.peers.isEmpty else { continue }
        let path = NetworkPolicy.path(question.direction, rule: index, peer: position)
        let place = position.flatMap { $0 < rule.peerPlaces.count ? rule.peerPlaces[$0] : nil }
        found.append(Matched(rule: policy.ruleName(path), place: place ?? rule.place))
        if first { return found }
      }
    }
    return found
  }
}
