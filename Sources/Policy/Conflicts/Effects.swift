/// One flow between classes, as an example.
struct Cell: Hashable {
  var direction: Direction
  var subject: Int
  var peer: Int
  var port: PortPiece
  var request: Request?
}

/// What one rule does, over the whole space.
struct Effect {
  /// A flow that the rule matches at L4.
  var matched: Cell?
  /// Without it some flow or request would be judged otherwise, both sides considered.
  var isEffective = false
  /// Its own side refuses flows it matches, and would without it: by the rule that refuses.
  var refused: [(by: Decision, cell: Cell)] = []
  /// It asks about requests, and a rule that does not allows the flow anyway.
  var bypassed: Cell?
  /// Its own side's answer is the same without it.
  var covered: Cell?
  /// Its own side's answer depends on it, but the other side refuses the flow.
  var refusedByOther: Cell?
  /// Of an Admin or Baseline rule: it is the first that matches; else the one that is.
  var comesFirst = false
  var preceded: (by: RuleReference, cell: Cell)?
  /// The flow goes to a proxy because of it, and no Proxy takes it.
  var unproxied: Cell?

  /// One example for each rule that refuses.
  fileprivate mutating func refuse(_ decision: Decision, _ cell: Cell) {
    guard !refused.contains(where: { $0.by.rule == decision.rule }) else { return }
    refused.append((decision, cell))
  }
}

/// What every rule of a set does. A rule is what can be named: a peer of a NetworkPolicy's or an Admin
/// policy's rule, a rule of an AuthorizationPolicy; of a CiliumPolicy a peer, or the ports where requests are
/// asked about.
struct Effects {
  let universe: Universe
  private(set) var all: [RuleReference: Effect] = [:]
  private var comparison = Comparison()
  /// The other side's items that hold for a peer, by side and peer.
  private var others: [[Int]: OtherSide] = [:]

  init(_ universe: Universe) {
    self.universe = universe
    for number in universe.sides.indices { judge(universe.sides[number]) }
  }

  private mutating func judge(_ side: ClassSide) {
    // What only reports has no effect, and is not meant to.
    let deciding = side.itemsOf.filter { universe.evaluator.decides($0.key) }
    let byItem = Dictionary(
      uniqueKeysWithValues: deciding.flatMap { reference, items in items.map { ($0, reference) } })
    for (view, parties) in side.groups(universe) {
      guard let pair = pair(side.members, parties), !view.items.isEmpty else { continue }
      let here = Set(view.items.members.compactMap { byItem[$0] })
      let answers = Answers(side.prepared, view)
      var without: [RuleReference: Answers] = [:]
      for rule in here {
        without[rule] = Answers(side.prepared, view.without(side.itemsOf[rule] ?? []))
      }
      for piece in side.pieces(view) {
        let covering = view.items.members.filter { side.covers($0, view, piece) }
        if covering.isEmpty { continue }
        let base = answers.decide(piece.protocol, piece.port)
        let cell = Cell(direction: side.direction, subject: pair.subject, peer: pair.peer, port: piece)
        tiers(covering, side, cell)
        for rule in Set(covering.compactMap { byItem[$0] }) {
          if all[rule, default: Effect()].matched == nil { all[rule, default: Effect()].matched = cell }
          noteProxy(rule, base, Place(side: side, parties: parties, cell: cell, covering: covering))
          guard !(all[rule]?.isEffective ?? false), let other = without[rule] else { continue }
          let changed = other.decide(piece.protocol, piece.port)
          judge(rule, base, changed, Place(side: side, parties: parties, cell: cell, covering: covering))
        }
      }
    }
  }

  private struct Place {
    var side: ClassSide
    var parties: [Int]
    var cell: Cell
    var covering: [Int]
  }

  private mutating func judge(_ rule: RuleReference, _ base: Decision, _ changed: Decision, _ place: Place) {
    var effect = all[rule] ?? Effect()
    defer { all[rule] = effect }
    var cell = place.cell
    if comparison.change(FlowDecision(own: base), FlowDecision(own: changed)) != .nothing {
      if let found = effective(base, changed, place) {
        effect.isEffective = true
        effect.matched = found
      } else if effect.refusedByOther == nil {
        effect.refusedByOther = cell
      }
      return
    }
    let asks = place.covering.filter { place.side.items[$0].rule.named == rule }.allSatisfy {
      !(place.side.items[$0].requests(onPort: cell.port.port) ?? []).isEmpty
    }
    let named = place.covering.filter { place.side.items[$0].rule.named == rule }
      .flatMap { place.side.items[$0].requests(onPort: cell.port.port) ?? [] }
    if asks, base.verdict != .proxied {
      // One that it names; where it is to restrict, one that it does not.
      let all = comparison.requests(named).requests
      let isNamed = { (request: Request) in named.contains { $0.matches(request) } }
      cell.request =
        base.verdict == .denied ? all.first(where: isNamed) : all.first { !isNamed($0) } ?? all.first
    }
    switch base.verdict {
    case .denied: effect.refuse(base, cell)
    case .allowed where asks: if effect.bypassed == nil { effect.bypassed = cell }
    case .allowed: if effect.covered == nil { effect.covered = cell }
    case .proxied:
      // It names requests, and all of those that it names are refused.
      let space = comparison.requests((base.requests?.matches ?? []) + named)
      let mine = space.requests.filter { request in
        named.isEmpty || named.contains { $0.matches(request) }
      }
      cell.request = mine.first
      if let allowed = mine.first(where: base.allows) {
        cell.request = allowed
        if effect.covered == nil { effect.covered = cell }
      } else if mine.first != nil, space.isComplete {
        effect.refuse(base, cell)
      }
    }
  }

