/// Everybody whom the rules of a set could tell apart, and the rules that judge each: the endpoints and nodes
/// of the files, and an address outside for every cell of the blocks. Judged as in the compiled tables, by
/// classes: what the naive evaluator says of single flows is what a witness is checked against.
struct Universe {
  let evaluator: Evaluator
  /// Endpoints by name, then nodes by name, then addresses outside.
  let parties: [Party]
  let position: [Party: Int]
  /// What each calls its ports.
  let ports: [[NamedPort]]
  /// Which of the rules' questions hold for each: equal for parties that are alike as peers.
  let signatures: [Bits]
  /// The blocks that rules name.
  let blocks: [CIDR]
  /// By number; the policies of one class of subjects in one direction. Only those of which some policy
  /// speaks.
  let sides: [ClassSide]
  /// By party; nil where no policy speaks of it.
  private let egress: [Int?]
  private let ingress: [Int?]

  var set: PolicySet { evaluator.set }

  /// - Parameter blocks: of another set, that must be told apart too.
  /// - Parameter owned: addresses that are not outside there.
  init(_ set: PolicySet, blocks others: [CIDR] = [], owned elsewhere: Set<IPAddress> = []) {
    evaluator = Evaluator(set)
    let endpoints = set.endpoints.values.sorted { $0.name < $1.name }
    let locals = endpoints.filter { !$0.hostNetwork }.enumerated().map {
      Local(endpoint: $1, position: $0, cgroup: 0)
    }
    var lowering = Lowering(evaluator)
    var numbers: [Lowering.Key: Int] = [:]
    var subjects: [Subject] = []
    var members: [[Int]] = []
    let places = endpoints.indices.filter { !endpoints[$0].hostNetwork }
    for (local, key) in zip(places, lowering.keys(of: locals, proxies: [:])) {
      var key = key
      // Whether a proxy takes the flow is a finding of its own.
      key.proxy = 1
      // What is only reported changes no verdict.
      key.shadows = []
      let number = numbers[key] ?? subjects.count
      if number == subjects.count {
        numbers[key] = number
        subjects.append(lowering.subject(key))
        members.append([])
      }
      members[number].append(local)
    }
    let nodes = set.nodes.values.sorted { $0.name < $1.name }
    blocks = lowering.atoms.addresses.flatMap { $0.blocks + $0.except }
    let outside = AddressCells.representatives(blocks + others, owned: elsewhere.union(set.ownedAddresses))
    parties =
      endpoints.map { .endpoint($0.name) } + nodes.map { .node($0.name) } + outside.map { .address($0) }
    position = Dictionary(uniqueKeysWithValues: parties.enumerated().map { ($1, $0) })
    ports =
      endpoints.map { $0.hostNetwork ? [] : $0.ports }
      + Array(repeating: [], count: parties.count - endpoints.count)
    var membership = Membership(evaluator, parties, lowering.atoms)
    var sides: [ClassSide] = []
    var egress = [Int?](repeating: nil, count: parties.count)
    var ingress = egress
    for (number, subject) in subjects.enumerated() {
      for direction in [Direction.egress, .ingress] where subject[direction].side.speaks {
        for member in members[number] {
          if direction == .egress { egress[member] = sides.count } else { ingress[member] = sides.count }
        }
        sides.append(ClassSide(subject[direction], members: members[number], &membership))
      }
    }
    signatures = membership.signatures
    self.sides = sides
    self.egress = egress
    self.ingress = ingress
  }

  func side(_ direction: Direction, of party: Int) -> Int? {
    direction == .egress ? egress[party] : ingress[party]
  }

  /// What the policies of one party say of another.
  func verdict(_ direction: Direction, of subject: Int, to peer: Int, _ port: PortPiece) -> Verdict {
    guard let number = side(direction, of: subject) else { return .allowed }
    let view = sides[number].view(of: peer, ports[peer])
    return Answers(sides[number].prepared, view).decide(port.protocol, port.port).verdict
  }

  func flow(_ cell: Cell) -> Flow {
    let (from, to) = cell.direction == .egress ? (cell.subject, cell.peer) : (cell.peer, cell.subject)
    return Flow(from: parties[from], to: parties[to], protocol: cell.port.protocol, port: cell.port.port)
  }
}

