/// One address outside for every way in which blocks can hold addresses.
enum AddressCells {
  /// People know these from documentation and from the world; they are taken where they stand for their cell.
  private static let familiar: [IPAddress] = [
    IPAddress(v4: 0xc633_6401), IPAddress(v4: 0xcb00_7101), IPAddress(v4: 0xc000_0201),
    IPAddress(v4: 0x0101_0101),
    IPAddress(bits: 0x2001_0db8 << 96 | 1),
  ]

  /// The cut is at both ends of every block, so that no block holds a part of a piece.
  /// - Parameter owned: addresses that belong to somebody, and so are not outside.
  /// - Returns: one address of each piece that has one which nobody owns; of pieces in the same blocks, one.
  static func representatives(_ blocks: [CIDR], owned: Set<IPAddress>) -> [IPAddress] {
    var starts: Set<UInt128> = [0]
    for block in blocks + [CIDR.everyV4] {
      starts.insert(block.base.bits)
      let last = block.base.bits | ~CIDR.mask(block.prefix)
      if last < .max { starts.insert(last + 1) }
    }
    let cuts = starts.sorted()
    var found: [(isFamiliar: Bool, address: IPAddress)] = []
    for (index, start) in cuts.enumerated() {
      let end = index + 1 < cuts.count ? cuts[index + 1] - 1 : .max
      if let known = familiar.first(where: { start...end ~= $0.bits && !owned.contains($0) }) {
        found.append((true, known))
      } else if let free = free(in: start...end, owned) {
        found.append((false, free))
      }
    }
    var seen: Set<Bits> = []
    let distinct = Array(Set(blocks))
    return (found.filter(\.isFamiliar) + found.filter { !$0.isFamiliar }).compactMap { _, address in
      var holding = Bits()
      for (index, block) in distinct.enumerated() where block.contains(address) { holding.insert(index) }
      if address.isV4 { holding.insert(distinct.count) }
      return seen.insert(holding).inserted ? address : nil
    }
  }

  /// The second address of the piece rather than the first, which is a network's own name.
  private static func free(in piece: ClosedRange<UInt128>, _ owned: Set<IPAddress>) -> IPAddress? {
    var bits = piece.upperBound - piece.lowerBound > 1 ? piece.lowerBound + 1 : piece.lowerBound
    while owned.contains(IPAddress(bits: bits)) {
      if bits == piece.upperBound {
        return owned.contains(IPAddress(bits: piece.lowerBound)) ? nil : IPAddress(bits: piece.lowerBound)
      }
      bits += 1
    }
    return IPAddress(bits: bits)
  }
}
