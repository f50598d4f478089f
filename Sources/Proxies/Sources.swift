import CDatapath
import Policy

extension Envoy {
  /// The source addresses under which the kernel half shows the rule's sources to the proxy, in both families
  /// (layout: WEIR_SYNTHETIC4 in wire.h). Empty when nobody is meant.
  static func sources(of rule: L7Rule) -> [CIDR] {
    // A number that does not fit would name somebody else's sources: left out, so that its requests are
    // refused.
    guard rule.target < 1 << WEIR_TARGET_BITS else { return [] }
    guard let identities = rule.identities else {
      return [
        CIDR(base: source4(rule.target, 0), prefix: 128 - Int(WEIR_IDENTITY_BITS)),
        CIDR(base: source6(rule.target, 0), prefix: 96),
      ]
    }
    return identities.filter { $0 < 1 << WEIR_IDENTITY_BITS }.flatMap { identity in
      [
        CIDR(base: source4(rule.target, identity), prefix: 128),
        CIDR(base: source6(rule.target, identity), prefix: 128),
      ]
    }
  }

  private static func source4(_ target: UInt16, _ identity: UInt32) -> IPAddress {
    IPAddress(v4: WEIR_SYNTHETIC4 | UInt32(target) << UInt32(WEIR_IDENTITY_BITS) | identity)
  }

  private static func source6(_ target: UInt16, _ identity: UInt32) -> IPAddress {
    let prefix = UInt128(WEIR_SYNTHETIC6_0) << 96 | UInt128(WEIR_SYNTHETIC6_1) << 64
    return IPAddress(bits: prefix | UInt128(target) << 32 | UInt128(identity))
  }
}
