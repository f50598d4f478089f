/// Compares two sets by classes: parties that the rules of both treat alike are one, and pairs of classes
/// whose four sides answer with the same rules are asked once.
struct SetComparison {
  private let old: Universe
  private let new: Universe
  /// Parties of both, by position in each, in classes.
  private var classes: [[(old: Int, new: Int)]] = []
  /// Positions in the new universe by those in the old; nil for whom only one knows.
  private let common: [Int?]
  private var same: [[Int]: Bool] = [:]
  private var comparison = Comparison()
  private var answers: [AnswerKey: Int] = [:]
  private var known: [(side: ClassSide?, view: View, answers: Answers?)] = []
  private var differences: [[Int]: [Difference]] = [:]
  private var found: [Found] = []
  private(set) var unconfirmed: [String] = []

  private struct AnswerKey: Hashable {
    var isNew: Bool
    var side: Int
    var view: View
  }

  private struct ClassKey: Hashable {
    var sides: [Int?]
    var old: Bits
    var new: Bits
    var ports: [[NamedPort]]
  }

  /// One piece of the ports on which a pair of classes is judged otherwise.
  private struct Difference {
    var port: PortPiece
    var before: Verdict
    var after: Verdict
    /// nil: of all requests.
    var request: Request?
    var isOpening: Bool
  }

  private struct Found {
    var from: Int
    var to: Int
    var difference: Difference
    var rule: Finding.Policy?
    var isLost: Bool
    var explain: String
  }

  init(old: PolicySet, new: PolicySet) {
    let blocks = { (set: PolicySet) in Universe(set).blocks }
    let (oldBlocks, newBlocks) = (blocks(old), blocks(new))
    let owned = Set((old.ownedAddresses + new.ownedAddresses))
    self.old = Universe(old, blocks: newBlocks, owned: owned)
    self.new = Universe(new, blocks: oldBlocks, owned: owned)
    common = self.old.parties.map { [new = self.new] in new.position[$0] }
    var grouped: [ClassKey: [(old: Int, new: Int)]] = [:]
    for (position, party) in self.old.parties.enumerated() {
      guard let other = self.new.position[party] else { continue }
      let key = ClassKey(
        sides: [
          self.old.side(.egress, of: position), self.old.side(.ingress, of: position),
          self.new.side(.egress, of: other), self.new.side(.ingress, of: other),
        ], old: self.old.signatures[position], new: self.new.signatures[other],
        ports: [self.old.ports[position], self.new.ports[other]])
      grouped[key, default: []].append((position, other))
    }
    classes = grouped.values.sorted { $0[0].old < $1[0].old }
  }

  mutating func run() {
    let leaving = classes.map { !isSame(.egress, $0[0]) }
    let entering = classes.map { !isSame(.ingress, $0[0]) }
    for from in classes.indices {
      for to in classes.indices where leaving[from] || entering[to] {
        guard let pair = pair(from, to) else { continue }
        let key = [
          number(old, false, .egress, pair.from.old, pair.to.old),
          number(old, false, .ingress, pair.to.old, pair.from.old),
          number(new, true, .egress, pair.from.new, pair.to.new),
          number(new, true, .ingress, pair.to.new, pair.from.new),
        ]
        if differences[key] == nil { differences[key] = compare(key) }
        for difference in differences[key] ?? [] { tell(difference, from, to, pair) }
      }
    }
  }

  /// Whether the rules of a party are the same in both sets, one by one: then nothing it is asked has
  /// another answer.
  private mutating func isSame(_ direction: Direction, _ party: (old: Int, new: Int)) -> Bool {
    let sides = [old.side(direction, of: party.old), new.side(direction, of: party.new)]
    guard let before = sides[0], let after = sides[1] else { return sides[0] == nil && sides[1] == nil }
    if let known = same[[before, after]] { return known }
    let answer = old.sides[before].isSame(as: new.sides[after], common)
    same[[before, after]] = answer
    return answer
  }

  private typealias Pair = (from: (old: Int, new: Int), to: (old: Int, new: Int))

  /// Two that are not one and the same.
  private func pair(_ from: Int, _ to: Int) -> Pair? {
    let first = classes[from][0]
    guard let second = classes[to].first(where: { $0.old != first.old }) else { return nil }
    return (first, second)
  }

  /// The answers of one side to one peer; 0: no policy speaks.
  private mutating func number(
    _ universe: Universe, _ isNew: Bool, _ direction: Direction, _ subject: Int, _ peer: Int
  ) -> Int {
    if known.isEmpty { known.append((nil, View(), nil)) }
    guard let side = universe.side(direction, of: subject) else { return 0 }
    let view = universe.sides[side].view(of: peer, universe.ports[peer])
    let key = AnswerKey(isNew: isNew, side: side, view: view)
    if let number = answers[key] { return number }
    known.append((universe.sides[side], view, Answers(universe.sides[side].prepared, view)))
    answers[key] = known.count - 1
    return known.count - 1
  }

