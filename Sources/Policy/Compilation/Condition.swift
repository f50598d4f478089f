/// One thing a rule can ask of a peer. Equal questions of different rules are one atom.
enum Atom: Hashable {
  /// The namespace is the policy's own where the peer has no namespace selector, else nil.
  case endpoints(PeerSelector, from: String?)
  case nodes(Selector)
  /// This one node.
  case node(String)
  /// Neither an endpoint nor a node.
  case outside
  /// An endpoint that has one of the addresses, whichever it uses.
  case carrying([IPAddress])
  /// The identity a source asks for; its blocks are atoms of their own.
  case source(AuthorizationPolicy.Source)
  /// About the address alone: in one of the blocks, in none of the exceptions.
  case address([CIDR], except: [CIDR])
  /// Not a yes or no: which ports the peer gives this name (egress).
  case named(String, TransportProtocol)
}

struct Literal: Hashable {
  var atom: Int
  /// Asks that the atom does not hold.
  var negated = false
}

/// Which peers a rule means: OR of ANDs. Without an alternative nobody; one without literals is everybody.
struct Condition: Hashable {
  var alternatives: [[Literal]]

  init(_ alternatives: [[Literal]]) { self.alternatives = alternatives }

  static let everybody = Condition([[]])
  static let nobody = Condition([])

  func holds(_ atoms: Bits) -> Bool {
    alternatives.contains { literals in
      literals.allSatisfy { atoms.contains($0.atom) != $0.negated }
    }
  }

  var atoms: [Int] { alternatives.flatMap { $0.map(\.atom) } }

  /// What there is to ask, without the condition: nearly all are one atom, and are asked of every peer.
  enum Test {
    case everybody
    case atom(Int)
    case whole
  }

  var test: Test {
    if alternatives == [[]] { return .everybody }
    if alternatives.count == 1, alternatives[0].count == 1, !alternatives[0][0].negated {
      return .atom(alternatives[0][0].atom)
    }
    return .whole
  }
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

  /// The atoms about addresses, with their numbers.
  var addresses: [(atom: Int, blocks: [CIDR], except: [CIDR])] {
    all.enumerated().compactMap { number, atom in
      guard case .address(let blocks, let except) = atom else { return nil }
      return (number, blocks, except)
    }
  }
}

extension Atoms {
  /// What a peer of a policy in `namespace` means to a subject that runs on `node`.
  mutating func condition(_ peer: Peer, from namespace: String, node: String?, apiServers: [IPAddress]) -> Condition {
    switch peer {
    case .selector(let selector):
      return Condition([
        [Literal(atom: number(.endpoints(selector, from: selector.namespaces == nil ? namespace : nil)))]
      ])
    case .ipBlock(let block): return Condition([[literal(block)]])
    case .outside(let block): return Condition([[outside, literal(block)]])
    case .nodes(let selector): return Condition([[Literal(atom: number(.nodes(selector)))]])
    case .entity(let entity): return condition(entity, node: node, apiServers: apiServers)
    }
  }

  /// One source: its identity, and each list of blocks as one question.
  mutating func condition(_ source: AuthorizationPolicy.Source) -> Condition {
    var identity = source
    identity.ipBlocks = []
    identity.notIpBlocks = []
    identity.remoteIpBlocks = []
    identity.notRemoteIpBlocks = []
    var literals: [Literal] = []
    if identity != AuthorizationPolicy.Source() { literals.append(Literal(atom: number(.source(identity)))) }
    for blocks in [source.ipBlocks, source.remoteIpBlocks] where !blocks.isEmpty {
      literals.append(Literal(atom: number(.address(blocks, except: []))))
    }
    for blocks in [source.notIpBlocks, source.notRemoteIpBlocks] where !blocks.isEmpty {
      literals.append(Literal(atom: number(.address(blocks, except: [])), negated: true))
    }
    return Condition([literals])
  }

  private mutating func condition(_ entity: Entity, node: String?, apiServers: [IPAddress]) -> Condition {
    switch entity {
    case .all: return .everybody
    case .world: return Condition([[outside]])
    case .worldIPv4: return Condition([[outside, literal(IPBlock(cidr: .everyV4))]])
    case .worldIPv6: return Condition([[outside, Literal(atom: number(.address([.everyV4], except: [])), negated: true)]])
    case .cluster:
      var inside = outside
      inside.negated = true
      return Condition([[inside]])
    case .host:
      guard let node else { return .nobody }
      return Condition([[Literal(atom: number(.node(node)))]])
    case .remoteNode:
      var literals = [Literal(atom: number(.nodes(.everything)))]
      if let node { literals.append(Literal(atom: number(.node(node)), negated: true)) }
      return Condition([literals])
    case .kubeAPIServer:
      guard !apiServers.isEmpty else { return .nobody }
      let blocks = apiServers.map { CIDR(base: $0, prefix: 128) }
      return Condition([
        [Literal(atom: number(.address(blocks, except: [])))], [Literal(atom: number(.carrying(apiServers)))],
      ])
    case .health, .`init`, .ingress, .unmanaged, .none: return .nobody
    }
  }

  private var outside: Literal { mutating get { Literal(atom: number(.outside)) } }

  private mutating func literal(_ block: IPBlock) -> Literal {
    Literal(atom: number(.address([block.cidr], except: block.except)))
  }
}
