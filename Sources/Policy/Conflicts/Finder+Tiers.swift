/// Where the order of evaluation itself is in question.
extension Finder {
  // MARK: - admin-tie

  /// Which of two policies of equal priority is asked first, is nowhere written; weir takes the first by
  /// name.
  mutating func ties() {
    var told: Set<[RuleReference]> = []
    for side in universe.sides {
      for (view, parties) in side.groups(universe) {
        let items = view.items.members.filter { [.admin, .baseline].contains(side.items[$0].rule.family) }
        guard Set(items.map { side.items[$0].rule.policy }).count > 1,
          let subject = side.members.first(where: { $0 != parties.first || parties.count > 1 }),
          let peer = parties.first(where: { $0 != subject })
        else { continue }
        for piece in side.pieces(view) {
          let covering = items.filter { side.covers($0, view, piece) }.map { side.items[$0] }
          for family in [RuleReference.Family.admin, .baseline] {
            guard let (first, second) = tie(covering.filter { $0.rule.family == family }) else { continue }
            let key = [first, second].map {
              RuleReference(family: family, policy: $0.policy, direction: .ingress)
            }
            if told.contains(key) { continue }
            let flow = universe.flow(
              Cell(direction: side.direction, subject: subject, peer: peer, port: piece))
            let claim = Draft.Claim.tie(flow, nil, first, second)
            guard witnesses.witness(claim) != nil else { continue }
            told.insert(key)
            drafts.append(
              Draft(
                .adminTie, [policy(first), policy(second)],
                "\(text(first)) and \(text(second)) have the same priority and disagree: which one decides "
                  + "is not defined",
                claim, fix: "give the two policies different priorities"))
          }
        }
      }
    }
  }

  /// The first rule that matches, and that of another policy of the same priority which says something else.
  private func tie(_ matching: [Item]) -> (RuleReference, RuleReference)? {
    guard let first = matching.first else { return nil }
    var seen: Set<Int> = [first.rule.policy]
    for other in matching.dropFirst() {
      guard priority(other.rule) == priority(first.rule) else { return nil }
      guard seen.insert(other.rule.policy).inserted, other.action != first.action else { continue }
      return (first.rule.named, other.rule.named)
    }
    return nil
  }

  private func priority(_ rule: RuleReference) -> Int {
    (rule.family == .admin ? evaluator.adminPolicies : evaluator.baselinePolicies)[rule.policy].priority
  }

  // MARK: - joined-differs

  /// Told for workloads that both kinds select, once for each pair of policies that decide.
  mutating func joined() {
    func hasBoth(_ side: ClassSide) -> Bool {
      side.prepared.side.network != nil && side.prepared.side.cilium != nil
    }
    guard universe.sides.contains(where: hasBoth) else { return }
    var other = set
    other.joined.toggle()
    // The classes do not depend on how the kinds are joined.
    let otherwise = Universe(other)
    var theirWitnesses = Witnesses(otherwise.evaluator)
    var asked: Set<[RuleReference?]> = []
    var told: Set<[String]> = []
    for (number, side) in universe.sides.enumerated() where hasBoth(side) {
      for (view, parties) in side.groups(universe) {
        guard let subject = side.members.first(where: { $0 != parties.first || parties.count > 1 }),
          let peer = parties.first(where: { $0 != subject })
        else { continue }
        let answers = [side, otherwise.sides[number]].map { Answers($0.prepared, view) }
        for piece in side.pieces(view) {
          let decisions = answers.map { $0.decide(piece.protocol, piece.port) }
          guard decisions[0].verdict != decisions[1].verdict else { continue }
          // One flow for a pair of rules is enough, and none that the other end refuses.
          guard !asked.contains(decisions.map(\.rule)),
            universe.verdict(side.direction.opposite, of: peer, to: subject, piece) != .denied
          else { continue }
          asked.insert(decisions.map(\.rule))
          let flow = universe.flow(Cell(direction: side.direction, subject: subject, peer: peer, port: piece))
          let mine = witnesses.evaluator(flow).ruling(side.direction, flow, nil)
          let theirs = theirWitnesses.evaluator(flow).ruling(side.direction, flow, nil)
          guard witnesses.verdict(flow, nil) != theirWitnesses.verdict(flow, nil) else {
            asked.remove(decisions.map(\.rule))
            continue
          }
          let rules = [mine, theirs].compactMap { ruling in
            ruling.rule.map { Finding.Policy($0, ruling.place) }
          }
          guard told.insert(rules.map { "\($0.kind) \($0.namespace)/\($0.name)" }).inserted, !rules.isEmpty
          else { continue }
          drafts.append(
            Draft(
              .joinedDiffers, rules,
              "\(rules.map(\.text).joined(separator: " and ")): read as one union, as Cilium reads them, "
                + "this is "
                + "\(theirs.verdict.rawValue) instead of \(mine.verdict.rawValue)",
              .joined(flow, nil),
              fix: set.joined
                ? "nothing, if weir runs joined" : "write it in both kinds, or run weir with --joined"))
        }
      }
    }
  }
}
