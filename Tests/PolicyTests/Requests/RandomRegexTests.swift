import Testing

@testable import Policy

/// Random regular expressions: the automaton against a matcher that tries every way, and knows no automaton.
struct RandomRegexTests {
  private indirect enum Tree {
    case character(Character)
    case dot
    case bracket(negated: Bool, [Character])
    case sequence([Tree])
    case either([Tree])
    case repeated(Tree, Int, Int?)
    case begin
    case end
    case boundary
  }

  private static let alphabet: [Character] = ["a", "b", "/", "é"]

  private static func tree(_ depth: Int, _ random: inout some RandomNumberGenerator) -> Tree {
    let choice = Int.random(in: 0..<(depth == 0 ? 8 : 16), using: &random)
    switch choice {
    case 0...3: return .character(alphabet.randomElement(using: &random) ?? "a")
    case 4: return .dot
    case 5:
      let members = alphabet.filter { _ in Bool.random(using: &random) }
      return .bracket(negated: Bool.random(using: &random), members.isEmpty ? ["a"] : members)
    case 6: return Bool.random(using: &random) ? .begin : .end
    case 7: return Bool.random(using: &random) ? .boundary : .character("b")
    case 8...10:
      return .sequence((0..<Int.random(in: 0...3, using: &random)).map { _ in tree(depth - 1, &random) })
    case 11...13:
      return .either((0..<Int.random(in: 1...3, using: &random)).map { _ in tree(depth - 1, &random) })
    default:
      let least = Int.random(in: 0...2, using: &random)
      let most = Bool.random(using: &random) ? nil : least + Int.random(in: 0...2, using: &random)
      return .repeated(tree(depth - 1, &random), least, most)
    }
  }

  private static func text(_ tree: Tree) -> String {
    switch tree {
    case .character(let character): String(character)
    case .dot: "."
    case .bracket(let negated, let members): "[\(negated ? "^" : "")\(String(members))]"
    case .sequence(let parts): "(?:\(parts.map(text).joined()))"
    case .either(let branches): "(\(branches.map(text).joined(separator: "|")))"
    case .repeated(let part, 0, nil): "(?:\(text(part)))*"
    case .repeated(let part, 1, nil): "(?:\(text(part)))+?"
    case .repeated(let part, let least, nil): "(?:\(text(part))){\(least),}"
    case .repeated(let part, let least, .some(let most)): "(?:\(text(part))){\(least),\(most)}"
    case .begin: "^"
    case .end: "$"
    case .boundary: "\\b"
    }
  }

  /// The ends of all ways in which the tree can match from `start`.
  private static func ends(_ tree: Tree, _ text: [Character], _ start: Int) -> Set<Int> {
    func one(_ holds: (Character) -> Bool) -> Set<Int> {
      start < text.count && holds(text[start]) ? [start + 1] : []
    }
    func isWord(_ index: Int) -> Bool { text.indices.contains(index) && "ab".contains(text[index]) }
    switch tree {
    case .character(let character): return one { $0 == character }
    case .dot: return one { $0 != "\n" }
    case .bracket(let negated, let members): return one { members.contains($0) != negated }
    case .begin: return start == 0 ? [0] : []
    case .end: return start == text.count ? [start] : []
    case .boundary: return isWord(start - 1) != isWord(start) ? [start] : []
    case .sequence(let parts):
      return parts.reduce([start]) { found, part in
        found.reduce(into: []) { $0.formUnion(ends(part, text, $1)) }
      }
    case .either(let branches): return branches.reduce(into: []) { $0.formUnion(ends($1, text, start)) }
    case .repeated(let part, let least, let most):
      var found: Set<Int> = least == 0 ? [start] : []
      var current: Set<Int> = [start]
      // More rounds than characters and `least` find nothing new.
      for round in 1...(least + text.count + 1) where round <= most ?? .max {
        current = current.reduce(into: []) { $0.formUnion(ends(part, text, $1)) }
        if round >= least { found.formUnion(current) }
      }
      return found
    }
  }

  /// All texts of up to so many characters.
  static func texts(of alphabet: [Character], upTo length: Int) -> [[Character]] {
    var all: [[Character]] = [[]]
    var last = all
    for _ in 0..<length {
      last = last.flatMap { text in alphabet.map { text + [$0] } }
      all += last
    }
    return all
  }

  @Test("Random regular expressions match what a matcher that tries every way finds")
  func random() {
    var random = SystemRandomNumberGenerator()
    let texts = Self.texts(of: Self.alphabet + ["\n"], upTo: 3)
    var matching = 0
    for _ in 0..<400 {
      let tree = Self.tree(3, &random)
      let regex = Self.text(tree)
      guard Language.fault(inRegex: regex) == nil else {
        Issue.record("\(regex): \(Language.fault(inRegex: regex) ?? "")")
        continue
      }
      let language = Language(.regex(regex))
      for text in texts {
        let expected = Self.ends(tree, text, 0).contains(text.count)
        if expected { matching += 1 }
        #expect(language.matches(String(text)) == expected, "\(regex) on \(String(text).debugDescription)")
      }
    }
    #expect(matching > 1000)
  }
}
