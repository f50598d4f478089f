/// One thing a rule can ask of a peer. Equal questions of different rules are one atom.
enum Atom: Hashable {
  /// The namespace is the policy's own where the peer has no namespace selector, else nil.
  case pods(PeerSelector, from: String?)
  case block(NetworkPolicy.IPBlock)
  case source(AuthorizationPolicy.Source)
  /// Not a yes or no: which ports the peer gives this name (egress).
  case named(String, TransportProtocol)
}

/// Numbers for atoms, in the order they are met.
struct Atoms {
  private(set) var all: [Atom] = []
  private var numbers: [Atom: Int] = [:]

  mutating func number(_ atom: Atom) -> Int {
    if let known = numbers[atom] { return known }
    numbers[atom] = all.count
    all.append(atom)
    return all.count - 1
  }

  mutating func number(_ peer: NetworkPolicy.Peer, of policy: NetworkPolicy) -> Int {
    switch peer {
    case .ipBlock(let block): return number(.block(block))
    case .selector(let selector):
      return number(.pods(selector, from: selector.namespaces == nil ? policy.name.namespace : nil))
    case .outside, .nodes, .entity: return number(.block(IPBlock(cidr: CIDR(base: IPAddress(bits: 0), prefix: 128))))
    }
  }

  var blocks: [(atom: Int, block: NetworkPolicy.IPBlock)] {
    all.enumerated().compactMap { number, atom in
      guard case .block(let block) = atom else { return nil }
      return (number, block)
    }
  }
}

/// What rules can tell about who a peer is, addresses aside. Signature 0 is an address outside.
struct Signatures {
  struct Signature: Hashable {
    /// The atoms that hold; of a name, that the peer has it.
    var atoms = Bits()
    var ports: [NamedPort] = []
  }

  private(set) var all: [Signature] = []
  /// By position in the index.
  private(set) var ofEndpoint: [Int] = []
  /// By atom: the signatures that answer it otherwise than an address outside.
  private(set) var differing: [Int: [Int]] = [:]

  init(_ atoms: Atoms, _ index: inout EndpointIndex) {
    var outside = Signature()
    var found = [Signature](repeating: Signature(), count: index.endpoints.count)
    var accounts: [AuthorizationPeer: [Int]] = [:]
    for (position, endpoint) in index.endpoints.enumerated() {
      accounts[AuthorizationPeer(endpoint), default: []].append(position)
    }
    for (number, atom) in atoms.all.enumerated() {
      switch atom {
      case .block: break
      case .pods(let selector, let namespace):
        for position in index.select(selector, from: namespace ?? "") {
          found[position].atoms.insert(number)
        }
      case .source(let source):
        if source.matches(.outside) { outside.atoms.insert(number) }
        for (account, positions) in accounts where source.matches(account) {
          for position in positions { found[position].atoms.insert(number) }
        }
      case .named(let name, let `protocol`):
        for (position, endpoint) in index.endpoints.enumerated() {
          let ports = endpoint.ports.filter { $0.name == name && $0.protocol == `protocol` }
          guard !ports.isEmpty else { continue }
          found[position].atoms.insert(number)
          found[position].ports += ports.sorted { $0.port < $1.port }
        }
      }
    }
    number(found, outside)
  }

  private mutating func number(_ found: [Signature], _ outside: Signature) {
    var numbers = [outside: 0]
    all = [outside]
    for signature in found {
      let number = numbers[signature] ?? all.count
      if number == all.count {
        numbers[signature] = number
        all.append(signature)
        for atom in signature.atoms.differences(from: outside.atoms) {
          differing[atom, default: []].append(number)
        }
      }
      ofEndpoint.append(number)
    }
  }
}
