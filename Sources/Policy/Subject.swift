/// The policies of one subject, with their peers as atoms and their ports as numbers: what is asked once for
/// each peer.
struct Subject {
  /// One peer of one rule (or the rule itself where it names nobody), in the order in which they are named.
  struct Item {
    /// nil: everybody.
    var atom: Int?
    /// nil: every port of every protocol.
    var ports: [ItemPort]?
    var rule: RuleReference
  }

  enum ItemPort {
    case range(TransportProtocol, ClosedRange<UInt16>)
    /// Resolved on the peer (egress).
    case named(String, TransportProtocol)
  }

  /// One direction of the NetworkPolicies.
  struct Network {
    var items: [Item] = []
    /// The atoms of the names that are resolved on the peer.
    var names: Set<Int> = []
    /// The first policy's default deny.
    var fallback: RuleReference
  }

  struct AuthorizationItem {
    /// OR; empty: every source.
    var sources: [Int]
    var operations: [AuthorizationPolicy.Operation]
    var rule: RuleReference
  }

  struct Authorization {
    var denies: [AuthorizationItem] = []
    var allows: [AuthorizationItem] = []
    /// The first ALLOW policy's default deny; nil where no ALLOW policy applies.
    var fallback: RuleReference?
    /// The proxy that takes the subject; nil none.
    var proxy: UInt8?

    var atoms: Set<Int> { Set((denies + allows).flatMap(\.sources)) }
  }

  var network: [Direction: Network] = [:]
  var authorization: Authorization?

  /// The atoms that make a difference in one direction.
  func atoms(_ direction: Direction) -> Set<Int> {
    var found = Set(network[direction]?.items.compactMap(\.atom) ?? [])
    found.formUnion(network[direction]?.names ?? [])
    if direction == .ingress, let authorization { found.formUnion(authorization.atoms) }
    return found
  }

  func speaks(_ direction: Direction) -> Bool {
    network[direction] != nil || (direction == .ingress && authorization != nil)
  }

  /// The AuthorizationPolicy items that a source fits.
  struct Sources: Hashable {
    var denies: [Int] = []
    var allows: [Int] = []
  }

  /// A peer as one subject sees it: which of its items hold. Peers that agree in it get the same function.
  struct View: Hashable {
    var items: [Int] = []
    var sources = Sources()
    /// What the peer calls its ports, where an item asks.
    var ports: [NamedPort] = []
  }

  func view(_ direction: Direction, atoms: Bits, ports: [NamedPort]) -> View {
    var view = View()
    if let network = network[direction] {
      view.items = network.items.indices.filter { network.items[$0].atom.map(atoms.contains) ?? true }
      if network.names.contains(where: atoms.contains) { view.ports = ports }
    }
    if direction == .ingress { view.sources = sources(atoms: atoms) }
    return view
  }

  func sources(atoms: Bits) -> Sources {
    func holding(_ items: [AuthorizationItem]) -> [Int] {
      items.indices.filter { index in
        items[index].sources.isEmpty || items[index].sources.contains(where: atoms.contains)
      }
    }
    guard let authorization else { return Sources() }
    return Sources(denies: holding(authorization.denies), allows: holding(authorization.allows))
  }
}
