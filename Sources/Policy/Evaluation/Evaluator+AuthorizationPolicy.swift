extension Evaluator {
  /// Istio's order at L4: DENY, then ALLOW, and no ALLOW policy means allow. Proxied where only the request
  /// can tell. nil where no policy has an opinion, and for anything but TCP, which Istio does not handle.
  /// - Parameter accepted: as for `families`: what L4 can decide is passed over.
  func judge(_ selecting: Selecting, _ question: Question, accepted: Bool) -> Ruling? {
    guard !selecting.authorization.isEmpty, question.protocol == .tcp else { return nil }
    let denies = Self.matched(selecting, .deny, question)
    if !accepted, let deny = denies.first(where: { !$0.asks }) { return deny.ruling(.denied, .denyRule) }
    let asking = denies.first { $0.asks }?.ruling(.proxied, .l7Rule)
    guard let firstAllow = Self.firstAllow(selecting) else { return asking }
    let allows = Self.matched(selecting, .allow, question)
    if let certain = allows.first(where: { !$0.asks }) {
      return asking ?? (accepted ? nil : certain.ruling(.allowed, .rule))
    }
    return allows.first?.ruling(.proxied, .l7Rule) ?? (accepted ? asking : Self.refusal(firstAllow))
  }

  /// The same order with the request at hand.
  func judge(_ request: Request, _ selecting: Selecting, _ question: Question, accepted: Bool) -> Ruling {
    let denies = Self.matched(selecting, .deny, question, request)
    // Accepted: the rules that look at no request were decided over at L4.
    let decided = accepted ? Self.matched(selecting, .deny, question).filter { !$0.asks }.map(\.rule) : []
    if let deny = denies.first(where: { !decided.contains($0.rule) }) {
      return deny.ruling(.denied, .denyRule)
    }
    guard let firstAllow = Self.firstAllow(selecting) else { return .notSelected }
    if let allow = Self.matched(selecting, .allow, question, request).first {
      return allow.ruling(.allowed, .rule)
    }
    if accepted, Self.matched(selecting, .allow, question).isEmpty { return .notSelected }
    return Self.refusal(firstAllow)
  }

  private static func firstAllow(_ selecting: Selecting) -> AuthorizationPolicy? {
    selecting.authorization.first { $0.action == .allow }
  }

  private static func refusal(_ policy: AuthorizationPolicy) -> Ruling {
    Ruling(verdict: .denied, reason: .noRule, rule: policy.ruleName(nil), place: policy.place)
  }

  /// The rules of one action that match: with a request for certain, without one perhaps (`asks`).
  static func matched(
    _ selecting: Selecting, _ action: AuthorizationPolicy.Action, _ question: Question,
    _ request: Request? = nil
  ) -> [Matched] {
    let isPlain = selecting.plainTCP.contains(question.port)
    var found: [Matched] = []
    for policy in selecting.authorization where policy.action == action {
      for (index, written) in policy.rules.enumerated() {
        guard let rule = isPlain ? written.onPlainTCP(action) : written,
          let asks = asks(rule, question, request)
        else { continue }
        found.append(Matched(asks: asks, rule: policy.ruleName(index), place: rule.place))
      }
    }
    return found
  }

  /// Whether a rule still needs a request to be sure; nil: it does not match.
  private static func asks(
    _ rule: AuthorizationPolicy.Rule, _ question: Question, _ request: Request?
  ) -> Bool? {
    let peer = question.peer
    guard rule.from.isEmpty || rule.from.contains(where: { $0.matches(peer.identity, at: peer.addresses) }),
      rule.when.allSatisfy({ $0.mayMatch(question) })
    else { return nil }
    let here = rule.to.filter { $0.matches(port: question.port) }
    if here.isEmpty, !rule.to.isEmpty { return nil }
    let conditions = rule.when.compactMap(\.request)
    if let request {
      let holds = rule.to.isEmpty || here.contains { $0.request.matches(request) }
      return holds && conditions.allSatisfy { $0.matches(request) } ? false : nil
    }
    let isCertain = rule.to.isEmpty || here.contains { $0.request.isAny }
    return !(isCertain && conditions.allSatisfy(\.isAny))
  }
}

extension AuthorizationPolicy {
  /// AUDIT and dry-run policies report and decide nothing.
  var decides: Bool { action != .audit && !dryRun }
}

extension AuthorizationPolicy.Condition {
  /// The part that is decided without the request.
  fileprivate func mayMatch(_ question: Evaluator.Question) -> Bool {
    switch self {
    case .source(let source): source.matches(question.peer.identity, at: question.peer.addresses)
    case .operation(let operation): operation.matches(port: question.port)
    case .destination(let blocks, let notBlocks):
      someAddress(of: question.addresses, isIn: [blocks], andNotIn: [notBlocks])
    case .token(let values, _): values.isEmpty
    }
  }

  fileprivate var request: RequestMatch? {
    if case .operation(let operation) = self { operation.request } else { nil }
  }
}
