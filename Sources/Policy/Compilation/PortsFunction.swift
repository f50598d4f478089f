import CDatapath

/// What one peer is answered for each protocol and port: a decision for protocols without their own, and
/// steps over the ports for those that have them.
struct PortsFunction: Hashable {
  struct Step: Hashable {
    /// From this port up to the next step.
    var start: UInt16
    var decision: Decision
  }

  var other: Decision
  /// By protocol number; steps ascend from port 0, neighbours differ. Protocols that answer `other`
  /// throughout are left out.
  private(set) var protocols: [UInt8: [Step]] = [:]

  init(other: Decision) { self.other = other }

  /// - Parameter starts: ports where the answer may change; 0 is always asked.
  mutating func add(
    _ number: UInt8, starts: Set<UInt16>, _ decide: (UInt16) -> Decision
  ) {
    var steps: [Step] = []
    for start in starts.union([0]).sorted() {
      let decision = decide(start)
      if steps.last?.decision != decision { steps.append(Step(start: start, decision: decision)) }
    }
    if steps == [Step(start: 0, decision: other)] { return }
    protocols[number] = steps
  }

  /// The steps of TCP, where requests can be asked about.
  var tcp: [Step] { protocols[TransportProtocol.tcp.number] ?? [Step(start: 0, decision: other)] }

  var firstProxied: Decision? { tcp.first { $0.decision.verdict == .proxied }?.decision }

  /// One entry of the ports table, without its function number.
  struct Entry {
    var bits: Int
    var `protocol`: UInt8
    var port: UInt16
    var decision: Decision
  }

  /// The longest-prefix form. The decision that would take the most prefixes becomes the protocol's default.
  var entries: [Entry] {
    var entries = [Entry(bits: 32, protocol: 0, port: 0, decision: other)]
    for (number, steps) in protocols.sorted(by: { $0.key < $1.key }) {
      let pieces = steps.indices.map { index in
        let end = index + 1 < steps.count ? steps[index + 1].start - 1 : UInt16.max
        return (decision: steps[index].decision, prefixes: Self.prefixes(steps[index].start...end))
      }
      let fallback = Self.fallback(pieces.map { ($0.decision, $0.prefixes.count) }, other)
      if fallback != other {
        entries.append(Entry(bits: 48, protocol: number, port: 0, decision: fallback))
      }
      for piece in pieces where piece.decision != fallback {
        for prefix in piece.prefixes {
          entries.append(
            Entry(
              bits: 48 + prefix.bits, protocol: number, port: prefix.port, decision: piece.decision))
        }
      }
    }
    return entries
  }

  private static func fallback(_ pieces: [(Decision, Int)], _ other: Decision) -> Decision {
    var totals: [Decision: Int] = [:]
    var best = other
    for (decision, count) in pieces {
      totals[decision, default: 0] += count
      if totals[decision, default: 0] > totals[best, default: 0] { best = decision }
    }
    return best
  }

  /// A range as the fewest prefixes of 16 bits, at most 30.
  static func prefixes(_ range: ClosedRange<UInt16>) -> [(port: UInt16, bits: Int)] {
    var found: [(port: UInt16, bits: Int)] = []
    var start = Int(range.lowerBound)
    let end = Int(range.upperBound)
    while start <= end {
      // As large as the start is aligned, and no larger than what is left.
      var size = start == 0 ? 1 << 16 : start & -start
      while start + size - 1 > end { size >>= 1 }
      found.append((UInt16(start), 16 - size.trailingZeroBitCount))
      start += size
    }
    return found
  }
}

extension weir_ports_key {
  init(function: UInt32, _ entry: PortsFunction.Entry) {
    self.init(
      prefixlen: UInt32(entry.bits), ports: function, protocol: entry.protocol, pad: 0,
      port: entry.port.bigEndian)
  }
}