extension Direction {
  var opposite: Direction { self == .ingress ? .egress : .ingress }
}

/// Which parties each question of the rules means.
struct Membership {
  let count: Int
  private let evaluator: Evaluator
  private let atoms: Atoms
  private let parties: [Party]
  private let others: [Evaluator.OtherEnd]
  private var index: EndpointIndex
  private let ofIndex: [Int]
  /// A party once for each of its addresses: blocks are asked of one address, who it is of all.
  private var slots: [(party: Int, address: IPAddress?)] = []
  private var slotsOf: [Range<Int>] = []
  private var ofAtom: [Int: Bits] = [:]
  private var known: [Condition: Bits] = [:]

  init(_ evaluator: Evaluator, _ parties: [Party], _ atoms: Atoms) {
    self.evaluator = evaluator
    self.atoms = atoms
    self.parties = parties
    count = parties.count
    others = parties.map { evaluator.peer($0) }
    index = EndpointIndex(evaluator.set)
    let positions = Dictionary(uniqueKeysWithValues: parties.enumerated().map { ($1, $0) })
    ofIndex = index.endpoints.compactMap { positions[.endpoint($0.name)] }
    for (party, other) in others.enumerated() {
      let start = slots.count
      if other.addresses.isEmpty { slots.append((party, nil)) }
      for address in other.addresses { slots.append((party, address)) }
      slotsOf.append(start..<slots.count)
    }
  }

  /// The conditions asked so far that hold for each party.
  var signatures: [Bits] {
    var found = [Bits](repeating: Bits(), count: count)
    for (number, members) in known.values.enumerated() {
      for party in members.members { found[party].insert(number) }
    }
    return found
  }

  /// The parties for which a condition holds at one of their addresses.
  mutating func members(of condition: Condition) -> Bits {
    if let known = known[condition] { return known }
    var found = Bits()
    for literals in condition.alternatives {
      let positive = literals.filter { !$0.negated }.map { slots(of: $0.atom) }
      let negative = literals.filter(\.negated).map { slots(of: $0.atom) }
      // Of an address outside that nobody knows it cannot be said that it is none of IPv4 (`world-ipv6`).
      let needsAddress = literals.contains { !$0.negated && atoms.all[$0.atom] == .outside } && !negative.isEmpty
      let candidates = positive.first?.members ?? Array(slots.indices)
      for slot in candidates
      where positive.allSatisfy({ $0.contains(slot) }) && !negative.contains(where: { $0.contains(slot) })
        && !(needsAddress && slots[slot].address == nil)
      {
        found.insert(slots[slot].party)
      }
    }
    known[condition] = found
    return found
  }

  private mutating func slots(of atom: Int) -> Bits {
    if let known = ofAtom[atom] { return known }
    var found = Bits()
    switch atoms.all[atom] {
    case .address(let blocks, let except):
      for (number, slot) in slots.enumerated() {
        guard let address = slot.address else { continue }
        if blocks.contains(where: { $0.contains(address) })
          && !except.contains(where: { $0.contains(address) })
        {
          found.insert(number)
        }
      }
    case .endpoints, .carrying, .named:
      for position in index.positions(of: atoms.all[atom]) {
        slotsOf[ofIndex[position]].forEach { found.insert($0) }
      }
    case .source(let source):
      for position in index.positions(of: atoms.all[atom]) {
        slotsOf[ofIndex[position]].forEach { found.insert($0) }
      }
      guard source.matches(.outside) else { break }
      for party in parties.indices where others[party].endpoint == nil {
        slotsOf[party].forEach { found.insert($0) }
      }
    case .outside: all { $0.isOutside }
    case .nodes(let selector): all { $0.node.map { selector.matches($0.labels) } ?? false }
    case .node(let name): all { $0.node?.name == name }
    }
    func all(_ holds: (Evaluator.OtherEnd) -> Bool) {
      for party in parties.indices where holds(others[party]) { slotsOf[party].forEach { found.insert($0) } }
    }
    ofAtom[atom] = found
    return found
  }
}
