/// Rules that have no effect: what they match is decided without them.
extension Finder {
  mutating func ineffective() {
    for rule in universe.rules where !explained.contains(rule) {
      guard let effect = effects.all[rule] else {
        impossible(rule)
        continue
      }
      guard !effect.isEffective else { continue }
      switch (rule.family, kind(rule)) {
      case (.admin, _), (.baseline, _): preceded(rule, effect)
      case (_, .denies): overridden(rule, effect)
      case (_, .allows):
        if effect.covered != nil || effect.bypassed != nil {
          covered(rule, effect)
        } else if let (by, cell) = effect.refused.first(where: { $0.by.reason == .denyRule })
          ?? effect.refused.first
        {
          refused(rule, by, cell)
        } else if let cell = effect.refusedByOther {
          refusedByOther(rule, cell)
        } else if effect.matched != nil {
          impossible(rule)
        }
      }
    }
  }

  private enum Kind { case allows, denies }

  private func kind(_ rule: RuleReference) -> Kind {
    if rule.denying { return .denies }
    guard rule.family == .authorization else { return .allows }
    return evaluator.authorizationPolicies[rule.policy].action == .deny ? .denies : .allows
  }

  func asks(_ rule: RuleReference) -> Bool {
    guard let number = rule.rule else { return false }
    switch rule.family {
    case .authorization: return evaluator.authorizationPolicies[rule.policy].rules[number].asksForRequests
    case .cilium:
      guard let entry = rule.ports, rule.peer == nil else { return false }
      let written = evaluator.ciliumPolicies[rule.policy].rules(rule.direction, denying: rule.denying)[number]
      return written.ports[entry].requests != nil
    case .admin, .baseline, .network: return false
    }
  }

  // MARK: - deny-buries-allow, families-contradict, l7-unreachable

  private mutating func refused(_ rule: RuleReference, _ by: Decision, _ cell: Cell) {
    let flow = universe.flow(cell)
    let naive = witnesses.evaluator(flow)
    let side = naive.ruling(cell.direction, flow, nil)
    let ruling = naive.ruling(cell.direction, flow, cell.request)
    var policies = [policy(rule)]
    if let name = ruling.rule { policies.append(Finding.Policy(name, ruling.place)) }
    let who = policies.count > 1 ? policies[1].text : "another policy"
    let claim = Draft.Claim.noEffect(flow, cell.request, of: rule)
    let isSameKind = ruling.rule?.kind == policies[0].kind
    if asks(rule), side.verdict == .denied, !(isSameKind && ruling.reason == .denyRule) {
      drafts.append(
        Draft(
          .l7Unreachable, policies,
          "no request ever reaches \(text(rule)): \(layer(ruling, cell)) drops the traffic first (\(who))",
          claim,
          fix: "let \(who) allow the ports and peers of this rule, or delete the rule"))
    } else if ruling.reason == .denyRule {
      drafts.append(
        Draft(
          .denyBuriesAllow, policies, "everything that \(text(rule)) allows is refused by \(who)", claim,
          fix: "narrow \(who), or delete the rule that it buries"))
    } else {
      drafts.append(
        Draft(
          .familiesContradict, policies,
          "\(text(rule)) allows what \(policies.count > 1 ? policies[1].kind : "another kind") never allows: "
            + "\(who) refuses all of it, and every kind of policy must allow",
          claim, fix: "allow the same peers and ports in both, or delete this rule"))
    }
  }

  private func layer(_ ruling: Ruling, _ cell: Cell) -> String {
    let side = cell.direction == .ingress ? "ingress" : "egress"
    switch (ruling.tier, ruling.rule?.kind) {
    case (.admin, _): return "the Admin tier"
    case (.baseline, _): return "the Baseline tier"
    case (_, let kind?):
      return ruling.reason == .denyRule ? "a deny rule of \(kind)" : "the \(side) of \(kind)"
    default: return "L3/L4"
    }
  }

  // MARK: - other-end-refuses, l7-unreachable

  private mutating func refusedByOther(_ rule: RuleReference, _ cell: Cell) {
    let flow = universe.flow(cell)
    let ruling = witnesses.evaluator(flow).ruling(cell.direction == .ingress ? .egress : .ingress, flow, nil)
    var policies = [policy(rule)]
    if let name = ruling.rule { policies.append(Finding.Policy(name, ruling.place)) }
    let who = policies.count > 1 ? policies[1].text : "its policy"
    let end = cell.direction == .ingress ? "the source's egress" : "the destination's ingress"
    let claim = Draft.Claim.noEffect(flow, cell.request, of: rule)
    if asks(rule) {
      drafts.append(
        Draft(
          .l7Unreachable, policies,
          "no request ever reaches \(text(rule)): \(end) drops the traffic first (\(who))",
          claim, fix: "let \(who) allow the ports and peers of this rule, or delete the rule"))
    } else {
      drafts.append(
        Draft(
          .otherEndRefuses, policies, "everything that \(text(rule)) allows is refused by \(end) (\(who))",
          claim,
          fix: "allow it at the other end, too, or delete the rule"))
    }
  }

