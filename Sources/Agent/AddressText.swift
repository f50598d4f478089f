import CDatapath
import Glibc
import Policy

/// IP addresses as people write them.
enum AddressText {
  static func v4(_ address: in_addr) -> String { text(AF_INET, address, Int(INET_ADDRSTRLEN)) }

  static func v6(_ address: in6_addr) -> String { text(AF_INET6, address, Int(INET6_ADDRSTRLEN)) }

  /// Dotted for v4-mapped ones; nil for all zero, which the kernel half writes where it does not know.
  static func of(_ address: weir_addr) -> String? {
    let word = address.word
    if word.0 | word.1 | word.2 | word.3 == 0 { return nil }
    if word.0 | word.1 == 0 && UInt32(bigEndian: word.2) == 0xffff { return v4(in_addr(s_addr: word.3)) }
    return v6(withUnsafeBytes(of: word) { $0.load(as: in6_addr.self) })
  }

  static func of(_ address: IPAddress) -> String { of(address.wire) ?? "::" }

  /// Without a zone, a prefix length or leading zeros.
  static func parse(_ text: String) -> IPAddress? {
    var small = in_addr()
    if inet_pton(AF_INET, text, &small) == 1 { return IPAddress(v4: UInt32(bigEndian: small.s_addr)) }
    var large = in6_addr()
    if inet_pton(AF_INET6, text, &large) != 1 { return nil }
    return IPAddress(wire: withUnsafeBytes(of: large) { $0.load(as: weir_addr.self) })
  }

  private static func text<T>(_ family: Int32, _ address: T, _ size: Int) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { buffer in
      let found = withUnsafeBytes(of: address) {
        inet_ntop(family, $0.baseAddress, buffer.baseAddress, socklen_t(size))
      }
      return found.map { String(cString: $0) } ?? "?"
    }
  }
}
