/// Addresses and blocks as people write them. Reading is strict, because a form that two programs read
/// differently is a hole: no leading zeros in IPv4 (which some read as octal), no zone, no missing octets.
extension IPAddress: CustomStringConvertible {
  /// Dotted decimal, or any form of RFC 4291 section 2.2. A v4-mapped address is the IPv4 address.
  public init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard let value = bytes.contains(UInt8(ascii: ":")) ? IPAddress.v6(bytes[...]) : IPAddress.v4(bytes[...])
    else { return nil }
    self = value
  }

  /// RFC 5952, and dotted decimal for IPv4.
  public var description: String {
    if isV4 {
      let octets = [24, 16, 8, 0].map { String(UInt8(truncatingIfNeeded: bits >> UInt128($0))) }
      return octets.joined(separator: ".")
    }
    let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits >> UInt128(112 - 16 * $0)) }
    guard let zeros = IPAddress.longestZeros(groups) else { return IPAddress.hex(groups[...]) }
    return IPAddress.hex(groups[..<zeros.lowerBound]) + "::" + IPAddress.hex(groups[zeros.upperBound...])
  }

  /// For messages.
  var family: String { isV4 ? "IPv4" : "IPv6" }

  private static func hex(_ groups: ArraySlice<UInt16>) -> String {
    groups.map { String($0, radix: 16) }.joined(separator: ":")
  }

  /// The run that `::` stands for: the longest of at least two groups, the first of equals (RFC 5952 section
  /// 4.2).
  private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
    var best = 0..<0
    var start = 0
    for index in 0...groups.count where index == groups.count || groups[index] != 0 {
      if index - start > best.count { best = start..<index }
      start = index + 1
    }
    return best.count >= 2 ? best : nil
  }

  private static func v4(_ bytes: ArraySlice<UInt8>) -> IPAddress? {
    var value: UInt32 = 0
    var rest = bytes
    for part in 0..<4 {
      let end = rest.firstIndex(of: UInt8(ascii: ".")) ?? rest.endIndex
      guard (end < rest.endIndex) == (part < 3), let octet = decimal(rest[..<end], atMost: 255) else {
        return nil
      }
      value = value << 8 | UInt32(octet)
      rest = rest[min(end + 1, rest.endIndex)...]
    }
    return IPAddress(v4: value)
  }

  private static func v6(_ bytes: ArraySlice<UInt8>) -> IPAddress? {
    let colon = UInt8(ascii: ":")
    var halves: [ArraySlice<UInt8>] = [bytes]
    if let gap = bytes.indices.dropLast().first(where: { bytes[$0] == colon && bytes[$0 + 1] == colon }) {
      halves = [bytes[..<gap], bytes[(gap + 2)...]]
    }
    var groups: [[UInt16]] = []
    for (index, half) in halves.enumerated() {
      guard let read = hextets(half, mayEndInV4: index == halves.count - 1) else { return nil }
      groups.append(read)
    }
    let given = groups.reduce(0) { $0 + $1.count }
    // `::` stands for at least one group of zeros.
    guard groups.count == 2 ? given <= 7 : given == 8 else { return nil }
    let all = groups[0] + Array(repeating: 0, count: 8 - given) + (groups.count == 2 ? groups[1] : [])
    return IPAddress(bits: all.reduce(UInt128(0)) { $0 << 16 | UInt128($1) })
  }

  private static func hextets(_ bytes: ArraySlice<UInt8>, mayEndInV4: Bool) -> [UInt16]? {
    if bytes.isEmpty { return [] }
    let parts = bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    var groups: [UInt16] = []
    for (index, part) in parts.enumerated() {
      if mayEndInV4, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
        guard let tail = v4(part) else { return nil }
        groups.append(UInt16(truncatingIfNeeded: tail.bits >> 16))
        groups.append(UInt16(truncatingIfNeeded: tail.bits))
        continue
      }
      guard (1...4).contains(part.count) else { return nil }
      var group: UInt16 = 0
      for byte in part {
        guard let digit = hexDigit(byte) else { return nil }
        group = group << 4 | UInt16(digit)
      }
      groups.append(group)
    }
    return groups
  }
}

extension CIDR: CustomStringConvertible {
  /// `ADDRESS/BITS`. Bits of the address beyond the prefix may be set and are dropped, as the API server
  /// does.
  public init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")),
      let address = IPAddress(String(decoding: bytes[..<slash], as: UTF8.self))
    else { return nil }
    // ::ffff:10.0.0.0/104 counts its bits as IPv6 does, 10.0.0.0/8 as IPv4 does; both are one block.
    let dotted = !bytes.contains(UInt8(ascii: ":"))
    guard let bits = decimal(bytes[(slash + 1)...], atMost: dotted ? 32 : 128) else { return nil }
    self.init(base: address, prefix: dotted ? 96 + bits : bits)
  }

  /// Every address in it is an IPv4 address.
  public var isV4: Bool { prefix >= 96 && base.isV4 }

  /// Every IPv4 address: what an IPv6 block such as ::/0 must leave out, because IPv4 is kept inside IPv6
  /// here.
  public static let everyV4 = CIDR(base: IPAddress(v4: 0), prefix: 96)

  public var description: String { isV4 ? "\(base)/\(prefix - 96)" : "\(base)/\(prefix)" }
}

/// Digits without sign and without leading zeros.
func decimal(_ bytes: ArraySlice<UInt8>, atMost limit: Int) -> Int? {
  guard let first = bytes.first, bytes.count <= 9, first != UInt8(ascii: "0") || bytes.count == 1 else {
    return nil
  }
  var value = 0
  for byte in bytes {
    guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
    value = value * 10 + Int(byte - UInt8(ascii: "0"))
  }
  return value <= limit ? value : nil
}

func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}
