import CDatapath

/// Numbers for what rules can tell apart: who selects a workload, who it is as a peer, and the cell of its
/// address.
struct Classes {
  struct Key: Hashable {
    /// 0 where only the peer is meant.
    var subject = 0
    var signature = 0
    var cell = 0
  }

  /// By number. 0 is a peer that no rule can tell from anybody.
  private(set) var keys = [Key()]
  private var numbers = [Key(): UInt32(0)]
  /// By signature, for what nearly every peer is: no subject, cell 0.
  private var plain: [UInt32?] = [0]

  mutating func number(_ key: Key) -> UInt32 {
    let isPlain = key.subject == 0 && key.cell == 0
    if isPlain, key.signature < plain.count, let known = plain[key.signature] { return known }
    if let known = numbers[key] { return known }
    let number = UInt32(keys.count)
    numbers[key] = number
    keys.append(key)
    guard isPlain else { return number }
    while plain.count <= key.signature { plain.append(nil) }
    plain[key.signature] = number
    return number
  }
}

/// The functions of all pairs, each kept once.
struct Functions {
  private(set) var all: [PortsFunction] = []
  private var numbers: [PortsFunction: UInt32] = [:]

  /// From 1, in the order they are met.
  mutating func number(_ function: PortsFunction) -> UInt32 {
    if let known = numbers[function] { return known }
    all.append(function)
    let number = UInt32(all.count)
    numbers[function] = number
    return number
  }
}
