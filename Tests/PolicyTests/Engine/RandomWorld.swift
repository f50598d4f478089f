import Policy

/// The same numbers for the same seed, everywhere (Steele, Lea, Flood 2014).
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// Small sets in which everything that can meet does: few labels, few addresses, few ports, every kind of
/// rule.
struct RandomWorld {
  var random: SplitMix64
  var world = World()
  /// A part of the endpoints is on this node.
  var presence = Presence()

  static let namespaces = ["a", "b", "c"]
  static let ports: [UInt16] = [0, 1, 79, 80, 81, 443, 1023, 1024, 8080, 32768, 65534, 65535]
  static let portNames = ["http", "admin"]

  init(seed: UInt64) {
    random = SplitMix64(state: seed)
    world.usesBlocks = seed % 3 == 0
    world.namespace("a", ["team": "1"])
    world.namespace("b", ["team": "2"])
    for number in 0..<roll(6...14) { endpoint(number) }
    // Every other set is mostly about requests, which many NetworkPolicies would hide.
    let requests = seed % 2 == 0
    for number in 0..<(requests ? roll(0...1) : roll(1...6)) {
      networkPolicy("\(Self.namespaces[roll(0...2)])/n\(number)")
    }
    for number in 0..<(requests ? roll(2...6) : roll(0...3)) {
      authorizationPolicy("\(["a", "b", "c", "istio-system"][roll(0...3)])/z\(number)")
    }
    others(requests)
    for number in 0..<roll(requests ? 1...2 : 0...2) {
      world.proxy("\(Self.namespaces[roll(0...2)])/p\(number)", takes: chance(60) ? nil : peerSelector())
    }
    let all = world.presence
    presence.proxies = all.proxies
    for (name, cgroup) in all.workloads.sorted(by: { $0.key < $1.key }) where chance(60) {
      presence.workloads[name] = cgroup
    }
  }