  private mutating func compare(_ key: [Int]) -> [Difference] {
    var found: [Difference] = []
    for transport in TransportProtocol.allCases {
      var starts: Set<UInt16> = []
      for number in key {
        known[number].side.map { starts.formUnion($0.starts(transport, known[number].view)) }
      }
      for piece in PortPiece.pieces(transport, starts: starts) {
        let decisions = key.map { known[$0].answers?.decide(transport, piece.port) ?? .notSelected }
        let before = FlowDecision(own: decisions[0], other: decisions[1])
        let after = FlowDecision(own: decisions[2], other: decisions[3])
        for difference in compare(before, after, piece) { Self.add(difference, to: &found) }
      }
    }
    return found
  }

  private mutating func compare(_ before: FlowDecision, _ after: FlowDecision, _ piece: PortPiece)
    -> [Difference]
  {
    let (a, b) = (before.verdict, after.verdict)
    if a != .proxied, b != .proxied {
      return a == b ? [] : [Difference(port: piece, before: a, after: b, isOpening: b == .allowed)]
    }
    let space = comparison.requests(before.matches + after.matches)
    let changed = space.requests.filter { before.allows($0) != after.allows($0) }
    // Where every request is judged otherwise, the flow is.
    if changed.isEmpty {
      guard a != b else { return [] }
      return [Difference(port: piece, before: a, after: b, isOpening: b == .allowed || a == .denied)]
    }
    let examples = changed.filter(after.allows).prefix(3) + changed.filter(before.allows).prefix(3)
    return examples.map { request in
      let opens = after.allows(request)
      return Difference(
        port: piece, before: opens ? .denied : .allowed, after: opens ? .allowed : .denied, request: request,
        isOpening: opens)
    }
  }

  /// Neighbouring pieces with the same answers are one.
  private static func add(_ difference: Difference, to found: inout [Difference]) {
    let last = found.lastIndex { other in
      other.port.protocol == difference.port.protocol && other.before == difference.before
        && other.after == difference.after && other.request == difference.request
        && Int(other.port.range.upperBound) + 1 == Int(difference.port.range.lowerBound)
    }
    guard let last else { return found.append(difference) }
    // The representative stays: the answers are the same, and so are the sides.
    found[last].port.range = found[last].port.range.lowerBound...difference.port.range.upperBound
  }

  // MARK: - Who makes it so

  private mutating func tell(_ difference: Difference, _ from: Int, _ to: Int, _ pair: Pair) {
    let flow = Flow(
      from: old.parties[pair.from.old], to: old.parties[pair.to.old], protocol: difference.port.protocol,
      port: difference.port.port)
    let request = difference.request
    let before = old.evaluator.verdict(flow, request)
    let after = new.evaluator.verdict(flow, request)
    guard before == difference.before, after == difference.after else {
      unconfirmed.append("\(flow) \(String(describing: request)): \(before) and \(after)")
      return
    }
    let (rule, isLost) = cause(flow, request, isOpening: difference.isOpening)
    found.append(
      Found(
        from: from, to: to, difference: difference, rule: rule, isLost: isLost,
        explain: flow.explainWords(request, joined: new.set.joined)))
  }

  /// Opened: the new rule that allows; where none does, the old one that refused. Closed: the new rule that
  /// refuses; where it is the default deny of a policy that was there before, the old rule that allowed.
  private func cause(_ flow: Flow, _ request: Request?, isOpening: Bool) -> (Finding.Policy?, isLost: Bool) {
    for direction in [Direction.egress, .ingress] {
      let before = old.evaluator.ruling(direction, flow, request)
      let after = new.evaluator.ruling(direction, flow, request)
      guard before.verdict != after.verdict else { continue }
      let oldRule = before.rule.map { Finding.Policy($0, before.place) }
      let newRule = after.rule.map { Finding.Policy($0, after.place) }
      if isOpening { return newRule.map { ($0, false) } ?? (oldRule, true) }
      if after.reason == .noRule, let oldRule, let newRule, old.hasPolicy(newRule),
        !new.says(oldRule, flow, request)
      {
        return (oldRule, true)
      }
      return newRule.map { ($0, false) } ?? (oldRule, true)
    }
    return (nil, false)
  }

  // MARK: - The answer

  private struct GroupKey: Hashable {
    var rule: Finding.Policy?
    var isLost: Bool
    var before: Verdict
    var after: Verdict
    var ports: [String]
    var requests: [Request]
    var from: Int
  }