  /// A pair of the class for which the change shows, whatever the other side says.
  private mutating func effective(_ base: Decision, _ changed: Decision, _ place: Place) -> Cell? {
    let cell = place.cell
    for subject in place.side.members {
      for peer in place.parties where peer != subject {
        var found = cell
        found.subject = subject
        found.peer = peer
        guard let other = otherSide(cell.direction, subject: subject, peer: peer) else {
          if case .request(let request) = comparison.change(
            FlowDecision(own: base), FlowDecision(own: changed))
          {
            found.request = request
          }
          return found
        }
        let ports = other.starts(cell.port.protocol).filter(cell.port.range.contains)
        for port in [cell.port.port] + ports.sorted() {
          let theirs = other.answers.decide(cell.port.protocol, port)
          if theirs.verdict == .denied { continue }
          let change = comparison.change(
            FlowDecision(own: base, other: theirs), FlowDecision(own: changed, other: theirs))
          if change == .nothing { continue }
          found.port.port = port
          if case .request(let request) = change { found.request = request }
          return found
        }
      }
    }
    return nil
  }

  /// What the policies of a flow's other end say of one subject.
  private struct OtherSide {
    var side: ClassSide
    var view: View
    var answers: Answers

    func starts(_ protocol: TransportProtocol) -> Set<UInt16> { side.starts(`protocol`, view) }
  }

  /// nil: none of them speaks.
  private mutating func otherSide(_ direction: Direction, subject: Int, peer: Int) -> OtherSide? {
    guard let number = universe.side(direction == .ingress ? .egress : .ingress, of: peer) else { return nil }
    if let known = others[[number, subject]] { return known }
    let side = universe.sides[number]
    let view = side.view(of: subject, universe.ports[subject])
    let other = OtherSide(side: side, view: view, answers: Answers(side.prepared, view))
    others[[number, subject]] = other
    return other
  }

  /// Two of them that are not one and the same.
  private func pair(_ subjects: [Int], _ peers: [Int]) -> (subject: Int, peer: Int)? {
    for subject in subjects.prefix(2) {
      if let peer = peers.first(where: { $0 != subject }) { return (subject, peer) }
    }
    return nil
  }

  // MARK: - What is not about removal

  private mutating func tiers(_ covering: [Int], _ side: ClassSide, _ cell: Cell) {
    var first: [RuleReference.Family: RuleReference] = [:]
    for item in covering {
      let rule = side.items[item].rule.named
      guard rule.family == .admin || rule.family == .baseline else { continue }
      if let winner = first[rule.family] {
        if winner != rule, all[rule]?.preceded == nil {
          all[rule, default: Effect()].preceded = (winner, cell)
        }
      } else {
        first[rule.family] = rule
        all[rule, default: Effect()].comesFirst = true
      }
    }
  }

  private mutating func noteProxy(_ rule: RuleReference, _ base: Decision, _ place: Place) {
    let (side, parties, cell) = (place.side, place.parties, place.cell)
    guard base.verdict == .proxied, all[rule]?.unproxied == nil else { return }
    let asks = place.covering.contains { item in
      side.items[item].rule.named == rule
        && !(side.items[item].requests(onPort: cell.port.port) ?? []).isEmpty
    }
    guard asks else { return }
    for subject in side.members {
      for peer in parties where peer != subject {
        let to = universe.parties[side.direction == .ingress ? subject : peer]
        guard universe.set.proxy(for: to) == nil else { continue }
        var found = cell
        found.subject = subject
        found.peer = peer
        if let other = otherSide(cell.direction, subject: subject, peer: peer) {
          let ports = [cell.port.port] + other.starts(.tcp).filter(cell.port.range.contains).sorted()
          guard let port = ports.first(where: { other.answers.decide(.tcp, $0).verdict != .denied }) else {
            continue
          }
          found.port.port = port
        }
        all[rule]?.unproxied = found
        return
      }
    }
  }
}

extension Evaluator {
  /// Not a rule of an AUDIT or dry-run policy.
  func decides(_ rule: RuleReference) -> Bool {
    rule.family != .authorization || authorizationPolicies[rule.policy].decides
  }
}
