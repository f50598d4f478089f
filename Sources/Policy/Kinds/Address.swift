import CDatapath

/// An IP address. IPv4 is kept as ::ffff:a.b.c.d, as in the kernel tables, so that there is one kind.
public struct IPAddress: Hashable, Sendable, Comparable {
  /// 128 bits, most significant first, host order.
  public var bits: UInt128

  public init(bits: UInt128) { self.bits = bits }

  public init(v4 value: UInt32) { bits = 0xffff << 32 | UInt128(value) }

  public var isV4: Bool { bits >> 32 == 0xffff }

  public static func < (a: IPAddress, b: IPAddress) -> Bool { a.bits < b.bits }

  /// The form of the shared header: four words in network order.
  public var wire: weir_addr {
    func word(_ shift: UInt128) -> UInt32 { UInt32(truncatingIfNeeded: bits >> shift).bigEndian }
    return weir_addr(word: (word(96), word(64), word(32), word(0)))
  }

  public init(wire: weir_addr) {
    let w = wire.word
    bits =
      UInt128(UInt32(bigEndian: w.0)) << 96 | UInt128(UInt32(bigEndian: w.1)) << 64
      | UInt128(UInt32(bigEndian: w.2)) << 32 | UInt128(UInt32(bigEndian: w.3))
  }
}

/// An address block. Bits beyond the prefix are zero. IPv4 prefixes are counted from the v4-mapped form: /8 is 104.
public struct CIDR: Hashable, Sendable {
  public var base: IPAddress
  /// 0 to 128; an IPv4 block of n bits has 96 + n.
  public var prefix: Int

  public init(base: IPAddress, prefix: Int) {
    self.prefix = prefix
    self.base = IPAddress(bits: base.bits & CIDR.mask(prefix))
  }

  public static func mask(_ prefix: Int) -> UInt128 {
    prefix == 0 ? 0 : ~UInt128(0) << UInt128(128 - prefix)
  }


  /// Within one family: `::/0` holds no IPv4 address, though the mapped form would.
  public func contains(_ address: IPAddress) -> Bool {
    address.isV4 == isV4 && address.bits & CIDR.mask(prefix) == base.bits
  }

  public func contains(_ other: CIDR) -> Bool {
    other.isV4 == isV4 && other.prefix >= prefix
      && other.base.bits & CIDR.mask(prefix) == base.bits
  }
}
