/// What a text has to look like, before it is an automaton.
indirect enum Pattern: Sendable {
  enum Assertion: Sendable {
    case beginText, endText, beginLine, endLine, wordBoundary, noWordBoundary
  }

  case nothing
  case bytes(ByteSet)
  /// Alternatives, each a sequence of byte ranges: characters in UTF-8.
  case encodings([[ClosedRange<UInt8>]])
  case assertion(Assertion)
  case sequence([Pattern])
  case either([Pattern])
  case repeated(Pattern, atLeast: Int, atMost: Int?)

  static let anything = Pattern.repeated(.bytes(.all), atLeast: 0, atMost: nil)
}

/// Thompson's construction: nodes that read a byte, and nodes that only lead to others.
struct Automaton: Sendable {
  enum Node: Sendable {
    case accept
    case bytes(ByteSet, next: Int)
    case split([Int])
    case assertion(Pattern.Assertion, next: Int)
  }

  /// RE2 makes up to twice as many steps of a pattern, and takes about 87,000 (its `max_mem`).
  static let limit = 30_000

  /// The first one accepts.
  private(set) var nodes: [Node] = [.accept]
  private(set) var start = 0
  private(set) var hasAssertions = false
  /// Nodes after which everything matches.
  private(set) var certain: Set<Int> = []

  /// One that is larger than `limit` is cut and matches nothing.
  init(_ pattern: Pattern) {
    start = add(pattern, next: 0)
    if nodes.count >= Self.limit {
      nodes = [.accept]
      start = add(.split([]))
      // Says to `fault` that it was too large.
      nodes += Array(repeating: .split([]), count: Self.limit)
    }
    for (index, node) in nodes.enumerated() {
      guard case .bytes(.all, let next) = node else { continue }
      let closure = closure([next])
      if closure.contains(index), closure.contains(0) { certain.insert(index) }
    }
  }

  private mutating func add(_ node: Node) -> Int {
    nodes.append(node)
    return nodes.count - 1
  }

  /// The node at which the pattern begins.
  private mutating func add(_ pattern: Pattern, next: Int) -> Int {
    guard nodes.count < Self.limit else { return next }
    switch pattern {
    case .nothing: return add(.split([]))
    case .bytes(let set): return add(.bytes(set, next: next))
    case .encodings(let alternatives):
      let starts = alternatives.map { ranges in
        ranges.reversed().reduce(next) { add(.bytes(ByteSet($1), next: $0)) }
      }
      return starts.count == 1 ? starts[0] : add(.split(starts))
    case .assertion(let assertion):
      hasAssertions = true
      return add(.assertion(assertion, next: next))
    case .sequence(let parts): return parts.reversed().reduce(next) { add($1, next: $0) }
    case .either(let branches):
      let starts = branches.map { add($0, next: next) }
      return add(.split(starts))
    case .repeated(let part, let least, let most):
      var first = next
      if let most {
        for _ in 0..<max(0, most - least) {
          first = add(.split([add(part, next: first), next]))
        }
      } else {
        first = add(.split([]))
        nodes[first] = .split([add(part, next: first), next])
      }
      for _ in 0..<least { first = add(part, next: first) }
      return first
    }
  }

  /// What is reached without reading a byte: nodes that read one, that accept, or that assert something.
  fileprivate func closure(_ from: [Int], passing: (Pattern.Assertion) -> Bool = { _ in false }) -> [Int] {
    var seen = Set<Int>()
    var waiting = from
    var reached: [Int] = []
    while let index = waiting.popLast() {
      guard seen.insert(index).inserted else { continue }
      switch nodes[index] {
      case .split(let targets): waiting += targets
      case .assertion(let assertion, let next) where passing(assertion): waiting.append(next)
      case .accept, .bytes, .assertion: reached.append(index)
      }
    }
    return reached.sorted()
  }
}

extension Automaton {
  /// What an assertion can know about a byte beside it.
  enum Neighbour: Hashable, Sendable {
    case edge, newline, word, other

    init(_ byte: UInt8?) {
      guard let byte else {
        self = .edge
        return
      }
      switch byte {
      case UInt8(ascii: "\n"): self = .newline
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"):
        self = .word
      default: self = .other
      }
    }
  }

  /// Where one can be after some bytes.
  struct State: Hashable, Sendable {
    fileprivate var nodes: [Int]
    fileprivate var before: Neighbour

    /// Nothing can match any more.
    var isDead: Bool { nodes.isEmpty }
  }

  var initial: State { state([start], before: nil) }
  var dead: State { State(nodes: [], before: .other) }

  /// Whether every text matches from here on.
  func isCertain(_ state: State) -> Bool { state.nodes.contains(where: certain.contains) }

  /// The state that nothing leads out of and where every text matches; only where `certain` is not empty.
  private func state(_ from: [Int], before: UInt8?) -> State {
    var nodes = closure(from)
    if let certain = nodes.first(where: certain.contains) { nodes = [0, certain] }
    return State(nodes: nodes, before: hasAssertions ? Neighbour(before) : .other)
  }

  /// The nodes that are reached where `after` comes next.
  private func settled(_ state: State, after: UInt8?) -> [Int] {
    guard hasAssertions else { return state.nodes }
    let next = Neighbour(after)
    return closure(state.nodes) { assertion in
      switch assertion {
      case .beginText: state.before == .edge
      case .endText: next == .edge
      case .beginLine: state.before == .edge || state.before == .newline
      case .endLine: next == .edge || next == .newline
      case .wordBoundary: (state.before == .word) != (next == .word)
      case .noWordBoundary: (state.before == .word) == (next == .word)
      }
    }
  }

  func next(_ state: State, _ byte: UInt8) -> State {
    let targets = settled(state, after: byte).compactMap { index in
      if case .bytes(let set, let next) = nodes[index], set.contains(byte) { next } else { nil }
    }
    return self.state(targets, before: byte)
  }

  func accepts(_ state: State) -> Bool { settled(state, after: nil).first == 0 }

  func matches(_ text: String.UTF8View) -> Bool {
    var state = initial
    for byte in text {
      state = next(state, byte)
      if state.isDead { return false }
    }
    return accepts(state)
  }

  /// The sets that its nodes tell bytes apart by.
  var byteSets: Set<ByteSet> {
    var sets: Set<ByteSet> = []
    for case .bytes(let set, _) in nodes { sets.insert(set) }
    if hasAssertions {
      sets.insert(ByteSet(UInt8(ascii: "\n")))
      sets.insert(ByteSet((0...255).filter { Neighbour($0) == .word }))
    }
    return sets
  }
}
