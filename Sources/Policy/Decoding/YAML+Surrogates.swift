extension YAML {
  /// JSON writes a character beyond U+FFFF as two escapes, `\ud83d\ude00`, which YAML does not know: the
  /// text with YAML's escape for it in their place, `\U0001f600`. What stands behind it in its line moves by
  /// two columns. Only for text that begins as JSON and as far as it is JSON: elsewhere the same letters may
  /// mean themselves.
  static func joinSurrogates(_ bytes: [UInt8]) -> [UInt8] {
    guard let start = bytes.firstIndex(where: { !isSpace($0) }), bytes[start] == UInt8(ascii: "{"),
      hasSurrogate(bytes)
    else { return bytes }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var copied = 0
    var index = start
    // The last byte outside of strings that is no space: a string follows only some.
    var before = UInt8(ascii: ",")
    while index < bytes.count {
      let byte = bytes[index]
      guard byte == UInt8(ascii: "\"") else {
        guard isSpace(byte) || structure.contains(byte) else { break }
        if !isSpace(byte) { before = byte }
        index += 1
        continue
      }
      guard "{[,:".utf8.contains(before) else { break }
      before = byte
      index += 1
      while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
        if let scalar = surrogatePair(bytes, at: index) {
          result += bytes[copied..<index]
          let digits = String(scalar, radix: 16)
          result += "\\U\(String(repeating: "0", count: 8 - digits.utf8.count))\(digits)".utf8
          index += 12
          copied = index
        } else {
          index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
      }
      index += 1
    }
    return result + bytes[copied...]
  }

  /// What JSON has outside of strings.
  private static let structure = Set("{}[]:,+-.0123456789eEtrufalsn".utf8)

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d
  }

  private static func hasSurrogate(_ bytes: [UInt8]) -> Bool {
    var start = 0
    while let index = bytes.offset(of: UInt8(ascii: "\\"), from: start) {
      if surrogatePair(bytes, at: index) != nil { return true }
      start = index + 1
    }
    return false
  }

  /// The character of `\uD800\uDC00` to `\uDBFF\uDFFF`.
  private static func surrogatePair(_ bytes: [UInt8], at index: Int) -> UInt32? {
    guard let high = escape(bytes, at: index), 0xd800..<0xdc00 ~= high,
      let low = escape(bytes, at: index + 6), 0xdc00..<0xe000 ~= low
    else { return nil }
    return 0x10000 + (high - 0xd800) << 10 + (low - 0xdc00)
  }

  /// The number of `\uXXXX`.
  private static func escape(_ bytes: [UInt8], at index: Int) -> UInt32? {
    guard index + 6 <= bytes.count, bytes[index] == UInt8(ascii: "\\"),
      bytes[index + 1] == UInt8(ascii: "u")
    else { return nil }
    var value: UInt32 = 0
    for byte in bytes[(index + 2)..<(index + 6)] {
      guard let digit = hexDigit(byte) else { return nil }
      value = value << 4 | UInt32(digit)
    }
    return value
  }
}
