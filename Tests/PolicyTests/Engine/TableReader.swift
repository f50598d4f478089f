import CDatapath
import Policy

/// Reads tables as the kernel half does: the same keys, the same order of lookups, longest prefixes on the
/// keys' bytes.
struct TableReader {
  /// The kernel's LPM trie over the bytes that follow prefixlen.
  struct Trie<Value> {
    private var byLength: [(length: UInt32, values: [[UInt8]: Value])] = []
    /// Keys that stand twice, where the second would silently replace the first.
    private(set) var duplicates = 0
    /// Keys with bits set beyond their prefix.
    private(set) var untidy = 0

    init<Key>(_ entries: [(key: Key, value: Value)], length: (Key) -> UInt32) {
      var found: [UInt32: [[UInt8]: Value]] = [:]
      for (key, value) in entries {
        let bytes = Self.bytes(key)
        let prefix = Self.mask(bytes, length(key))
        if prefix != bytes { untidy += 1 }
        if found[length(key), default: [:]].updateValue(value, forKey: prefix) != nil { duplicates += 1 }
      }
      byLength = found.sorted { $0.key > $1.key }.map { ($0.key, $0.value) }
    }

    func lookup<Key>(_ key: Key) -> Value? {
      let bytes = Self.bytes(key)
      for (length, values) in byLength {
        if let value = values[Self.mask(bytes, length)] { return value }
      }
      return nil
    }

    private static func bytes<Key>(_ key: Key) -> [UInt8] {
      withUnsafeBytes(of: key) { Array($0.dropFirst(4)) }
    }

    private static func mask(_ bytes: [UInt8], _ length: UInt32) -> [UInt8] {
      var bytes = bytes
      for index in bytes.indices {
        let left = Int(length) - index * 8
        if left < 8 { bytes[index] &= left <= 0 ? 0 : ~UInt8(0) << UInt8(8 - left) }
      }
      return bytes
    }
  }

  let tables: Tables
  let workloads: [UInt64: weir_workload]
  let addresses: Trie<weir_address>
  let ports: Trie<weir_ruling>
  private let cells: [UInt64: UInt32]
  private let pairs: [[UInt32]: UInt32]
  let identities: [UInt32: weir_identity]

  init(_ tables: Tables) {
    self.tables = tables
    workloads = Dictionary(tables.workloads.map { ($0.key, $0.value) }) { $1 }
    addresses = Trie(tables.addresses) { $0.prefixlen }
    ports = Trie(tables.ports) { $0.prefixlen }
    cells = Dictionary(tables.cells.map { (UInt64($0.key.class_) << 32 | UInt64($0.key.cell), $0.value) }) {
      $1
    }
    pairs = Dictionary(tables.pairs.map { ([$0.key.subject, $0.key.peer, $0.key.direction], $0.value) }) {
      $1
    }
    identities = Dictionary(tables.identities.map { ($0.key, $0.value) }) { $1 }
  }

  func address(_ address: IPAddress) -> weir_address? {
    addresses.lookup(weir_address_key(prefixlen: 128, addr: address.wire))
  }

  /// The class of a peer that is known by its address alone.
  func peer(at address: IPAddress) -> UInt32 { self.address(address)?.class_ ?? 0 }

  /// The class of a peer that is known by its cgroup and uses an address.
  func peer(_ workload: weir_workload, at address: IPAddress) -> UInt32 {
    let entry = self.address(address)
    if let entry, entry.workload == workload.workload { return entry.class_ }
    return cells[UInt64(workload.class_) << 32 | UInt64(entry?.cell ?? 0)] ?? workload.class_
  }

  func function(_ subject: UInt32, _ direction: weir_direction, _ peer: UInt32) -> UInt32? {
    pairs[[subject, peer, direction.rawValue]] ?? pairs[[subject, 0, direction.rawValue]]
  }

  /// What the tables say of one direction; allowed and not selected where they say nothing.
  func ruling(
    _ subject: UInt32, _ direction: weir_direction, _ peer: UInt32, _ `protocol`: UInt8, _ port: UInt16
  )
    -> weir_ruling
  {
    guard let function = function(subject, direction, peer) else {
      return Self.ruling(WEIR_ALLOWED, WEIR_REASON_NOT_SELECTED)
    }
    let key = weir_ports_key(
      prefixlen: 64, ports: function, protocol: `protocol`, pad: 0, port: port.bigEndian)
    return ports.lookup(key) ?? Self.ruling(WEIR_DENIED, WEIR_REASON_NO_TABLES)
  }

  private static func ruling(_ verdict: weir_verdict, _ reason: weir_reason) -> weir_ruling {
    weir_ruling(
      rule: 0, shadow: 0, target: 0, verdict: UInt8(verdict.rawValue), reason: UInt8(reason.rawValue), proxy: 0,
      shadow_reason: 0, pad: (0, 0))
  }
}

/// Reads L7 rules as a proxy does.
struct L7Reader {
  let rules: [L7Rule]

  /// - Parameter identity: nil for a source that has none.
  func allows(
    _ request: Request, from identity: UInt32?, to target: UInt16, port: UInt16,
    matches: (RequestMatch, Request) -> Bool
  ) -> Bool {
    rules.contains { rule in
      rule.target == target
        && (rule.identities?.contains { $0 == identity } ?? true)
        && (rule.ports?.contains { $0.contains(port) } ?? true)
        && rule.require.allSatisfy { $0.contains { matches($0, request) } }
        && !rule.unless.contains { matches($0, request) }
    }
  }
}
