extension Evaluator {
  /// What a rule that matches at L4 still has to know.
  private enum Need { case nothing, request }

  /// One rule that matches, with who it is.
  private struct Matched {
    var need: Need
    var rule: RuleName
    var place: Place

    func ruling(_ verdict: Verdict, _ reason: Reason) -> Ruling {
      Ruling(verdict: verdict, reason: reason, rule: rule, place: place)
    }
  }

  /// Istio's order at L4: DENY, then ALLOW, and no ALLOW policy means allow. Proxied where only the request
  /// can tell. nil where no policy applies, and for anything but TCP, which Istio does not handle.
  static func judge(_ policies: [AuthorizationPolicy], _ question: Question) -> Ruling? {
    guard !policies.isEmpty, question.protocol == .tcp else { return nil }
    let denies = matched(policies, .deny, question)
    if let deny = denies.first(where: { $0.need == .nothing }) { return deny.ruling(.denied, .denyRule) }
    guard let firstAllow = policies.first(where: { $0.action == .allow }) else {
      return denies.first?.ruling(.proxied, .l7Rule) ?? .notSelected
    }
    let allows = matched(policies, .allow, question)
    if let allow = allows.first(where: { $0.need == .nothing }) {
      return denies.first?.ruling(.proxied, .l7Rule) ?? allow.ruling(.allowed, .rule)
    }
    return allows.first?.ruling(.proxied, .l7Rule) ?? refusal(firstAllow)
  }

  /// The same order with the request at hand.
  static func judge(
    _ request: Request, _ policies: [AuthorizationPolicy], _ question: Question
  ) -> Ruling {
    if let deny = matched(policies, .deny, question, request).first {
      return deny.ruling(.denied, .denyRule)
    }
    guard let firstAllow = policies.first(where: { $0.action == .allow }) else { return .notSelected }
    let allow = matched(policies, .allow, question, request).first
    return allow?.ruling(.allowed, .rule) ?? refusal(firstAllow)
  }

  private static func refusal(_ policy: AuthorizationPolicy) -> Ruling {
    Ruling(verdict: .denied, reason: .noRule, rule: policy.ruleName(nil), place: policy.place)
  }

  /// The rules of one action that match: with a request for certain, without one perhaps (`need`).
  private static func matched(
    _ policies: [AuthorizationPolicy], _ action: AuthorizationPolicy.Action, _ question: Question,
    _ request: Request? = nil
  ) -> [Matched] {
    let peer = question.peer.endpoint.map(AuthorizationPeer.init) ?? .outside
    var found: [Matched] = []
    for policy in policies where policy.action == action {
      for (index, rule) in policy.rules.enumerated() {
        guard rule.from.isEmpty || rule.from.contains(where: { $0.matches(peer) }) else { continue }
        guard let need = need(rule.to, port: question.port, request) else { continue }
        found.append(Matched(need: need, rule: policy.ruleName(index), place: rule.place))
      }
    }
    return found
  }

  private static func need(
    _ operations: [AuthorizationPolicy.Operation], port: UInt16, _ request: Request?
  ) -> Need? {
    guard !operations.isEmpty else { return .nothing }
    let here = operations.filter { $0.matches(port: port) }
    if let request { return here.contains { $0.request.matches(request) } ? .nothing : nil }
    if here.contains(where: { $0.request.isAny }) { return .nothing }
    return here.isEmpty ? nil : .request
  }
}
