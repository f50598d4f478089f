/// A workload of the set whose cgroup is on this node.
struct Local {
  var endpoint: Endpoint
  /// In the index.
  var position: Int
  var cgroup: UInt64
}

/// The workloads of this node as subjects: those that the same policies select in the same way are one.
struct Subjects {
  /// By number; 0 is the subject that nothing selects.
  private(set) var all: [Subject] = [Subject()]
  /// As many as the locals given, in their order.
  private(set) var ofLocal: [Int] = []
  /// What the rules of these subjects ask of peers. Policies that select nobody here ask nothing.
  private(set) var atoms = Atoms()

  private let networkPolicies: [NetworkPolicy]
  private let authorizationPolicies: [AuthorizationPolicy]

  private struct Key: Hashable {
    var ingress: [Int] = []
    var egress: [Int] = []
    var authorization: [Int] = []
    /// The ports that names in ingress rules stand for.
    var serving: [NamedPort] = []
    var proxy: UInt8?
  }

  /// - Parameter evaluator: for its policies, sorted by name.
  init(
    _ locals: [Local], of evaluator: Evaluator, _ index: EndpointIndex, proxies: [Name: UInt8]
  ) {
    networkPolicies = evaluator.networkPolicies
    authorizationPolicies = evaluator.authorizationPolicies
    var keys = Self.select(locals, evaluator, index)
    var known: [Key: Int] = [Key(): 0]
    for position in locals.indices {
      let endpoint = locals[position].endpoint
      keys[position].serving = serving(keys[position].ingress, endpoint)
      if asksForRequests(keys[position].authorization) {
        keys[position].proxy = evaluator.set.proxy(for: endpoint).flatMap { proxies[$0.name] }
      }
      let number = known[keys[position]] ?? all.count
      if number == all.count {
        known[keys[position]] = number
        all.append(prepare(keys[position]))
      }
      ofLocal.append(number)
    }
  }

  /// Which policies select each local.
  private static func select(_ locals: [Local], _ evaluator: Evaluator, _ index: EndpointIndex) -> [Key] {
    var localAt: [Int: Int] = [:]
    for (number, local) in locals.enumerated() { localAt[local.position] = number }
    var keys = [Key](repeating: Key(), count: locals.count)
    for (number, policy) in evaluator.networkPolicies.enumerated() {
      for position in index.select(policy.podSelector, in: policy.name.namespace) {
        guard let local = localAt[position] else { continue }
        if policy.isolatesIngress { keys[local].ingress.append(number) }
        if policy.isolatesEgress { keys[local].egress.append(number) }
      }
    }
    for (number, policy) in evaluator.authorizationPolicies.enumerated() {
      let everywhere = policy.name.namespace == AuthorizationPolicy.rootNamespace
      for namespace in everywhere ? index.namespaces : [policy.name.namespace] {
        for position in index.select(policy.selector, in: namespace) {
          if let local = localAt[position] { keys[local].authorization.append(number) }
        }
      }
    }
    return keys
  }

  private func serving(_ policies: [Int], _ endpoint: Endpoint) -> [NamedPort] {
    var wanted: Set<NetworkPolicy.Port> = []
    for policy in policies {
      for rule in networkPolicies[policy].ingress { wanted.formUnion(rule.ports) }
    }
    return endpoint.ports.filter { port in
      wanted.contains(NetworkPolicy.Port(protocol: port.protocol, number: .named(port.name)))
    }.sorted { ($0.name, $0.port) < ($1.name, $1.port) }
  }

  private func asksForRequests(_ policies: [Int]) -> Bool {
    policies.contains { policy in
      authorizationPolicies[policy].rules.contains { $0.to.contains { !$0.request.isAny } }
    }
  }

  private mutating func prepare(_ key: Key) -> Subject {
    var subject = Subject()
    subject.network[.ingress] = network(key.ingress, .ingress, key.serving)
    subject.network[.egress] = network(key.egress, .egress, [])
    subject.authorization = authorization(key.authorization, key.proxy)
    return subject
  }

  private mutating func network(_ policies: [Int], _ direction: Direction, _ serving: [NamedPort])
    -> Subject.Network?
  {
    guard let first = policies.first else { return nil }
    var network = Subject.Network(
      fallback: RuleReference(kind: .network, policy: first, direction: direction))
    for number in policies {
      let policy = networkPolicies[number]
      for (index, rule) in policy.rules(direction).enumerated() {
        let ports = ports(rule.ports, direction, serving, &network.names)
        var reference = RuleReference(
          kind: .network, policy: number, direction: direction, rule: index)
        if rule.peers.isEmpty {
          network.items.append(Subject.Item(atom: nil, ports: ports, rule: reference))
        }
        for (position, peer) in rule.peers.enumerated() {
          reference.peer = position
          network.items.append(
            Subject.Item(atom: atoms.number(peer, of: policy), ports: ports, rule: reference))
        }
      }
    }
    return network
  }

  /// - Parameter names: grows by the atoms of names that the peer must resolve.
  private mutating func ports(
    _ ports: [NetworkPolicy.Port], _ direction: Direction, _ serving: [NamedPort], _ names: inout Set<Int>
  ) -> [Subject.ItemPort]? {
    guard !ports.isEmpty else { return nil }
    var found: [Subject.ItemPort] = []
    for port in ports {
      for transport in TransportProtocol.allCases where port.speaks(of: transport) {
        switch port.number {
        case .any: found.append(.range(transport, 0...UInt16.max))
        case .range(let range): found.append(.range(transport, range))
        case .named(let name) where direction == .ingress:
          for own in serving where own.name == name && own.protocol == transport {
            found.append(.range(transport, own.port...own.port))
          }
        case .named(let name):
          names.insert(atoms.number(.named(name, transport)))
          found.append(.named(name, transport))
        }
      }
    }
    return found
  }

  private mutating func authorization(_ policies: [Int], _ proxy: UInt8?) -> Subject.Authorization? {
    guard !policies.isEmpty else { return nil }
    var authorization = Subject.Authorization(proxy: proxy)
    for number in policies {
      let policy = authorizationPolicies[number]
      var reference = RuleReference(kind: .authorization, policy: number, direction: .ingress)
      if policy.action == .allow, authorization.fallback == nil { authorization.fallback = reference }
      for (index, rule) in policy.rules.enumerated() {
        reference.rule = index
        let item = Subject.AuthorizationItem(
          sources: rule.from.map { atoms.number(.source($0)) }, operations: rule.to, rule: reference)
        switch policy.action {
        case .allow: authorization.allows.append(item)
        case .deny: authorization.denies.append(item)
        case .audit: break
        }
      }
    }
    return authorization
  }
}
