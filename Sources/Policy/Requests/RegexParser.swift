/// Reads a regular expression as RE2 does with the options that Envoy uses (RE2::Quiet: Perl's syntax, UTF-8,
/// `^` and `$` at the ends of the text): the syntax page of RE2 and re2/parse.cc.
struct RegexParser {
  struct Flags {
    var ignoresCase = false
    var dotTakesNewline = false
    var isMultiline = false
  }

  let text: [Unicode.Scalar]
  var position = 0
  var flags = Flags()
  private var depth = 0

  /// Groups within groups; RE2 takes 1000.
  private static let maximumDepth = 250
  private static let maximumRepetition = 1000

  private init(_ text: String) { self.text = Array(text.unicodeScalars) }

  static func pattern(_ text: String) throws(LanguageFault) -> Pattern {
    var parser = RegexParser(text)
    let pattern = try parser.alternation()
    guard parser.position == parser.text.count else {
      throw parser.fault("a closing parenthesis has no opening one", at: parser.position)
    }
    return pattern
  }

  func fault(_ problem: String, at position: Int) -> LanguageFault {
    LanguageFault(problem: problem, position: position + 1)
  }

  var next: Unicode.Scalar? { position < text.count ? text[position] : nil }

  mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard next == scalar else { return false }
    position += 1
    return true
  }

  func starts(with prefix: String) -> Bool { text[position...].starts(with: prefix.unicodeScalars) }

  private mutating func alternation() throws(LanguageFault) -> Pattern {
    var branches: [Pattern] = []
    repeat { branches.append(.sequence(try concatenation())) } while take("|")
    return branches.count == 1 ? branches[0] : .either(branches)
  }

  private mutating func concatenation() throws(LanguageFault) -> [Pattern] {
    var items: [Pattern] = []
    var lastWasRepetition = false
    while let scalar = next, scalar != "|", scalar != ")" {
      let begin = position
      if let (least, most) = repetition() {
        if let problem = Self.problem(least, most, of: items.last) { throw fault(problem, at: begin) }
        guard let last = items.popLast() else { throw fault("a repetition has nothing to repeat", at: begin) }
        if lastWasRepetition { throw fault("a repetition repeats a repetition", at: begin) }
        // Greedy or not, the same texts match.
        _ = take("?")
        items.append(.repeated(last, atLeast: least, atMost: most))
        lastWasRepetition = true
        continue
      }
      lastWasRepetition = false
      position += 1
      switch scalar {
      case "(": if let group = try group(begin) { items.append(group) }
      case "[": items.append(try bracket(begin))
      case ".": items.append(any(newline: flags.dotTakesNewline))
      case "^": items.append(.assertion(flags.isMultiline ? .beginLine : .beginText))
      case "$": items.append(.assertion(flags.isMultiline ? .endLine : .endText))
      case "\\": items += try escape(begin)
      default: items.append(try literal(scalar, at: begin))
      }
    }
    return items
  }

  private func any(newline: Bool) -> Pattern {
    let ranges: [ClosedRange<UInt32>] =
      newline ? [0...CharacterClass.last] : [0...9, 11...CharacterClass.last]
    return .encodings(CharacterClass(ranges).encodings)
  }

  func literal(_ scalar: Unicode.Scalar, at begin: Int) throws(LanguageFault) -> Pattern {
    .encodings(try folded(CharacterClass([scalar.value...scalar.value]), at: begin).encodings)
  }

  func folded(_ characters: CharacterClass, at begin: Int) throws(LanguageFault) -> CharacterClass {
    guard flags.ignoresCase else { return characters }
    guard let folded = characters.ignoringCase else {
      throw fault("(?i) over characters outside ASCII is not supported", at: begin)
    }
    return folded
  }
}

