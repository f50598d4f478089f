/// Reads a regular expression as RE2 does with the options that Envoy uses (RE2::Quiet: Perl's syntax, UTF-8, `^` and `$`
/// at the ends of the text): the syntax page of RE2 and re2/parse.cc.
struct RegexParser {
  private struct Flags {
    var ignoresCase = false
    var dotTakesNewline = false
    var isMultiline = false
  }

  private let text: [Unicode.Scalar]
  private var position = 0
  private var flags = Flags()
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

  private func fault(_ problem: String, at position: Int) -> LanguageFault {
    LanguageFault(problem: problem, position: position + 1)
  }

  private var next: Unicode.Scalar? { position < text.count ? text[position] : nil }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard next == scalar else { return false }
    position += 1
    return true
  }

  private func starts(with prefix: String) -> Bool { text[position...].starts(with: prefix.unicodeScalars) }

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

  private func literal(_ scalar: Unicode.Scalar, at begin: Int) throws(LanguageFault) -> Pattern {
    .encodings(try folded(CharacterClass([scalar.value...scalar.value]), at: begin).encodings)
  }

  private func folded(_ characters: CharacterClass, at begin: Int) throws(LanguageFault) -> CharacterClass {
    guard flags.ignoresCase else { return characters }
    guard let folded = characters.ignoringCase else {
      throw fault("(?i) over characters outside ASCII is not supported", at: begin)
    }
    return folded
  }
}

extension RegexParser {
  /// `*`, `+`, `?` or `{n,m}`; nil, and nothing read, where none of them stands. `{` that begins no repetition is a
  /// literal.
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

extension RegexParser {
  /// After `\`, outside brackets.
  private mutating func escape(_ begin: Int) throws(LanguageFault) -> [Pattern] {
    guard let scalar = next else { throw fault("a backslash stands at the end", at: begin) }
    if let characters = try classEscape(begin) { return [.encodings(characters.encodings)] }
    switch scalar {
    case "b", "B", "A", "z":
      position += 1
      let assertions: [Unicode.Scalar: Pattern.Assertion] = [
        "b": .wordBoundary, "B": .noWordBoundary, "A": .beginText, "z": .endText,
      ]
      return assertions[scalar].map { [.assertion($0)] } ?? []
    case "C": throw fault("\\C (any byte) is not supported", at: begin)
    case "Q":
      position += 1
      var items: [Pattern] = []
      while let scalar = next, !starts(with: "\\E") {
        items.append(try literal(scalar, at: position))
        position += 1
      }
      if next != nil { position += 2 }
      return items
    default: return [try literal(try character(begin), at: begin)]
    }
  }

  /// `\d`, `\W` and their like: nil where none stands.
  private mutating func classEscape(_ begin: Int) throws(LanguageFault) -> CharacterClass? {
    guard let scalar = next else { return nil }
    switch scalar {
    case "d", "s", "w":
      position += 1
      return try CharacterClass.named(String(scalar)).map { characters throws(LanguageFault) in
        try folded(characters, at: begin)
      }
    case "D", "S", "W":
      position += 1
      return try CharacterClass.named(String(scalar).lowercased()).map { characters throws(LanguageFault) in
        try folded(characters, at: begin).negated
      }
    case "p", "P": throw fault("Unicode classes (\\\(scalar)) are not supported", at: begin)
    default: return nil
    }
  }

  /// After `\`: one character.
  private mutating func character(_ begin: Int) throws(LanguageFault) -> Unicode.Scalar {
    guard let scalar = next else { throw fault("a backslash stands at the end", at: begin) }
    position += 1
    switch scalar {
    case "a": return "\u{7}"
    case "f": return "\u{c}"
    case "t": return "\t"
    case "n": return "\n"
    case "r": return "\r"
    case "v": return "\u{b}"
    case "x": return try hexadecimal(begin)
    case "0"..."7":
      if scalar != "0", !(next.map { ("0"..."7").contains($0) } ?? false) {
        throw fault("RE2 has no backreference \\\(scalar)", at: begin)
      }
      var value = scalar.value - 0x30
      for _ in 0..<2 {
        guard let digit = next, ("0"..."7").contains(digit) else { break }
        value = value * 8 + digit.value - 0x30
        position += 1
      }
      return Unicode.Scalar(value) ?? "\0"
    case "8", "9": throw fault("RE2 has no backreference \\\(scalar)", at: begin)
    case _ where scalar.isASCII && (scalar == "_" || !Self.isWord(scalar)): return scalar
    default: throw fault("RE2 has no escape \\\(scalar)", at: begin)
    }
  }

