/// Reasoning about several languages at once: one text for every combination of memberships that is possible.
/// Found by a search over the product of their automata, so nothing that can be told apart is missed.
extension Language {
  /// - Parameter limit: of states of the product.
  /// - Returns: the shortest text of each combination, in printable ASCII where there is such a text; nil
  ///   beyond the limit.
  static func representatives(
    of languages: [Language], ignoringCase: Bool = false, limit: Int
  ) -> [(text: String, members: [Bool])]? {
    let members = languages.map { Product.Factor($0.automaton(ignoringCase: ignoringCase)) }
    return Product(members: members, within: [Product.Factor(utf8)]).representatives(limit: limit)
  }

  /// Every text that a String can hold.
  static let utf8 = Automaton(
    .repeated(
      .encodings([
        [0...0x7f], [0xc2...0xdf, 0x80...0xbf], [0xe0...0xe0, 0xa0...0xbf, 0x80...0xbf],
        [0xe1...0xec, 0x80...0xbf, 0x80...0xbf], [0xed...0xed, 0x80...0x9f, 0x80...0xbf],
        [0xee...0xef, 0x80...0xbf, 0x80...0xbf], [0xf0...0xf0, 0x90...0xbf, 0x80...0xbf, 0x80...0xbf],
        [0xf1...0xf3, 0x80...0xbf, 0x80...0xbf, 0x80...0xbf],
        [0xf4...0xf4, 0x80...0x8f, 0x80...0xbf, 0x80...0xbf],
      ]), atLeast: 0, atMost: nil))
}

/// The product of deterministic automata, made as far as it is walked.
struct Product {
  /// One automaton, with its states numbered as they are met.
  struct Factor {
    private let automaton: Automaton
    /// The language is about the part before the first `?` or `#`; any text may follow.
    private let endsAtQuery: Bool
    private var states: [Automaton.State]
    private var numbers: [Automaton.State: Int]
    /// State -> class of bytes -> state; -1 is not known yet.
    private var steps: [[Int]] = []
    private(set) var accepts: [Bool]

    /// Nothing matches from here on, and everything does.
    static let dead = 0
    static let certain = 1

    init(_ automaton: Automaton, endsAtQuery: Bool = false) {
      self.automaton = automaton
      self.endsAtQuery = endsAtQuery
      states = [automaton.dead, automaton.dead, automaton.initial]
      numbers = [automaton.initial: 2]
      accepts = [false, true, automaton.accepts(automaton.initial)]
    }

    var byteSets: Set<ByteSet> {
      endsAtQuery ? automaton.byteSets.union([Self.queryBytes]) : automaton.byteSets
    }

    private static let queryBytes = ByteSet([UInt8(ascii: "?"), UInt8(ascii: "#")])

    mutating func next(_ state: Int, _ byte: UInt8, class number: Int, of count: Int) -> Int {
      guard state > Self.certain else { return state }
      while steps.count <= state { steps.append(Array(repeating: -1, count: count)) }
      if steps[state][number] < 0 { steps[state][number] = step(state, byte) }
      return steps[state][number]
    }

    private mutating func step(_ state: Int, _ byte: UInt8) -> Int {
      if endsAtQuery, Self.queryBytes.contains(byte) { return accepts[state] ? Self.certain : Self.dead }
      let next = automaton.next(states[state], byte)
      if next.isDead { return Self.dead }
      // Where the path can still end, what matches every further text matches no further query.
      if !endsAtQuery, automaton.isCertain(next) { return Self.certain }
      if let number = numbers[next] { return number }
      states.append(next)
      accepts.append(automaton.accepts(next))
      numbers[next] = states.count - 1
      return states.count - 1
    }
  }

  private var factors: [Factor]
  private let memberCount: Int
  /// What the factors after the members must say.
  private let required: [Bool]
  /// A byte of each class that no factor tells apart, the most readable one.
  private let classes: [UInt8]

  init(members: [Factor], within: [Factor], without: [Factor] = []) {
    factors = members + within + without
    memberCount = members.count
    required = within.map { _ in true } + without.map { _ in false }
    let sets = Array(factors.reduce(into: Set<ByteSet>()) { $0.formUnion($1.byteSets) })
    var found: [[Bool]: UInt8] = [:]
    for byte in Self.preferred {
      let signature = sets.map { $0.contains(byte) }
      if found[signature] == nil { found[signature] = byte }
    }
    let rank = Dictionary(uniqueKeysWithValues: Self.preferred.enumerated().map { ($1, $0) })
    classes = found.values.sorted { (rank[$0] ?? 0) < (rank[$1] ?? 0) }
  }

  /// All bytes, letters first and what cannot be printed last.
  private static let preferred: [UInt8] = {
    let letters = Array(UInt8(ascii: "a")...UInt8(ascii: "z")) + Array(UInt8(ascii: "A")...UInt8(ascii: "Z"))
    let first = letters + Array(UInt8(ascii: "0")...UInt8(ascii: "9")) + Array("/-_.".utf8)
    let printable = (UInt8(0x21)...0x7e).filter { !first.contains($0) } + [0x20]
    return first + printable + (0...0x1f) + (0x7f...0xff)
  }()

  /// The shortest text of each combination of members that its bounds allow; nil beyond the limit.
  consuming func representatives(limit: Int) -> [(text: String, members: [Bool])]? {
    var found: [(text: String, members: [Bool])] = []
    var known: Set<[Bool]> = []
    let printable = classes.indices.filter { (0x20...0x7e).contains(classes[$0]) }
    // First with readable bytes alone; what is found only with the others is added.
    for allowed in printable.count == classes.count ? [printable] : [printable, Array(classes.indices)] {
      guard search(allowed, limit: limit, each: { if known.insert($1).inserted { found.append(($0, $1)) } })
      else { return nil }
    }
    return found
  }

  /// false beyond the limit.
  private mutating func search(
    _ allowed: [Int], limit: Int, each: (String, [Bool]) -> Void
  ) -> Bool {
    struct Place {
      var states: [Int]
      var from: Int
      var byte: UInt8
    }
    var places = [Place(states: Array(repeating: 2, count: factors.count), from: -1, byte: 0)]
    var met: Set<[Int]> = [places[0].states]
    var combinations: Set<[Bool]> = []
    var index = 0
    while index < places.count {
      let states = places[index].states
      let answers = zip(factors, states).map { $0.accepts[$1] }
      if Array(answers[memberCount...]) == required,
        combinations.insert(Array(answers[..<memberCount])).inserted
      {
        var bytes: [UInt8] = []
        var place = index
        while place > 0 {
          bytes.append(places[place].byte)
          place = places[place].from
        }
        each(String(decoding: bytes.reversed(), as: UTF8.self), Array(answers[..<memberCount]))
      }
      for number in allowed {
        var next = states
        for factor in factors.indices {
          next[factor] = factors[factor].next(
            states[factor], classes[number], class: number, of: classes.count)
        }
        let isHopeless = zip(next[memberCount...], required).contains {
          $0 == ($1 ? Factor.dead : Factor.certain)
        }
        guard !isHopeless, met.insert(next).inserted else { continue }
        guard places.count < limit else { return false }
        places.append(Place(states: next, from: index, byte: classes[number]))
      }
      index += 1
    }
    return true
  }
}