extension RegexParser {
  /// `*`, `+`, `?` or `{n,m}`; nil, and nothing read, where none of them stands. `{` that begins no
  /// repetition is a literal.
  private mutating func repetition() -> (least: Int, most: Int?)? {
    switch next {
    case "*":
      position += 1
      return (0, nil)
    case "+":
      position += 1
      return (1, nil)
    case "?":
      position += 1
      return (0, 1)
    case "{": break
    default: return nil
    }
    let begin = position
    position += 1
    if let least = number() {
      if take("}") { return (least, least) }
      if take(",") {
        if take("}") { return (least, nil) }
        if let most = number(), take("}") { return (least, most) }
      }
    }
    position = begin
    return nil
  }

  /// Without leading zeros.
  private mutating func number() -> Int? {
    let begin = position
    var value = 0
    while let scalar = next, ("0"..."9").contains(scalar), value < 100_000_000 {
      value = value * 10 + Int(scalar.value - 0x30)
      position += 1
    }
    if position == begin || (text[begin] == "0" && position > begin + 1) { return nil }
    return value
  }

  private static func problem(_ least: Int, _ most: Int?, of pattern: Pattern?) -> String? {
    let largest = max(least, most ?? 0)
    if largest > maximumRepetition { return "a repetition of more than \(maximumRepetition)" }
    if let most, most < least { return "a repetition of at least \(least) and at most \(most)" }
    guard largest >= 2, let pattern, product(pattern) * largest > maximumRepetition else { return nil }
    return "repetitions within repetitions, more than \(maximumRepetition) together"
  }

  /// How often the innermost part is repeated.
  private static func product(_ pattern: Pattern) -> Int {
    switch pattern {
    case .sequence(let parts), .either(let parts): return parts.map(product).max() ?? 1
    case .repeated(let part, let least, let most):
      // `*`, `+` and `?` are no counted repetition.
      if (least <= 1 && most == nil) || (least == 0 && most == 1) { return product(part) }
      return max(1, most ?? least) * product(part)
    default: return 1
    }
  }

  /// After `(`. nil for flags alone, which hold to the end of the group around them.
  private mutating func group(_ begin: Int) throws(LanguageFault) -> Pattern? {
    let outer = flags
    if take("?"), try !groupKind(begin) { return nil }
    depth += 1
    guard depth <= Self.maximumDepth else {
      throw fault("groups within more than \(Self.maximumDepth) groups", at: begin)
    }
    let pattern = try alternation()
    guard take(")") else { throw fault("an opening parenthesis has no closing one", at: begin) }
    depth -= 1
    flags = outer
    return pattern
  }

  /// After `(?`. false: flags alone.
  private mutating func groupKind(_ begin: Int) throws(LanguageFault) -> Bool {
    for lookaround in ["=", "!", "<=", "<!"] where starts(with: lookaround) {
      throw fault("RE2 has no lookaround (?\(lookaround)", at: begin)
    }
    if starts(with: "P<") || starts(with: "<") {
      position += starts(with: "P") ? 2 : 1
      guard let end = text[position...].firstIndex(of: ">") else {
        throw fault("a group's name has no end", at: begin)
      }
      let name = String(String.UnicodeScalarView(text[position..<end]))
      guard !name.isEmpty, name.unicodeScalars.allSatisfy(Self.isWord) else {
        throw fault("a group's name is made of letters, digits and _", at: position)
      }
      position = end + 1
      return true
    }
    var negated = false
    var sawFlag = false
    while let scalar = next {
      position += 1
      switch scalar {
      case "i": flags.ignoresCase = !negated
      case "s": flags.dotTakesNewline = !negated
      case "m": flags.isMultiline = !negated
      // Which match is preferred is no question here.
      case "U": break
      case "-" where !negated:
        negated = true
        sawFlag = false
        continue
      case ":" where !negated || sawFlag: return true
      case ")" where !negated || sawFlag: return false
      default: throw fault("RE2 has no group (?\(scalar)", at: begin)
      }
      sawFlag = true
    }
    throw fault("an opening parenthesis has no closing one", at: begin)
  }

  static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII && Automaton.Neighbour(UInt8(truncatingIfNeeded: scalar.value)) == .word
  }
}
