/// Escapes and brackets.
extension RegexParser {
  /// After `\`, outside brackets.
  mutating func escape(_ begin: Int) throws(LanguageFault) -> [Pattern] {
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
  mutating func bracket(_ begin: Int) throws(LanguageFault) -> Pattern {
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
