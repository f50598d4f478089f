/// A set of Unicode code points, as ranges in order that do not touch: what brackets, `.` and `\d` stand for.
struct CharacterClass {
  private(set) var ranges: [ClosedRange<UInt32>] = []

  static let last: UInt32 = 0x10_ffff

  init(_ ranges: [ClosedRange<UInt32>] = []) {
    for range in ranges { insert(range) }
  }

  mutating func insert(_ range: ClosedRange<UInt32>) {
    var lower = range.lowerBound
    var upper = range.upperBound
    ranges.removeAll { other in
      guard other.lowerBound <= upper &+ 1, lower <= other.upperBound &+ 1 else { return false }
      lower = min(lower, other.lowerBound)
      upper = max(upper, other.upperBound)
      return true
    }
    let place = ranges.firstIndex { $0.lowerBound > upper } ?? ranges.count
    ranges.insert(lower...upper, at: place)
  }

  mutating func formUnion(_ other: CharacterClass) {
    for range in other.ranges { insert(range) }
  }

  var negated: CharacterClass {
    var result = CharacterClass()
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { result.ranges.append(next...range.lowerBound - 1) }
      next = range.upperBound + 1
    }
    if next <= Self.last { result.ranges.append(next...Self.last) }
    return result
  }

  /// With both cases of each letter of ASCII, and the two characters outside ASCII that Unicode folds to one:
  /// the Kelvin sign and the long s. nil where the case of other characters would have to be known.
  var ignoringCase: CharacterClass? {
    guard ranges.allSatisfy({ $0.upperBound < 0x80 }) else { return nil }
    var result = self
    for letter in UInt32(0x61)...0x7a where contains(letter) || contains(letter - 0x20) {
      result.insert(letter...letter)
      result.insert(letter - 0x20...letter - 0x20)
      if letter == 0x6b { result.insert(0x212a...0x212a) }
      if letter == 0x73 { result.insert(0x17f...0x17f) }
    }
    return result
  }

  private func contains(_ point: UInt32) -> Bool { ranges.contains { $0.contains(point) } }

  /// `[:name:]` and the escapes, all about ASCII (RE2 syntax, "ASCII character classes" and "Perl character
  /// classes").
  static func named(_ name: String) -> CharacterClass? {
    let digit: ClosedRange<UInt32> = 0x30...0x39
    let upper: ClosedRange<UInt32> = 0x41...0x5a
    let lower: ClosedRange<UInt32> = 0x61...0x7a
    switch name {
    case "alnum": return CharacterClass([digit, upper, lower])
    case "alpha": return CharacterClass([upper, lower])
    case "ascii": return CharacterClass([0...0x7f])
    case "blank": return CharacterClass([0x09...0x09, 0x20...0x20])
    case "cntrl": return CharacterClass([0...0x1f, 0x7f...0x7f])
    case "digit", "d": return CharacterClass([digit])
    case "graph": return CharacterClass([0x21...0x7e])
    case "lower": return CharacterClass([lower])
    case "print": return CharacterClass([0x20...0x7e])
    case "punct": return CharacterClass([0x21...0x2f, 0x3a...0x40, 0x5b...0x60, 0x7b...0x7e])
    case "space": return CharacterClass([0x09...0x0d, 0x20...0x20])
    // Without the vertical tab.
    case "s": return CharacterClass([0x09...0x0a, 0x0c...0x0d, 0x20...0x20])
    case "upper": return CharacterClass([upper])
    case "word", "w": return CharacterClass([digit, upper, lower, 0x5f...0x5f])
    case "xdigit": return CharacterClass([digit, 0x41...0x46, 0x61...0x66])
    default: return nil
    }
  }

  /// The bytes of its characters in UTF-8: alternatives, each a sequence of ranges.
  var encodings: [[ClosedRange<UInt8>]] { ranges.flatMap(Self.encodings) }

  private static func encodings(_ range: ClosedRange<UInt32>) -> [[ClosedRange<UInt8>]] {
    // Where all of a length is meant, RE2 is not exact about what is not UTF-8 (Compiler::Add_80_10ffff):
    // overlong forms and numbers beyond Unicode's pass a `.`, so they pass here.
    if range.lowerBound <= 0x80, range.upperBound == last {
      let tail: ClosedRange<UInt8> = 0x80...0xbf
      let ascii = range.lowerBound < 0x80 ? [[UInt8(range.lowerBound)...0x7f]] : []
      return ascii + [[0xc2...0xdf, tail], [0xe0...0xef, tail, tail], [0xf0...0xf4, tail, tail, tail]]
    }
    for bound: UInt32 in [0x7f, 0x7ff, 0xffff] where range.lowerBound <= bound && range.upperBound > bound {
      return encodings(range.lowerBound...bound) + encodings(bound + 1...range.upperBound)
    }
    if range.upperBound < 0x80 { return [[UInt8(range.lowerBound)...UInt8(range.upperBound)]] }
    // Within one length: cut until the last bytes run over all of their values.
    for bits: UInt32 in [6, 12, 18] {
      let mask: UInt32 = 1 << bits - 1
      guard range.lowerBound & ~mask != range.upperBound & ~mask else { continue }
      if range.lowerBound & mask != 0 {
        return encodings(range.lowerBound...range.lowerBound | mask)
          + encodings((range.lowerBound | mask) + 1...range.upperBound)
      }
      if range.upperBound & mask != mask {
        return encodings(range.lowerBound...(range.upperBound & ~mask) - 1)
          + encodings(range.upperBound & ~mask...range.upperBound)
      }
    }
    return [zip(bytes(range.lowerBound), bytes(range.upperBound)).map { $0...$1 }]
  }

  private static func bytes(_ point: UInt32) -> [UInt8] {
    func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | point >> shift & 0x3f) }
    switch point {
    case ..<0x80: return [UInt8(point)]
    case ..<0x800: return [UInt8(0xc0 | point >> 6), tail(0)]
    case ..<0x1_0000: return [UInt8(0xe0 | point >> 12), tail(6), tail(0)]
    default: return [UInt8(0xf0 | point >> 18), tail(12), tail(6), tail(0)]
    }
  }
}
