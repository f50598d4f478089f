/// A set of bytes.
struct ByteSet: Hashable, Sendable {
  private var low: UInt128 = 0
  private var high: UInt128 = 0

  static let none = ByteSet()
  static let all = ByteSet(0...255)

  init() {}

  init(_ byte: UInt8) { insert(byte) }

  init(_ range: ClosedRange<UInt8>) { for byte in range { insert(byte) } }

  init(_ bytes: [UInt8]) { for byte in bytes { insert(byte) } }

  var isEmpty: Bool { low == 0 && high == 0 }

  func contains(_ byte: UInt8) -> Bool {
    (byte < 128 ? low : high) >> UInt128(byte & 127) & 1 == 1
  }

  mutating func insert(_ byte: UInt8) {
    if byte < 128 { low |= 1 << UInt128(byte) } else { high |= 1 << UInt128(byte & 127) }
  }

  /// With both cases of each letter of ASCII in it.
  var ignoringCase: ByteSet {
    var set = self
    for letter in UInt8(ascii: "a")...UInt8(ascii: "z") {
      if contains(letter) { set.insert(letter & ~0x20) }
      if contains(letter & ~0x20) { set.insert(letter) }
    }
    return set
  }
}
