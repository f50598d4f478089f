extension Evaluator {
  /// The union of what the selecting policies allow; nil where none selects. The order of the policies
  /// decides only whose name is given.
  func judge(_ policies: [NetworkPolicy], _ question: Question) -> Ruling? {
    guard let first = policies.first else { return nil }
    for policy in policies {
      for (index, rule) in policy.rules(question.direction).enumerated() {
        guard matches(rule.ports, question) else { continue }
        if rule.peers.isEmpty {
          let path = NetworkPolicy.path(question.direction, rule: index, peer: nil)
          return Ruling(
            verdict: .allowed, reason: .rule, rule: policy.ruleName(path), place: rule.place)
        }
        for (position, peer) in rule.peers.enumerated() where matches(peer, of: policy, question) {
          let path = NetworkPolicy.path(question.direction, rule: index, peer: position)
          let place = position < rule.peerPlaces.count ? rule.peerPlaces[position] : rule.place
          return Ruling(verdict: .allowed, reason: .rule, rule: policy.ruleName(path), place: place)
        }
      }
    }
    return Ruling(verdict: .denied, reason: .noRule, rule: first.ruleName(""), place: first.place)
  }

  private func matches(_ ports: [NetworkPolicy.Port], _ question: Question) -> Bool {
    guard !ports.isEmpty else { return true }
    return ports.contains { port in
      guard port.speaks(of: question.protocol) else { return false }
      switch port.number {
      case .any: return true
      case .range(let range): return range.contains(question.port)
      case .named(let name):
        // A name stands for the port of the endpoint that serves.
        let serving = question.direction == .ingress ? question.subject : question.peer.endpoint
        let wanted = NamedPort(name: name, port: question.port, protocol: question.protocol)
        return serving?.ports.contains(wanted) ?? false
      }
    }
  }

  private func matches(
    _ peer: NetworkPolicy.Peer, of policy: NetworkPolicy, _ question: Question
  ) -> Bool {
    switch peer {
    case .ipBlock(let block): return question.peer.addresses.contains { block.contains($0) }
    case .selector(let selector):
      guard let endpoint = question.peer.endpoint else { return false }
      return set.matches(selector, from: policy.name.namespace, endpoint)
    case .outside, .nodes, .entity: return false
    }
  }
}