  /// After `\x`: two digits, or any number of them in braces.
  private mutating func hexadecimal(_ begin: Int) throws(LanguageFault) -> Unicode.Scalar {
    var digits = ""
    if take("{") {
      while let scalar = next, scalar != "}" {
        digits.unicodeScalars.append(scalar)
        position += 1
      }
      guard take("}") else { throw fault("\\x{ has no end", at: begin) }
    } else {
      let end = min(position + 2, text.count)
      digits = String(String.UnicodeScalarView(text[position..<end]))
      guard digits.unicodeScalars.count == 2 else { throw fault("\\x takes two digits", at: begin) }
      position = end
    }
    let isNumber = !digits.isEmpty && digits.unicodeScalars.allSatisfy { $0.properties.isASCIIHexDigit }
    guard isNumber, let value = UInt32(digits, radix: 16), value <= CharacterClass.last else {
      throw fault("\\x takes hexadecimal digits up to 10FFFF", at: begin)
    }
    guard let scalar = Unicode.Scalar(value) else {
      throw fault("a surrogate is no character", at: begin)
    }
    return scalar
  }

  /// After `[`.
  private mutating func bracket(_ begin: Int) throws(LanguageFault) -> Pattern {
    let negated = take("^")
    var characters = CharacterClass()
    var isFirst = true
    while let scalar = next, scalar != "]" || isFirst {
      isFirst = false
      let start = position
      if scalar == "[", let named = try posixClass() {
        characters.formUnion(named)
        continue
      }
      if take("\\"), let escaped = try classEscape(start) {
        characters.formUnion(escaped)
        continue
      }
      position = start
      let lower = try bracketCharacter(begin)
      var upper = lower
      if next == "-", position + 1 < text.count, text[position + 1] != "]" {
        position += 1
        upper = try bracketCharacter(begin)
        guard upper >= lower else { throw fault("a range runs backwards", at: start) }
      }
      characters.formUnion(try folded(CharacterClass([lower.value...upper.value]), at: start))
    }
    guard take("]") else { throw fault("an opening bracket has no closing one", at: begin) }
    let encodings = (negated ? characters.negated : characters).encodings
    return encodings.isEmpty ? .nothing : .encodings(encodings)
  }

  private mutating func bracketCharacter(_ bracket: Int) throws(LanguageFault) -> Unicode.Scalar {
    let begin = position
    guard let scalar = next else { throw fault("an opening bracket has no closing one", at: bracket) }
    position += 1
    return scalar == "\\" ? try character(begin) : scalar
  }

  /// `[:alpha:]`, `[:^alpha:]`; nil, and nothing read, where none stands.
  private mutating func posixClass() throws(LanguageFault) -> CharacterClass? {
    guard starts(with: "[:") else { return nil }
    let begin = position
    guard
      let end = text[(begin + 2)...].indices.dropLast().first(where: {
        text[$0] == ":" && text[$0 + 1] == "]"
      })
    else { return nil }
    let name = String(String.UnicodeScalarView(text[(begin + 2)..<end]))
    let negated = name.hasPrefix("^")
    // "d", "s" and "w" are escapes' names, not these.
    let bare = negated ? String(name.dropFirst()) : name
    guard bare.count > 1, let characters = CharacterClass.named(bare) else {
      throw fault("there is no class [:\(name):]", at: begin)
    }
    position = end + 2
    let all = try folded(characters, at: begin)
    return negated ? all.negated : all
  }
}
