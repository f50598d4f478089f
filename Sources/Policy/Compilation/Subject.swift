/// The policies of one subject in one direction, with their peers as conditions over atoms and their ports as numbers:
/// what is asked once for each peer that it tells apart.
struct Side {
  struct Network {
    var items: [Item] = []
    /// The first policy's default deny.
    var fallback: RuleReference
  }

  struct Cilium {
    var denies: [Item] = []
    var allows: [Item] = []
    /// The first isolating policy's default deny; nil where none isolates.
    var fallback: RuleReference?
  }

  struct Authorization {
    var denies: [Item] = []
    var allows: [Item] = []
    /// The first ALLOW policy's default deny; nil where no ALLOW policy applies.
    var fallback: RuleReference?
  }

  /// An AUDIT or dry-run AuthorizationPolicy on its own: what it would do beside the others.
  struct Shadow {
    var action: AuthorizationPolicy.Action
    var items: [Item]
    /// The policy itself.
    var rule: RuleReference
  }

  var admin: [Item] = []
  var network: Network?
  var cilium: Cilium?
  var authorization: Authorization?
  var baseline: [Item] = []
  var shadows: [Shadow] = []
  /// The node the subject runs on, as a peer: NetworkPolicy never refuses it, nor does Cilium's ingress.
  var ownNode: Condition?
  var direction: Direction
  /// NetworkPolicy and Cilium are one family.
  var joined = false
  /// The proxy that takes the subject (ingress); nil none.
  var proxy: UInt8?

  init(_ direction: Direction) { self.direction = direction }

  /// Some policy selects the subject in this direction.
  var speaks: Bool {
    !admin.isEmpty || network != nil || cilium != nil || authorization != nil || !baseline.isEmpty
      || !shadows.isEmpty
  }

  var items: [Item] {
    admin + (network?.items ?? []) + (cilium.map { $0.denies + $0.allows } ?? [])
      + (authorization.map { $0.denies + $0.allows } ?? []) + baseline + shadows.flatMap(\.items)
  }

  /// Some rule is about requests.
  var asksForRequests: Bool {
    (items.dropLast(shadows.reduce(0) { $0 + $1.items.count })).contains { $0.requests != nil || $0.operations?.contains { !$0.request.isAny } ?? false }
  }
}

/// A peer as one side sees it: which of its items hold. Peers that agree in it get the same function.
struct View: Hashable {
  /// Positions in `Side.items`.
  var items = Bits()
  var isOwnNode = false
  /// What the peer calls its ports, where an item asks.
  var ports: [NamedPort] = []
  /// Egress: the proxy that takes the peer, where requests may decide.
  var proxy: UInt8?
}

/// Both sides of one subject.
struct Subject {
  private(set) var egress: PreparedSide
  private(set) var ingress: PreparedSide

  init(egress: Side, ingress: Side, names: (Item) -> [Int]) {
    self.egress = PreparedSide(egress, names: names)
    self.ingress = PreparedSide(ingress, names: names)
  }

  subscript(direction: Direction) -> PreparedSide { direction == .ingress ? ingress : egress }
}

/// A side with its items in one list, and the atoms that make a difference to it.
struct PreparedSide {
  let side: Side
  let items: [Item]
  /// One for each item.
  private let tests: [Condition.Test]
  let atoms: Set<Int>
  private let names: Set<Int>
  let asksForRequests: Bool

  /// - Parameter names: the atoms of the names an item resolves on the peer.
  init(_ side: Side, names: (Item) -> [Int]) {
    self.side = side
    items = side.items
    tests = items.map(\.peers.test)
    asksForRequests = side.asksForRequests
    let named = Set(items.flatMap(names))
    self.names = named
    atoms = Set(items.flatMap(\.peers.atoms)).union(named).union(side.ownNode?.atoms ?? [])
  }

  func view(_ atoms: Bits, _ signature: Signatures.Signature) -> View {
    var view = View()
    for index in tests.indices {
      let holds =
        switch tests[index] {
        case .everybody: true
        case .atom(let atom): atoms.contains(atom)
        case .whole: items[index].peers.holds(atoms)
        }
      if holds { view.items.insert(index) }
    }
    view.isOwnNode = side.ownNode?.holds(atoms) ?? false
    if !names.isEmpty, names.contains(where: atoms.contains) { view.ports = signature.ports }
    if side.direction == .egress, asksForRequests { view.proxy = signature.proxy }
    return view
  }
}
