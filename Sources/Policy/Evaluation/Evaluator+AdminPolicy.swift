extension Evaluator {
  /// One tier: the first rule that matches, in the order of the policies and of the rules in each. nil where
  /// none does, or where it says Pass.
  func judge(_ policies: [AdminPolicy], _ question: Question) -> Ruling? {
    guard let (action, match, tier) = matched(policies, question, first: true).first else { return nil }
    switch action {
    case .accept: return match.ruling(.allowed, .rule, tier: tier)
    case .deny: return match.ruling(.denied, .denyRule, tier: tier)
    case .pass: return nil
    }
  }

  /// - Parameter first: the first one is enough.
  func matched(_ policies: [AdminPolicy], _ question: Question, first: Bool = false)
    -> [(action: AdminPolicy.Action, match: Matched, tier: Tier)]
  {
    var found: [(AdminPolicy.Action, Matched, Tier)] = []
    for policy in policies {
      for (index, rule) in policy.rules(question.direction).enumerated() {
        if let ports = rule.ports, !matches(ports, question) { continue }
        // Every selector of these kinds names its namespaces.
        guard let position = rule.peers.firstIndex(where: { matches($0, from: "", question) }) else {
          continue
        }
        let place = position < rule.peerPlaces.count ? rule.peerPlaces[position] : rule.place
        let name = policy.ruleName(question.direction, rule: index, peer: rule.peerIndices[position])
        found.append(
          (rule.action, Matched(rule: name, place: place), policy.tier == .admin ? .admin : .baseline))
        if first { return found }
      }
    }
    return found
  }
}
