@testable import Policy

/// The kinds that are not Kubernetes' and Istio's own, nodes and services.
extension RandomWorld {
  /// - Parameter requests: a set that is mostly about requests.
  mutating func others(_ requests: Bool) {
    for number in 1...2 where chance(70) {
      world.set.nodes["n\(number)"] = Node(
        name: "n\(number)", labels: chance(50) ? ["app": "1"] : ["pool": "x"],
        addresses: [v4(10, 0, 2, UInt32(number))], place: place(1))
    }
    if chance(20) { service() }
    if chance(10), !requests {
      world.set.slices[Name("default", "kubernetes")] = EndpointSlice(
        name: Name("default", "kubernetes"), service: "kubernetes", addresses: [v4(10, 0, 1, 1)], place: place(1))
    }
    if chance(60) { for number in 0..<roll(1...3) { ciliumPolicy("c\(number)", requests) } }
    if chance(requests ? 25 : 50) { for number in 0..<roll(1...3) { adminPolicy("m\(number)", .admin) } }
    if chance(40) { for number in 0..<roll(1...2) { adminPolicy("b\(number)", .baseline) } }
    world.set.joined = chance(30)
  }

  /// All with `percent`, else none.
  mutating func blocks(_ percent: Int) -> [CIDR] {
    guard chance(percent), world.usesBlocks else { return [] }
    return pick([cidr(v4(10, 0, 0, 0), 29), cidr(v4(10, 0, 0, 8), 30), cidr(v4(127, 0, 0, 0), 8)], 1...2)
  }

  mutating func condition() -> AuthorizationPolicy.Condition {
    switch roll(0...4) {
    case 0: .source(AuthorizationPolicy.Source(namespaces: [.exact("a")]))
    case 1: .operation(AuthorizationPolicy.Operation(notPorts: [80]))
    case 2: .operation(AuthorizationPolicy.Operation(request: RequestMatch(headers: [header()])))
    case 3: .token(values: [], notValues: [.exact("x")])
    default: .token(values: [.presence], notValues: [])
    }
  }

  mutating func header() -> HeaderMatch {
    chance(70)
      ? HeaderMatch(name: "x-a", values: [.exact("1"), .prefix("2")])
      : HeaderMatch(name: "x-a", values: [], notValues: [.exact("1")])
  }

  private func exactly(_ key: String, _ value: String) -> Selector {
    Selector([Selector.Requirement(key: key, operator: .in, values: [value])])
  }

  private mutating func service() {
    world.set.services[Name("a", "s")] = Service(
      name: Name("a", "s"), selector: exactly("app", "1"), addresses: [],
      ports: [
        Service.Port(
          name: chance(60) ? "tcp-x" : "http", protocol: .tcp, port: 80,
          target: chance(50) ? .range(8080...8080) : .named("http"), appProtocol: nil)
      ], place: place(1))
  }

  /// As the decoders make them: with a namespace selector always.
  private mutating func everywhere() -> PeerSelector {
    PeerSelector(
      namespaces: chance(40) ? .everything : selector(), pods: chance(60) ? selector() : nil,
      accounts: chance(10) ? exactly("", "sa1") : nil)
  }

  private mutating func ports() -> [PortMatch] {
    (0..<roll(1...2)).map { _ in
      let transport: [TransportProtocol?] = [.tcp, .tcp, nil, .udp, .icmp, .icmpv6]
      let chosen = transport[roll(0...5)]
      if chosen == .icmp || chosen == .icmpv6 {
        return PortMatch(protocol: chosen, number: .range(8...8))
      }
      switch roll(0...3) {
      case 0: return PortMatch(protocol: chosen, number: .named(Self.portNames[roll(0...1)]))
      case 1: return PortMatch(protocol: chosen, number: .any)
      default:
        let low = port()
        return PortMatch(protocol: chosen, number: .range(low...(chance(50) ? low : max(low, port()))))
      }
    }
  }

  private mutating func adminPeer(_ direction: Direction) -> Peer {
    guard direction == .egress, chance(50) else { return .selector(everywhere()) }
    if chance(50) { return .nodes(selector()) }
    return ipBlock()
  }

  private mutating func adminPolicy(_ name: String, _ tier: AdminPolicy.Tier) {
    func rules(_ direction: Direction) -> [AdminPolicy.Rule] {
      (0..<roll(0...3)).map { line in
        let peers = (0..<roll(1...2)).map { _ in adminPeer(direction) }
        let actions: [AdminPolicy.Action] = [.accept, .deny, tier == .admin ? .pass : .deny]
        return AdminPolicy.Rule(
          action: actions[roll(0...2)], peers: peers, ports: chance(50) ? ports() : nil,
          peerPlaces: peers.indices.map { place(line * 10 + $0) }, place: place(line * 10))
      }
    }
    world.set.adminPolicies.append(
      AdminPolicy(
        kind: tier == .admin && chance(50) ? .adminNetworkPolicy : .clusterNetworkPolicy, name: Name("", name),
        tier: tier, priority: roll(0...2), subject: everywhere(), ingress: rules(.ingress),
        egress: rules(.egress), place: place(1)))
  }

  private mutating func ciliumPeer(_ number: Int) -> CiliumPolicy.NamedPeer {
    let peer: Peer
    switch roll(0...4) {
    case 0, 1: peer = .selector(everywhere())
    case 2: peer = .entity(Entity.allCases[roll(0...(Entity.allCases.count - 1))])
    case 3:
      guard case .ipBlock(let block) = ipBlock() else { preconditionFailure("a block") }
      peer = .outside(block)
    default: peer = .nodes(selector())
    }
    return CiliumPolicy.NamedPeer(peer, path: "from[\(number)]", place: place(number))
  }

  private mutating func ciliumRules(denying: Bool, _ requests: Bool) -> [CiliumPolicy.Rule] {
    (0..<roll(0...2)).map { line in
      let peers = chance(30) ? nil : (0..<roll(0...2)).map { ciliumPeer($0) }
      let entries = (0..<roll(0...2)).map { number in
        let asks = !denying && chance(requests ? 60 : 15)
        let tcp = PortMatch(protocol: .tcp, number: .range(80...80))
        return CiliumPolicy.Ports(
          ports: asks ? (chance(70) ? [tcp] : []) : chance(80) ? ports() : [],
          requests: asks ? [requestMatch(), RequestMatch(urls: [.prefix("/api")])] : nil,
          path: "toPorts[\(number)]", place: place(number))
      }
      return CiliumPolicy.Rule(peers: peers, ports: entries, place: place(line))
    }
  }

  private mutating func ciliumPolicy(_ name: String, _ requests: Bool) {
    let namespace = Self.namespaces[roll(0...2)]
    let clusterwide = chance(30)
    let own = Selector([
      Selector.Requirement(key: "kubernetes.io/metadata.name", operator: .in, values: [namespace])
    ])
    world.set.ciliumPolicies.append(
      CiliumPolicy(
        kind: clusterwide ? .clusterwide : .networkPolicy, name: Name(clusterwide ? "" : namespace, name),
        subject: .endpoints(PeerSelector(namespaces: clusterwide ? .everything : own, pods: selector())),
        ingress: ciliumRules(denying: false, requests),
        ingressDeny: chance(30) ? ciliumRules(denying: true, requests) : [],
        egress: ciliumRules(denying: false, requests),
        egressDeny: chance(30) ? ciliumRules(denying: true, requests) : [],
        isolatesIngress: chance(60), isolatesEgress: chance(60), place: place(1)))
  }
}