  mutating func roll(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
  mutating func chance(_ percent: Int) -> Bool { roll(1...100) <= percent }
  mutating func pick<T>(_ values: [T], _ range: ClosedRange<Int>) -> [T] {
    (0..<roll(range)).map { _ in values[roll(0...(values.count - 1))] }
  }

  mutating func port() -> UInt16 { Self.ports[roll(0...(Self.ports.count - 1))] }

  /// From a pool so small that endpoints share addresses and blocks hold some of them.
  mutating func address() -> IPAddress {
    switch roll(0...9) {
    case 0...5: v4(10, 0, 0, UInt32(roll(0...15)))
    case 6: v4(10, 0, 1, UInt32(roll(0...3)))
    case 7: chance(50) ? v4(127, 0, 0, 1) : v4(10, 0, 2, UInt32(roll(1...2)))
    case 8: v6(UInt64(roll(0...7)))
    default: v6(0x1_0000)
    }
  }

  mutating func labels() -> Labels {
    var labels: Labels = [:]
    if chance(70) { labels["app"] = "\(roll(1...3))" }
    if chance(50) { labels["tier"] = "\(roll(1...2))" }
    return labels
  }

  mutating func endpoint(_ number: Int) {
    var ports: [NamedPort] = []
    for name in Self.portNames where chance(50) {
      ports.append(NamedPort(name: name, port: port(), protocol: chance(80) ? .tcp : .udp))
    }
    let name = "\(Self.namespaces[roll(0...2)])/e\(number)"
    var addresses: [IPAddress] = []
    for _ in 0..<roll(0...2) { addresses.append(address()) }
    world.endpoint(
      name, labels(), at: addresses, account: chance(50) ? "default" : "sa\(roll(1...2))", ports: ports)
    if chance(8) { world.set.endpoints[World.name(name)]?.hostNetwork = true }
    let node = chance(40) ? "n\(roll(1...2))" : nil
    world.set.endpoints[World.name(name)]?.node = node
  }

  mutating func selector() -> Selector {
    var requirements: [Selector.Requirement] = []
    for _ in 0..<roll(0...2) {
      let key = chance(60) ? "app" : chance(60) ? "tier" : "team"
      let operators: [Selector.Operator] = [.in, .in, .in, .notIn, .exists, .doesNotExist]
      let chosen = operators[roll(0...5)]
      let values = chosen == .in || chosen == .notIn ? Set(pick(["1", "2", "3"], 1...2)) : []
      requirements.append(Selector.Requirement(key: key, operator: chosen, values: values))
    }
    return Selector(requirements)
  }

  mutating func peerSelector() -> PeerSelector {
    switch roll(0...2) {
    case 0: PeerSelector(namespaces: nil, pods: selector())
    case 1: PeerSelector(namespaces: selector(), pods: nil)
    default: PeerSelector(namespaces: selector(), pods: selector())
    }
  }

  mutating func ipBlock() -> NetworkPolicy.Peer {
    let address = address()
    let lengths = address.isV4 ? [0, 8, 24, 28, 30, 31, 32] : [0, 8, 64, 112, 125, 127, 128]
    let length = lengths[roll(0...6)]
    var except: [CIDR] = []
    for _ in 0..<roll(0...2) {
      let inner = self.address()
      let longer = lengths.filter { $0 > length }
      guard !longer.isEmpty, cidr(address, length).contains(inner) else { continue }
      except.append(cidr(inner, longer[roll(0...(longer.count - 1))]))
    }
    return block(address, length, except: except)
  }

  mutating func networkRule(_ line: Int) -> NetworkPolicy.Rule {
    var peers: [NetworkPolicy.Peer] = []
    for _ in 0..<roll(0...3) { peers.append(chance(60) ? .selector(peerSelector()) : ipBlock()) }
    var ports: [NetworkPolicy.Port] = []
    for _ in 0..<(chance(40) ? 0 : roll(1...3)) {
      let number: PortMatch.Number
      switch roll(0...5) {
      case 0: number = .any
      case 1, 2: number = .named(Self.portNames[roll(0...1)])
      default:
        let low = port()
        let high = chance(50) ? low : max(low, port())
        number = .range(low...high)
      }
      let transport: [TransportProtocol] = [.tcp, .tcp, .tcp, .udp, .sctp]
      ports.append(NetworkPolicy.Port(protocol: transport[roll(0...4)], number: number))
    }
    return rule(peers, ports: ports, line: line)
  }

  mutating func networkPolicy(_ name: String) {
    var ingress: [NetworkPolicy.Rule] = []
    var egress: [NetworkPolicy.Rule] = []
    for line in 0..<roll(0...3) { ingress.append(networkRule(line * 10)) }
    for line in 0..<roll(0...3) { egress.append(networkRule(line * 10)) }
    let both = roll(0...2)
    world.network(
      name, selects: selector(), ingress: both == 1 ? nil : ingress, egress: both == 2 ? nil : egress)
  }

  mutating func principals() -> [AuthorizationPolicy.Match] {
    pick(
      [
        .exact("cluster.local/ns/a/sa/default"), .prefix("cluster.local/ns/b/"), .suffix("/sa/sa1"),
        .presence, .exact("nobody"),
      ], 1...2)
  }

  mutating func namespaceMatches() -> [AuthorizationPolicy.Match] {
    pick([.exact("a"), .exact("b"), .prefix("c"), .suffix("b"), .presence], 1...2)
  }

  mutating func authorizationPolicy(_ name: String) {
    var rules: [AuthorizationPolicy.Rule] = []
    for _ in 0..<roll(0...3) {
      var from: [AuthorizationPolicy.Source] = []
      for _ in 0..<roll(0...2) {
        from.append(
          AuthorizationPolicy.Source(
            principals: chance(40) ? principals() : [], notPrincipals: chance(20) ? principals() : [],
            namespaces: chance(30) ? namespaceMatches() : [],
            notNamespaces: chance(20) ? namespaceMatches() : [],
            ipBlocks: blocks(15), notIpBlocks: blocks(15), remoteIpBlocks: blocks(5),
            notRequestPrincipals: chance(5) ? [.presence] : []))
      }
      var when: [AuthorizationPolicy.Condition] = []
      if chance(15) { when.append(condition()) }
      var to: [AuthorizationPolicy.Operation] = []
      for _ in 0..<roll(0...2) {
        to.append(
          AuthorizationPolicy.Operation(
            ports: chance(50) ? pick(Self.ports, 1...3) : [],
            notPorts: chance(20) ? pick(Self.ports, 1...2) : [],
            request: chance(65) ? requestMatch() : RequestMatch()))
      }
      rules.append(AuthorizationPolicy.Rule(from: from, to: to, when: when, place: place(roll(1...99))))
    }
    world.authorization(
      name, chance(10) ? .audit : chance(55) ? .allow : .deny, selects: chance(50) ? selector() : nil, rules: rules)
  }

  mutating func requestMatch() -> RequestMatch {
    RequestMatch(
      methods: chance(50) ? pick([.exact("GET"), .exact("POST"), .presence], 1...2) : [],
      notMethods: chance(15) ? [.exact("POST")] : [],
      paths: chance(50) ? pick([.exact("/"), .prefix("/api"), .suffix(".js")], 1...2) : [],
      notPaths: chance(15) ? [.prefix("/api/x")] : [],
      hosts: chance(25) ? pick([.exact("h.example"), .suffix(".example"), .presence], 1...2) : [],
      notHosts: chance(10) ? [.exact("H.example")] : [])
  }

  mutating func request() -> Request {
    Request(
      method: ["GET", "POST", "PUT"][roll(0...2)],
      path: ["/", "/api", "/api/x?y=.js", "/app.js?v", "/other"][roll(0...4)],
      host: ["h.example", "x.example", "H.EXAMPLE", ""][roll(0...3)],
      headers: chance(50) ? ["x-a": ["1", "2", "3"][roll(0...2)]] : [:])
  }
}
