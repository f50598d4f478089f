/// The verdicts of a whole inventory at one port, asked once for each two classes: endpoints that every rule treats
/// alike are one. Knows only endpoints, nodes and addresses that come with one address at most: of several, each rule
/// may mean another, which the naive evaluator is for.
struct ClassVerdicts {
  /// What rules can tell about a party.
  struct Class: Hashable {
    /// nil: no policy is asked for it.
    var subject: Int?
    var signature: Int
    var cell: Int
  }

  private struct Pair: Hashable {
    var subject: Int
    var signature: Int
    var cell: Int
    var direction: Direction
  }

  private let index: EndpointIndex
  private let nodes: [String: Int]
  private let subjects: Subjects
  private let signatures: Signatures
  private let cells: Cells
  private var known: [Pair: Verdict] = [:]
  private let asked: (protocol: TransportProtocol, port: UInt16)

  init(_ evaluator: Evaluator, _ protocol: TransportProtocol, _ port: UInt16) {
    var index = EndpointIndex(evaluator.set)
    let locals = index.endpoints.enumerated().map { Local(endpoint: $1, position: $0, cgroup: 0) }
    subjects = Subjects(locals, of: evaluator, proxies: nil)
    signatures = Signatures(
      subjects.atoms, &index, proxies: Array(repeating: 1, count: index.endpoints.count + 1))
    cells = Cells(subjects.atoms.addresses)
    nodes = Dictionary(uniqueKeysWithValues: index.nodes.enumerated().map { ($1.name, $0) })
    self.index = index
    asked = (`protocol`, port)
  }

  /// nil for whom only the naive evaluator can answer.
  func class_(of party: Party, in set: PolicySet) -> Class? {
    func cell(_ addresses: [IPAddress]) -> Int? {
      addresses.count > 1 ? nil : addresses.first.map(cells.cell) ?? 0
    }
    switch party {
    case .address(let address): return Class(subject: nil, signature: 0, cell: cells.cell(of: address))
    case .node(let name):
      guard let position = nodes[name], let node = set.nodes[name] else { return nil }
      return cell(node.addresses).map { Class(subject: nil, signature: signatures.ofNode[position], cell: $0) }
    case .endpoint(let name):
      guard let position = index.position[name], let endpoint = set.endpoints[name] else { return nil }
      return cell(endpoint.addresses).map {
        Class(subject: subjects.ofLocal[position], signature: signatures.ofEndpoint[position], cell: $0)
      }
    }
  }

  /// What a subject's own policies say of a peer.
  mutating func verdict(_ direction: Direction, of subject: Int, to peer: Class) -> Verdict {
    let side = subjects.all[subject][direction]
    guard side.side.speaks else { return .allowed }
    let pair = Pair(subject: subject, signature: peer.signature, cell: peer.cell, direction: direction)
    if let verdict = known[pair] { return verdict }
    let signature = signatures.all[peer.signature]
    let view = side.view(signature.atoms.union(cells.blocks[peer.cell]), signature)
    let verdict = Answers(side, view).decide(asked.protocol, asked.port).verdict
    known[pair] = verdict
    return verdict
  }
}
