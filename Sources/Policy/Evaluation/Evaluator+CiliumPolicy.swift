extension Evaluator {
  /// Cilium's order at L4: a deny rule, then any allow, then the default deny of a policy that isolates; nil
  /// where nobody has an opinion. An allow that does not look at requests makes those that do ineffective.
  /// - Parameter accepted: as for `families`: proxied where only rules about requests name the flow, or nil.
  func judge(_ policies: [CiliumPolicy], _ question: Question, accepted: Bool) -> Ruling? {
    guard !policies.isEmpty else { return nil }
    if !accepted, let deny = matched(policies, question, denying: true).first {
      return deny.ruling(.denied, .denyRule)
    }
    let allows = matched(policies, question, denying: false)
    let isolating = policies.first { $0.isolates(question.direction) }
    // --allow-localhost=auto, which is `always` in Kubernetes: the subject's own node always gets in.
    let isOwnNode = question.direction == .ingress && question.isOwnNode
    let certain = allows.first { !$0.asks }
    if accepted { return isOwnNode || certain != nil ? nil : allows.first?.ruling(.proxied, .l7Rule) }
    if isOwnNode, isolating != nil || !allows.isEmpty { return .ownNode }
    if let certain { return certain.ruling(.allowed, .rule) }
    if let asking = allows.first { return asking.ruling(.proxied, .l7Rule) }
    return isolating.map {
      Ruling(verdict: .denied, reason: .noRule, rule: $0.ruleName(""), place: $0.place)
    }
  }

  /// One request of a flow that these policies send to the proxy.
  func judge(_ request: Request, _ policies: [CiliumPolicy], _ question: Question) -> Ruling {
    if let allow = matched(policies, question, denying: false, request).first {
      return allow.ruling(.allowed, .rule)
    }
    // In the name of the first policy whose rules about requests name the flow.
    let asking = policies.first { !matched([$0], question, denying: false).isEmpty }
    return Ruling(verdict: .denied, reason: .noRule, rule: asking?.ruleName(""), place: asking?.place)
  }

  /// The rules that match, each once for every entry of its ports that does: with a request for certain,
  /// without one perhaps (`asks`).
  func matched(
    _ policies: [CiliumPolicy], _ question: Question, denying: Bool, _ request: Request? = nil
  ) -> [Matched] {
    var found: [Matched] = []
    for policy in policies {
      for (index, rule) in policy.rules(question.direction, denying: denying).enumerated() {
        // `{}` names nothing, which is nobody and not everybody.
        if rule.peers == nil, rule.ports.isEmpty { continue }
        let peer = rule.peers?.first { matches($0.peer, from: policy.name.namespace, question) }
        if rule.peers != nil, peer == nil { continue }
        for ports in rule.ports.isEmpty ? [nil] : rule.ports.map(Optional.some) {
          guard let asks = asks(ports, question, request) else { continue }
          found.append(
            Matched(
              asks: asks,
              rule: policy.ruleName(
                question.direction, denying: denying, rule: index, peer: peer, ports: ports),
              place: CiliumPolicy.place(rule, peer: peer, ports: ports)))
        }
      }
    }
    return found
  }

  /// Whether one entry of the ports still needs a request to be sure; nil: it does not match. Requests are
  /// made over TCP.
  private func asks(_ ports: CiliumPolicy.Ports?, _ question: Question, _ request: Request?) -> Bool? {
    guard let ports else { return false }
    guard ports.ports.isEmpty || matches(ports.ports, question) else { return nil }
    guard let requests = ports.requests else { return false }
    guard question.protocol == .tcp else { return nil }
    guard let request else { return true }
    return requests.contains { $0.matches(request) } ? false : nil
  }
}