  // MARK: - l7-bypassed, shadowed

  private mutating func covered(_ rule: RuleReference, _ effect: Effect) {
    guard let cell = effect.covered ?? effect.bypassed, !mattersToOthers(rule, like: cell) else { return }
    let flow = universe.flow(cell)
    // With it, the evaluator may name the rule itself; what decides without it is another.
    let other = witnesses.evaluator(flow, without: rule).ruling(cell.direction, flow, cell.request)
    var policies = [policy(rule)]
    if let rule = original(other) { policies.append(rule) }
    if policies.count > 1, policies[1].place == policies[0].place { policies.removeLast() }
    let who =
      policies.count > 1
      ? policies[1].text : other.rule.map { "\($0)" } ?? "no policy asks for it, so that it"
    let claim = Draft.Claim.noEffect(flow, cell.request, of: rule)
    if effect.covered == nil, asks(rule) {
      drafts.append(
        Draft(
          .l7Bypassed, policies,
          "\(text(rule)) restricts no request: \(who) allows the same traffic without looking at requests",
          claim,
          fix: "delete the rule without requests, or give it other peers or ports"))
    } else {
      shadow(rule, policies, "\(text(rule)) adds nothing: \(who) allows all of it already", claim)
    }
  }

  /// Of two rules that make each other superfluous, the second is told.
  private mutating func shadow(
    _ rule: RuleReference, _ policies: [Finding.Policy], _ message: String, _ claim: Draft.Claim
  ) {
    if sufficient.contains(policies[0]) { return }
    sufficient.formUnion(policies.dropFirst())
    drafts.append(Draft(.shadowed, policies, message, claim, severity: .info, fix: "delete one of the two"))
  }

  /// The rule of a ruling in a set without another rule, as it is called with that rule in its place.
  private func original(_ ruling: Ruling) -> Finding.Policy? {
    guard let name = ruling.rule else { return nil }
    let written = Finding.Policy(name, ruling.place)
    guard !written.rule.isEmpty else { return written }
    return byPlace[written.placeOfPolicy] ?? written
  }

  // MARK: - Rules that deny

  private mutating func overridden(_ rule: RuleReference, _ effect: Effect) {
    if let cell = effect.covered ?? effect.bypassed, effect.refused.isEmpty {
      let flow = universe.flow(cell)
      let ruling = witnesses.evaluator(flow).ruling(cell.direction, flow, nil)
      guard ruling.tier == .admin, let name = ruling.rule else { return }
      let policies = [policy(rule), Finding.Policy(name, ruling.place)]
      drafts.append(
        Draft(
          .acceptOverridesDeny, policies,
          "\(text(rule)) refuses nothing: \(policies[1].text) accepts all of it in the Admin tier, which "
            + "is final",
          .noEffect(flow, cell.request, of: rule),
          fix: "ask who keeps the Admin tier to narrow its rule or to use Pass"))
      return
    }
    guard let (by, cell) = effect.refused.first(where: { $0.by.rule?.named != rule }) ?? effect.refused.first,
      effect.covered == nil, effect.bypassed == nil
    else { return }
    let flow = universe.flow(cell)
    let other = witnesses.evaluator(flow, without: rule).ruling(cell.direction, flow, cell.request)
    guard let decides = original(other) else { return }
    let policies = [policy(rule), decides]
    let claim = Draft.Claim.noEffect(flow, cell.request, of: rule)
    if other.reason == .denyRule, decides.kind == policies[0].kind {
      guard !mattersToOthers(rule, like: cell) else { return }
      shadow(
        rule, policies, "\(text(rule)) adds nothing: \(policies[1].text) refuses all of it already", claim)
    } else if asks(rule), by.verdict == .denied, !mattersToOthers(rule, like: cell) {
      drafts.append(
        Draft(
          .l7Unreachable, policies,
          "no request ever reaches \(text(rule)): \(layer(other, cell)) drops the traffic first "
            + "(\(policies[1].text))",
          claim, severity: .warning,
          fix: "nothing is let through by it; delete the rule, or allow the traffic that it is meant for"))
    }
  }

  // MARK: - Admin and Baseline

