/// What rules can tell about who a peer is, addresses aside. Signature 0 is an address outside.
struct Signatures {
  struct Signature: Hashable {
    /// The atoms that hold; of a name, that the peer has it.
    var atoms = Bits()
    var ports: [NamedPort] = []
    /// The proxy that takes the peer, where that makes a difference.
    var proxy: UInt8?
  }

  private(set) var all: [Signature] = []
  /// By position in the index.
  private(set) var ofEndpoint: [Int] = []
  /// By position in the index.
  private(set) var ofNode: [Int] = []
  /// By atom: the signatures that answer it otherwise than an address outside.
  private(set) var differing: [Int: [Int]] = [:]
  /// The signatures that another proxy takes than an address outside.
  private(set) var otherwiseTaken: [Int] = []

  /// - Parameter proxies: for each endpoint the proxy that takes it, and last the one that takes what is no endpoint;
  ///   nil where it makes no difference.
  init(_ atoms: Atoms, _ index: inout EndpointIndex, proxies: [UInt8?]?) {
    var outside = Signature(proxy: proxies?.last ?? nil)
    var nodes = [Signature](repeating: outside, count: index.nodes.count)
    var endpoints = [Signature](repeating: Signature(), count: index.endpoints.count)
    if let proxies {
      for position in endpoints.indices { endpoints[position].proxy = proxies[position] }
    }
    for (number, atom) in atoms.all.enumerated() {
      switch atom {
      case .address: break
      case .outside: outside.atoms.insert(number)
      case .endpoints, .named, .carrying:
        for position in index.positions(of: atom) { endpoints[position].atoms.insert(number) }
      case .source(let source):
        // A node has no identity that Istio knows, like an address outside.
        if source.matches(.outside) {
          outside.atoms.insert(number)
          for position in nodes.indices { nodes[position].atoms.insert(number) }
        }
        for position in index.positions(of: atom) { endpoints[position].atoms.insert(number) }
      case .nodes(let selector):
        for (position, node) in index.nodes.enumerated() where selector.matches(node.labels) {
          nodes[position].atoms.insert(number)
        }
      case .node(let name):
        for (position, node) in index.nodes.enumerated() where node.name == name {
          nodes[position].atoms.insert(number)
        }
      }
      guard case .named(let name, let `protocol`) = atom else { continue }
      for position in index.positions(of: atom) {
        let ports = index.endpoints[position].ports.filter { $0.name == name && $0.protocol == `protocol` }
        endpoints[position].ports += ports.sorted { $0.port < $1.port }
      }
    }
    number(endpoints, nodes, outside)
  }

  private mutating func number(_ endpoints: [Signature], _ nodes: [Signature], _ outside: Signature) {
    var numbers = [outside: 0]
    all = [outside]
    // What no atom is about, which is nearly everybody where this node's policies are few.
    var untouched: Int?
    func number(_ signature: Signature) -> Int {
      let isUntouched = signature.atoms.isEmpty && signature.ports.isEmpty && signature.proxy == outside.proxy
      if isUntouched, let untouched { return untouched }
      if let known = numbers[signature] {
        if isUntouched { untouched = known }
        return known
      }
      let number = all.count
      numbers[signature] = number
      all.append(signature)
      for atom in signature.atoms.differences(from: outside.atoms) { differing[atom, default: []].append(number) }
      if signature.proxy != outside.proxy { otherwiseTaken.append(number) }
      return number
    }
    ofEndpoint = endpoints.map(number)
    ofNode = nodes.map(number)
  }
}