  func entries(opening: Bool) -> [PolicyDiff.Entry] {
    struct PairKey: Hashable {
      var rule: Finding.Policy?
      var isLost: Bool
      var before, after: Verdict
      var from, to: Int
    }
    // All ports and requests of a pair of classes, then all destinations of a source, then all sources.
    let pairs = Dictionary(grouping: found.filter { $0.difference.isOpening == opening }) { one in
      PairKey(
        rule: one.rule, isLost: one.isLost, before: one.difference.before, after: one.difference.after,
        from: one.from, to: one.to)
    }
    var sources: [GroupKey: (to: [Int], explain: String)] = [:]
    for (key, all) in pairs {
      var ports: [String] = []
      for one in all where !ports.contains(one.difference.port.text) {
        ports.append(one.difference.port.text)
      }
      var requests: [Request] = []
      for request in all.compactMap(\.difference.request) where !requests.contains(request) {
        requests.append(request)
      }
      let group = GroupKey(
        rule: key.rule, isLost: key.isLost, before: key.before, after: key.after, ports: ports,
        requests: requests,
        from: key.from)
      let explain = all[0].explain
      let known = sources[group]
      sources[group] = ((known?.to ?? []) + [key.to], min(known?.explain ?? explain, explain))
    }
    struct EntryKey: Hashable {
      var group: GroupKey
      var to: [Int]
    }
    var merged: [EntryKey: (from: [Int], explain: String)] = [:]
    for (group, value) in sources {
      var key = EntryKey(group: group, to: value.to.sorted())
      key.group.from = 0
      let known = merged[key]
      merged[key] = ((known?.from ?? []) + [group.from], min(known?.explain ?? value.explain, value.explain))
    }
    return merged.map { key, value in
      PolicyDiff.Entry(
        rule: key.group.rule, isLost: key.group.isLost, from: names(value.from), to: names(key.to),
        ports: key.group.ports,
        requests: key.group.requests.isEmpty ? nil : key.group.requests.map(Witness.Request.init),
        before: key.group.before.rawValue, after: key.group.after.rawValue, explain: value.explain)
    }.sorted { a, b in
      (a.rule?.text ?? "", a.from.first ?? "", a.to.first ?? "", a.ports.first ?? "", a.explain)
        < (b.rule?.text ?? "", b.from.first ?? "", b.to.first ?? "", b.ports.first ?? "", b.explain)
    }
  }

  private func names(_ numbers: [Int]) -> [String] {
    numbers.flatMap { classes[$0].map { old.parties[$0.old] } }.map(\.description).sorted()
  }
}

extension PortPiece {
  /// `80/TCP`, `1-79/TCP`
  var text: String {
    let word = `protocol`.rawValue
    return range.count == 1
      ? "\(range.lowerBound)/\(word)" : "\(range.lowerBound)-\(range.upperBound)/\(word)"
  }
}

extension PolicySet {
  /// The addresses of endpoints and nodes.
  var ownedAddresses: [IPAddress] {
    endpoints.values.filter { !$0.hostNetwork }.flatMap(\.addresses) + nodes.values.flatMap(\.addresses)
  }
}

extension Universe {
  fileprivate func hasPolicy(_ policy: Finding.Policy) -> Bool {
    func same(_ name: RuleName) -> Bool {
      name.kind == policy.kind && name.namespace == policy.namespace && name.name == policy.name
    }
    return evaluator.networkPolicies.contains { same($0.ruleName("")) }
      || evaluator.ciliumPolicies.contains { same($0.ruleName("")) }
      || evaluator.authorizationPolicies.contains { same($0.ruleName(nil)) }
  }

  /// Whether the same rule still allows: then it is not what was lost.
  fileprivate func says(_ policy: Finding.Policy, _ flow: Flow, _ request: Request?) -> Bool {
    let explanation = evaluator.explain(flow, request: request)
    return explanation.layers.contains { layer in
      layer.considered.contains {
        $0.kind == policy.kind && $0.namespace == policy.namespace && $0.name == policy.name
          && $0.rule == policy.rule
      }
    }
  }
}

extension ClassSide {
  /// - Parameter common: positions in the other's universe by those in this one's.
  fileprivate func isSame(as other: ClassSide, _ common: [Int?]) -> Bool {
    let (mine, theirs) = (prepared.side, other.prepared.side)
    guard items.count == other.items.count, mine.joined == theirs.joined,
      (mine.network == nil) == (theirs.network == nil), (mine.cilium == nil) == (theirs.cilium == nil),
      (mine.cilium?.fallback == nil) == (theirs.cilium?.fallback == nil),
      (mine.authorization == nil) == (theirs.authorization == nil),
      (mine.authorization?.fallback == nil) == (theirs.authorization?.fallback == nil)
    else { return false }
    for (a, b) in zip(items, other.items) {
      guard a.rule.family == b.rule.family, a.rule.denying == b.rule.denying, a.action == b.action,
        a.ports == b.ports, a.requests == b.requests, a.operations == b.operations
      else { return false }
    }
    let known = Set(common.compactMap { $0 })
    func isSame(_ mine: Bits, _ theirs: Bits) -> Bool {
      Set(mine.members.compactMap { common[$0] }) == Set(theirs.members.filter(known.contains))
    }
    return isSame(ownNode, other.ownNode) && zip(peers, other.peers).allSatisfy(isSame)
  }
}