  /// Rules of the administrator guard against what teams may write, so only an earlier rule of their own tier
  /// makes them void.
  private mutating func preceded(_ rule: RuleReference, _ effect: Effect) {
    guard !effect.comesFirst, let (by, cell) = effect.preceded else { return }
    let policies = [policy(rule), policy(by)]
    let differ = action(rule) != action(by)
    drafts.append(
      Draft(
        .shadowed, policies,
        "\(text(rule)) never decides: \(text(by)) comes first for everything that it matches"
          + (differ ? " and says \(action(by)?.rawValue ?? "")" : ""),
        .noEffect(universe.flow(cell), nil, of: rule), severity: differ ? .error : .info,
        fix: differ ? "give the rule a place before the other, or delete it" : "delete it"))
  }

  private func action(_ rule: RuleReference) -> AdminPolicy.Action? {
    let policies = rule.family == .admin ? evaluator.adminPolicies : evaluator.baselinePolicies
    return rule.rule.map { policies[rule.policy].rules(rule.direction)[$0].action }
  }

  // MARK: - never-matches

  /// An AuthorizationPolicy rule whose lists exclude each other. Other families have none that could.
  private mutating func impossible(_ rule: RuleReference) {
    guard rule.family == .authorization, let number = rule.rule, let found = subjects(rule), !found.isEmpty
    else {
      return
    }
    let policy = evaluator.authorizationPolicies[rule.policy]
    let written = policy.rules[number]
    guard policy.decides, !written.asksForTokens else { return }
    // Whom the files do not know, may be somewhere.
    let conditions = written.when.compactMap { condition -> AuthorizationPolicy.Source? in
      if case .source(let source) = condition { source } else { nil }
    }
    guard written.from.isEmpty || written.from.contains(where: isKnown), conditions.allSatisfy(isKnown) else {
      return
    }
    // A rule that fits the subject alone is idle too, for nobody judges what goes to oneself; but it could
    // match.
    let fitting = sources(of: policy, written, found.map { index.endpoints[$0] })
    guard fitting == 0 else { return }
    drafts.append(
      Draft(
        .neverMatches, [self.policy(rule)], "\(text(rule)) asks for things that are never true together",
        .nobody(sought: "a source or request that matches it", among: universe.parties.count, found: fitting),
        fix: "compare its lists with their `not` lists, and `from` and `to` with `when`"))
  }
}

extension Finder {
  /// Whether somebody in the files is in the lists of a source, its `not` lists aside.
  private func isKnown(_ source: AuthorizationPolicy.Source) -> Bool {
    var wanted = source
    (wanted.notPrincipals, wanted.notNamespaces) = ([], [])
    return (source.principals.isEmpty && source.namespaces.isEmpty)
      || index.endpoints.contains { wanted.matches(AuthorizationPeer($0)) }
  }

  /// The naive way: how many parties some rule alone fits, as sources of some request to one of its subjects.
  private func sources(
    of policy: AuthorizationPolicy, _ rule: AuthorizationPolicy.Rule, _ subjects: [Endpoint]
  ) -> Int {
    var alone = policy
    alone.rules = [rule]
    let conditions = rule.when.compactMap { condition -> AuthorizationPolicy.Operation? in
      if case .operation(let operation) = condition { operation } else { nil }
    }
    let operations = rule.to + conditions
    let requests = RequestSpace(operations.map(\.request), limit: 256).requests
    return universe.parties.count { party in
      subjects.contains { subject in
        Set(operations.flatMap(\.ports) + [80]).contains { port in
          var selecting = Evaluator.Selecting()
          selecting.authorization = [alone]
          selecting.plainTCP = set.plainTCPPorts(of: subject)
          let question = Evaluator.Question(
            direction: .ingress, subject: subject, addresses: subject.addresses, peer: evaluator.peer(party),
            protocol: .tcp, port: port)
          return requests.contains { !Evaluator.matched(selecting, policy.action, question, $0).isEmpty }
        }
      }
    }
  }
}

extension AuthorizationPolicy.Rule {
  /// `requestPrincipals` or `request.auth`, which no request has.
  var asksForTokens: Bool {
    from.contains { !$0.requestPrincipals.isEmpty }
      || when.contains { condition in
        switch condition {
        case .token(let values, _): !values.isEmpty
        case .source(let source): !source.requestPrincipals.isEmpty
        case .operation, .destination: false
        }
      }
  }
}

extension Finding.Policy {
  /// Where it stands and in which policy: an alias can put one text into several.
  var placeOfPolicy: [String] { [kind, namespace, name, file, "\(line)", "\(column)"] }

  fileprivate var place: String { "\(kind) \(namespace)/\(name) \(rule)" }
}
