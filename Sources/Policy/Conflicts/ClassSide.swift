/// Ports between which no rule in sight differs, and one of them to speak for all.
struct PortPiece: Hashable {
  var `protocol`: TransportProtocol
  var range: ClosedRange<UInt16>
  var port: UInt16

  /// Ports that people know, taken where they stand for their piece.
  private static let familiar: [UInt16] = [80, 443, 8080, 53, 22, 5432, 1]

  init(_ protocol: TransportProtocol, _ range: ClosedRange<UInt16>) {
    self.protocol = `protocol`
    self.range = range
    port = Self.familiar.first(where: range.contains) ?? range.lowerBound
  }

  /// What a flow can have: a port, or an ICMP type.
  static func valid(_ protocol: TransportProtocol) -> ClosedRange<UInt16> {
    `protocol`.isICMP ? 0...255 : 1...65535
  }

  /// - Parameter starts: where something may change.
  static func pieces(_ protocol: TransportProtocol, starts: Set<UInt16>) -> [PortPiece] {
    let valid = valid(`protocol`)
    let cuts = starts.filter(valid.contains).union([valid.lowerBound]).sorted()
    return cuts.indices.map { index in
      PortPiece(`protocol`, cuts[index]...(index + 1 < cuts.count ? cuts[index + 1] - 1 : valid.upperBound))
    }
  }
}

/// The policies of one class of subjects in one direction, with the parties each rule means.
struct ClassSide {
  let prepared: PreparedSide
  /// The subjects, by position in the universe.
  let members: [Int]
  /// By item.
  let peers: [Bits]
  let ownNode: Bits
  private let asksNames: Bool
  /// By the rule as it is named.
  let itemsOf: [RuleReference: [Int]]

  var direction: Direction { prepared.side.direction }
  var items: [Item] { prepared.items }

  init(_ prepared: PreparedSide, members: [Int], _ membership: inout Membership) {
    self.prepared = prepared
    self.members = members
    peers = prepared.items.map { membership.members(of: $0.peers) }
    ownNode = prepared.side.ownNode.map { membership.members(of: $0) } ?? Bits()
    asksNames = prepared.items.contains { item in
      item.ports?.contains { if case .named = $0 { true } else { false } } ?? false
    }
    itemsOf = Dictionary(grouping: prepared.items.indices) { prepared.items[$0].rule.named }
  }

  func view(of party: Int, _ ports: [NamedPort]) -> View {
    var view = View()
    for item in peers.indices where peers[item].contains(party) { view.items.insert(item) }
    view.isOwnNode = ownNode.contains(party)
    if asksNames { view.ports = ports }
    view.proxy = 1
    return view
  }

  /// All parties, by how this side sees them.
  func groups(_ universe: Universe) -> [(view: View, parties: [Int])] {
    // Refined item by item: what an item does not mean stays together.
    var classes = [Int](repeating: 0, count: universe.parties.count)
    var count = 1
    for bits in Set(peers + [ownNode]) {
      var split: [Int: Int] = [:]
      for party in bits.members {
        let old = classes[party]
        if split[old] == nil {
          split[old] = count
          count += 1
        }
        classes[party] = split[old] ?? old
      }
    }
    var grouped = [[Int]](repeating: [], count: count)
    for (party, number) in classes.enumerated() { grouped[number].append(party) }
    return grouped.flatMap { parties -> [(view: View, parties: [Int])] in
      guard let first = parties.first else { return [] }
      guard asksNames else { return [(view(of: first, []), parties)] }
      let byPorts = Dictionary(grouping: parties) { universe.ports[$0] }
      return byPorts.map { ports, parties in (view(of: parties[0], ports), parties) }
        .sorted { $0.parties[0] < $1.parties[0] }
    }
  }

  /// The ports that this side tells apart for one view.
  func pieces(_ view: View) -> [PortPiece] {
    TransportProtocol.allCases.flatMap { PortPiece.pieces($0, starts: starts($0, view)) }
  }

  func starts(_ protocol: TransportProtocol, _ view: View) -> Set<UInt16> {
    var starts: Set<UInt16> = []
    for index in view.items.members {
      items[index].starts(`protocol`, named: view.ports) { starts.insert($0) }
    }
    return starts
  }

  /// Whether an item matches at L4.
  func covers(_ item: Int, _ view: View, _ port: PortPiece) -> Bool {
    guard items[item].covers(port.protocol, port.port, named: view.ports) else { return false }
    if asksRequests(item), port.protocol != .tcp { return false }
    return items[item].requests(onPort: port.port) != nil
  }

  /// nil: it looks at no request. AuthorizationPolicy speaks of TCP alone, Cilium's rules about requests too.
  private func asksRequests(_ item: Int) -> Bool {
    items[item].rule.family == .authorization || items[item].requests != nil
  }
}

extension RuleReference {
  /// As rules are named: a peer stands for all its ports.
  var named: RuleReference {
    var reference = self
    if reference.peer != nil { reference.ports = nil }
    return reference
  }
}

extension View {
  func without(_ removed: [Int]) -> View {
    var view = self
    for item in removed { view.items.remove(item) }
    return view
  }
}
