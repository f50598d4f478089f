import Policy

/// Which probes a run makes: those asked for again, then a mixture of what the files intend, at most one of each kind of
/// outcome for the same two classes; or every one.
struct ProbeChoice {
  enum Step {
    case probe(Probe, Intent)
    /// The time was over before one was found.
    case later
    case end
  }

  private let space: ProbeSpace
  private let evaluator: Evaluator
  private let audited: (Name) -> Bool
  private let samples: Int?
  private let turn: Int
  private var again: [Probe]
  private var order: Permutation
  private var chosen: [FlowOutcome: Int] = [:]
  private var total = 0
  private var pairs: Set<[Int]> = []
  /// Right but of a kind of which there is enough; taken when nothing better comes.
  private var spare: [(Probe, Intent)] = []
  private var isDry = false

  /// Beyond so many looks for each sample what was found has to do.
  private static let looks = 64

  init(_ space: ProbeSpace, _ evaluator: Evaluator, _ wish: Verification.Wish, audited: @escaping (Name) -> Bool) {
    self.space = space
    self.evaluator = evaluator
    self.audited = audited
    samples = wish.samples
    turn = Int(wish.seed % 1024)
    again = wish.again.filter { probe in
      space.classes.contains { $0.contains(probe.to) }
        && (probe.from.map { from in space.classes.contains { $0.contains(from) } } ?? true)
    }
    order = Permutation(space.count, seed: wish.seed)
  }

  mutating func next(until deadline: UInt64) -> Step {
    if let probe = again.popLast() { return .probe(probe, Intent(probe, evaluator, audited: audited)) }
    guard let samples else { return any(until: deadline) }
    if total >= samples { return .end }
    while !isDry {
      guard order.taken < looks(samples), let index = order.next() else {
        isDry = true
        break
      }
      if let found = look(index, samples) { return found }
      if Clock.monotonic() >= deadline { return .later }
    }
    guard let (probe, intent) = spare.popLast() else { return .end }
    total += 1
    return .probe(probe, intent)
  }

  /// A run that has met no refusal yet looks longer for one.
  private func looks(_ samples: Int) -> Int {
    let isRefused = chosen[.deniedEgress] != nil || chosen[.deniedIngress] != nil
    return isRefused ? samples * ProbeChoice.looks : max(samples, ProbeChoice.looks) * ProbeChoice.looks
  }

  private mutating func any(until deadline: UInt64) -> Step {
    while let index = order.next() {
      if let probe = space.probe(index, turn: turn) { return .probe(probe, Intent(probe, evaluator, audited: audited)) }
      if Clock.monotonic() >= deadline { return .later }
    }
    return .end
  }

  /// nil where it is not for now.
  private mutating func look(_ index: Int, _ samples: Int) -> Step? {
    guard let probe = space.probe(index, turn: turn) else { return nil }
    let intent = Intent(probe, evaluator, audited: audited)
    guard let kind = FlowOutcome.allCases.firstIndex(of: intent.outcome),
      pairs.insert([space.pair(index), kind]).inserted
    else { return nil }
    if chosen[intent.outcome, default: 0] >= max(1, samples / 4) {
      if spare.count < samples { spare.append((probe, intent)) }
      return nil
    }
    chosen[intent.outcome, default: 0] += 1
    total += 1
    return .probe(probe, intent)
  }
}
