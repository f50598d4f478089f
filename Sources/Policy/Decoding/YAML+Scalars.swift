extension YAML {
  /// What a plain scalar is: the rules of the YAML reader in sigs.k8s.io/yaml (a fork of go-yaml v2), so that
  /// a file means here what it means to kubectl. Dates stay strings, as they do there on the way to JSON.
  static func resolve(_ text: UnsafeBufferPointer<UInt8>) -> Node.Value {
    guard let first = text.first else { return .null }
    switch first {
    case UInt8(ascii: "y"), UInt8(ascii: "Y"), UInt8(ascii: "n"), UInt8(ascii: "N"), UInt8(ascii: "t"),
      UInt8(ascii: "T"), UInt8(ascii: "f"), UInt8(ascii: "F"), UInt8(ascii: "o"), UInt8(ascii: "O"),
      UInt8(ascii: "~"):
      return text.count <= 5 ? word(text) : .string
    case UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      // No number that is meant as one is longer.
      guard text.count <= 400 else { return .string }
      if let value = smallDecimal(text) { return .integer(value) }
      // An address, a block, a date.
      guard text.allSatisfy(isOfNumbers), text.count(where: { $0 == UInt8(ascii: ".") }) < 2 else {
        return .string
      }
      return number(text.filter { $0 != UInt8(ascii: "_") }[...]) ?? special(text)
    default: return .string
    }
  }

  /// Digits, the first of them no 0 unless it is the only one: nearly every number.
  private static func smallDecimal(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
    guard text.count <= 18, text.count == 1 || text[0] != UInt8(ascii: "0") else { return nil }
    var value: Int64 = 0
    for byte in text {
      guard byte &- 0x30 < 10 else { return nil }
      value = value * 10 + Int64(byte &- 0x30)
    }
    return value
  }

  /// Whether a number, `.inf` or `.nan` may have it.
  private static func isOfNumbers(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
      UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "-"),
      UInt8(ascii: "_"), UInt8(ascii: "x"), UInt8(ascii: "X"), UInt8(ascii: "o"), UInt8(ascii: "O"),
      UInt8(ascii: "i"), UInt8(ascii: "I"), UInt8(ascii: "n"), UInt8(ascii: "N"):
      true
    default: false
    }
  }

  private static func word(_ text: UnsafeBufferPointer<UInt8>) -> Node.Value {
    let packed = pack(text)
    if trueWords.contains(packed) { return .bool(true) }
    if falseWords.contains(packed) { return .bool(false) }
    return nullWords.contains(packed) ? .null : .string
  }

  private static let trueWords = [
    "true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON",
  ].map { pack($0.utf8) }
  private static let falseWords = [
    "false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF",
  ].map { pack($0.utf8) }
  private static let nullWords = ["~", "null", "Null", "NULL"].map { pack($0.utf8) }

  /// At most eight bytes as one number: to be compared at once.
  private static func pack(_ text: some Sequence<UInt8>) -> UInt64 { text.reduce(0) { $0 << 8 | UInt64($1) } }

  private static func special(_ text: UnsafeBufferPointer<UInt8>) -> Node.Value {
    switch String(decoding: text, as: UTF8.self) {
    case ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF":
      .number
    default: .string
    }
  }

  private static func number(_ text: ArraySlice<UInt8>) -> Node.Value? {
    var digits = text
    let negative = digits.first == UInt8(ascii: "-")
    if negative || digits.first == UInt8(ascii: "+") { digits.removeFirst() }
    var base: UInt8 = 10
    if digits.first == UInt8(ascii: "0"), digits.count > 1 {
      switch digits[digits.startIndex + 1] | 0x20 {
      case UInt8(ascii: "x"): (base, digits) = (16, digits.dropFirst(2))
      case UInt8(ascii: "o"): (base, digits) = (8, digits.dropFirst(2))
      case UInt8(ascii: "b"): (base, digits) = (2, digits.dropFirst(2))
      default: (base, digits) = (8, digits.dropFirst())
      }
    }
    return whole(digits, base: base, negative: negative) ?? (isFloat(text) ? .number : nil)
  }

  /// nil where the digits are not all of the base; too large for 64 bits is `number`.
  private static func whole(_ digits: ArraySlice<UInt8>, base: UInt8, negative: Bool) -> Node.Value? {
    guard !digits.isEmpty else { return nil }
    var value: Int64 = 0
    var fits = true
    for byte in digits {
      guard let digit = hexDigit(byte), digit < base else { return nil }
      guard fits else { continue }
      let product = value.multipliedReportingOverflow(by: Int64(base))
      let sum =
        negative
        ? product.partialValue.subtractingReportingOverflow(Int64(digit))
        : product.partialValue.addingReportingOverflow(Int64(digit))
      fits = !product.overflow && !sum.overflow
      value = sum.partialValue
    }
    return fits ? .integer(value) : .number
  }

  /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
  private static func isFloat(_ text: ArraySlice<UInt8>) -> Bool {
    var rest = text
    func takeDigits() -> Int {
      let after = rest.drop { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      defer { rest = after }
      return rest.count - after.count
    }
    func takeSign() {
      if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
    }
    takeSign()
    let before = takeDigits()
    if rest.first == UInt8(ascii: ".") {
      rest.removeFirst()
      if takeDigits() == 0, before == 0 { return false }
    } else if before == 0 {
      return false
    }
    if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
      rest.removeFirst()
      takeSign()
      if takeDigits() == 0 { return false }
    }
    return rest.isEmpty
  }
}
