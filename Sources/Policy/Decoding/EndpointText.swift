/// A word of the command line that cannot be read: what it is and what was expected, in one line.
public struct TextError: Error, Sendable, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

extension Party: CustomStringConvertible {
  public var description: String {
    switch self {
    case .endpoint(let name): name.description
    case .node(let name): "node/\(name)"
    case .address(let address): "ip:\(address)"
    }
  }

  /// `namespace/name` of a workload or pod, `node/NAME`, or `ip:ADDRESS`. A namespace called `node` is out of
  /// reach.
  public init(_ text: String) throws(TextError) {
    if text.hasPrefix("ip:") {
      guard let address = IPAddress(text.dropFirst(3)) else {
        throw TextError("\(quoted(text)) is no endpoint: after `ip:` an IPv4 or IPv6 address is expected")
      }
      self = .address(address)
      return
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else {
      let hint = IPAddress(text) == nil ? "" : "; write `ip:\(text)` for an address"
      throw TextError(
        "\(quoted(text)) is no endpoint: NAMESPACE/NAME, node/NAME or ip:ADDRESS is expected\(hint)")
    }
    if parts[0] == "node" {
      if let fault = Syntax.dnsSubdomain(parts[1]) { throw TextError("\(quoted(text)) is no node: \(fault)") }
      self = .node(parts[1])
      return
    }
    if let fault = Syntax.dnsLabel(parts[0]) ?? Syntax.dnsSubdomain(parts[1]) {
      throw TextError("\(quoted(text)) is no endpoint: \(fault)")
    }
    self = .endpoint(Name(parts[0], parts[1]))
  }
}

extension TransportProtocol {
  /// A protocol's name, without regard to case.
  public static func named(_ word: some StringProtocol) -> TransportProtocol? {
    allCases.first { $0.rawValue.uppercased() == word.uppercased() }
  }

  public var isICMP: Bool { self == .icmp || self == .icmpv6 }

  /// `80/TCP`, `53/UDP`, `80/SCTP`, `8/ICMP`, `128/ICMPv6` (the number is the type). The protocol's case does
  /// not matter.
  public static func port(_ text: String) throws(TextError) -> (protocol: TransportProtocol, port: UInt16) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let kind = named(parts[1]) else {
      throw TextError(
        "\(quoted(text)) is no port: PORT/PROTOCOL is expected, such as 80/TCP, 53/UDP or 8/ICMP")
    }
    let limit = kind.isICMP ? 255 : 65535
    guard let number = decimal(Array(parts[0].utf8)[...], atMost: limit), kind.isICMP || number > 0 else {
      throw TextError(
        "\(quoted(text)) is no port: a number from \(kind.isICMP ? 0 : 1) to \(limit) is expected")
    }
    return (kind, UInt16(number))
  }
}
