/// Each family's rules as items, in the order in which they are named.
extension Lowering {
  mutating func admin(_ policies: [Int], _ family: RuleReference.Family, _ direction: Direction, _ key: Key) -> [Item] {
    var items: [Item] = []
    for number in policies {
      let policy = family == .admin ? evaluator.adminPolicies[number] : evaluator.baselinePolicies[number]
      for (index, rule) in policy.rules(direction).enumerated() {
        let ports = rule.ports.map { self.ports($0, direction, key.serving) ?? [] }
        for (position, peer) in rule.peers.enumerated() {
          items.append(
            Item(
              peers: condition(peer, from: "", key), ports: ports, action: rule.action,
              rule: RuleReference(
                family: family, policy: number, direction: direction, rule: index,
                peer: rule.peerIndices[position])))
        }
      }
    }
    return items
  }

  mutating func network(_ policies: [Int], _ direction: Direction, _ key: Key) -> Side.Network? {
    guard let first = policies.first else { return nil }
    var network = Side.Network(
      fallback: RuleReference(family: .network, policy: first, direction: direction))
    for number in policies {
      let policy = evaluator.networkPolicies[number]
      for (index, rule) in policy.rules(direction).enumerated() {
        let ports = ports(rule.ports, direction, key.serving)
        var reference = RuleReference(family: .network, policy: number, direction: direction, rule: index)
        if rule.peers.isEmpty { network.items.append(Item(peers: .everybody, ports: ports, rule: reference)) }
        for (position, peer) in rule.peers.enumerated() {
          reference.peer = position
          network.items.append(
            Item(peers: condition(peer, from: policy.name.namespace, key), ports: ports, rule: reference))
        }
      }
    }
    return network
  }

  mutating func cilium(_ policies: [Int], _ direction: Direction, _ key: Key) -> Side.Cilium? {
    guard !policies.isEmpty else { return nil }
    var cilium = Side.Cilium()
    for number in policies {
      let policy = evaluator.ciliumPolicies[number]
      if policy.isolates(direction), cilium.fallback == nil {
        cilium.fallback = RuleReference(family: .cilium, policy: number, direction: direction)
      }
      cilium.denies += self.cilium(policy, number, direction, denying: true, key)
      cilium.allows += self.cilium(policy, number, direction, denying: false, key)
    }
    return cilium
  }

  private mutating func cilium(
    _ policy: CiliumPolicy, _ number: Int, _ direction: Direction, denying: Bool, _ key: Key
  ) -> [Item] {
    var items: [Item] = []
    for (index, rule) in policy.rules(direction, denying: denying).enumerated() {
      // `{}` isolates and matches nothing.
      if rule.peers == nil, rule.ports.isEmpty { continue }
      let peers: [(peer: Int?, condition: Condition)] =
        rule.peers.map { peers in
          peers.enumerated().map { ($0, condition($1.peer, from: policy.name.namespace, key)) }
        } ?? [(nil, .everybody)]
      let entries = rule.ports.isEmpty ? [nil] : rule.ports.indices.map { Optional($0) }
      for (peer, condition) in peers {
        for entry in entries {
          let ports = entry.map { rule.ports[$0] }
          // Rules about requests are named by their ports, whoever the peer is.
          let named = ports?.requests == nil ? peer : nil
          items.append(
            Item(
              peers: condition, ports: ports.flatMap { self.ports($0, direction, key.serving) },
              requests: ports?.requests,
              rule: RuleReference(
                family: .cilium, policy: number, direction: direction, denying: denying, rule: index, peer: named,
                ports: entry)))
        }
      }
    }
    return items
  }

  /// Requests are made over TCP.
  private func ports(_ entry: CiliumPolicy.Ports, _ direction: Direction, _ serving: [NamedPort]) -> [Item.Ports]? {
    let ports = ports(entry.ports, direction, serving)
    guard entry.requests != nil else { return ports }
    return (ports ?? [.range(.tcp, 0...UInt16.max)]).filter { entry in
      switch entry {
      case .range(let transport, _), .named(_, let transport): transport == .tcp
      }
    }
  }

  private mutating func condition(_ peer: Peer, from namespace: String, _ key: Key) -> Condition {
    atoms.condition(peer, from: namespace, node: key.node, apiServers: apiServers)
  }
}

// MARK: - AuthorizationPolicy

extension Lowering {
  mutating func authorization(_ policies: [Int], _ key: Key) -> Side.Authorization? {
    guard !policies.isEmpty else { return nil }
    var authorization = Side.Authorization()
    for number in policies {
      let policy = evaluator.authorizationPolicies[number]
      var reference = RuleReference(family: .authorization, policy: number, direction: .ingress)
      if policy.action == .allow, authorization.fallback == nil { authorization.fallback = reference }
      for (index, rule) in policy.rules.enumerated() {
        reference.rule = index
        switch policy.action {
        case .allow: authorization.allows += items(rule, reference, key, plain: false)
        case .deny:
          authorization.denies += items(rule, reference, key, plain: false)
          if !key.plain.isEmpty, asksOnly(rule) {
            authorization.denies += items(rule, reference, key, plain: true)
          }
        case .audit: break
        }
      }
    }
    return authorization
  }

  mutating func shadows(_ key: Key) -> [Side.Shadow] {
    key.shadows.map { number in
      let policy = evaluator.authorizationPolicies[number]
      var reference = RuleReference(family: .authorization, policy: number, direction: .ingress)
      var shadow = Side.Shadow(action: policy.action, items: [], rule: reference)
      for (index, rule) in policy.rules.enumerated() {
        reference.rule = index
        shadow.items += items(rule, reference, key, plain: false)
        if policy.action != .allow, !key.plain.isEmpty, asksOnly(rule) {
          shadow.items += items(rule, reference, key, plain: true)
        }
      }
      return shadow
    }
  }

  /// At most one item: none where the rule can never match. One that asks about requests does not match on the ports
  /// where they cannot be seen.
  /// - Parameter plain: only on those ports, and without what it asks of requests: so a DENY rule is taken there.
  private mutating func items(
    _ written: AuthorizationPolicy.Rule, _ reference: RuleReference, _ key: Key, plain: Bool
  ) -> [Item] {
    let allowing = evaluator.authorizationPolicies[reference.policy].action == .allow
    guard let rule = plain ? written.onPlainTCP(.deny) : written else { return [] }
    var peers: [[Literal]] = rule.from.isEmpty ? [[]] : []
    for source in rule.from where source.requestPrincipals.isEmpty { peers += atoms.condition(source).alternatives }
    var operations = rule.to.isEmpty ? [Item.Operation()] : rule.to
    for condition in rule.when {
      switch condition {
      case .source(let source):
        guard source.requestPrincipals.isEmpty else { return [] }
        let more = atoms.condition(source).alternatives
        peers = peers.flatMap { one in more.map { one + $0 } }
      case .operation(let other): operations = operations.compactMap { $0.and(other) }
      case .destination(let blocks, let notBlocks):
        // One answer for all of the workload's addresses: the one that allows less.
        let holding = key.addresses.filter { someAddress(of: [$0], isIn: [blocks], andNotIn: [notBlocks]) }
        let holds = key.addresses.isEmpty
          ? blocks.isEmpty : allowing ? holding.count == key.addresses.count : !holding.isEmpty
        guard holds else { return [] }
      case .token(let values, _): guard values.isEmpty else { return [] }
      }
    }
    if plain {
      operations = operations.compactMap { $0.and(Item.Operation(ports: key.plain)) }
    } else if asksOnly(written) {
      for index in operations.indices { operations[index].notPorts += key.plain }
    }
    if peers.isEmpty || operations.isEmpty { return [] }
    let everything = operations.contains(Item.Operation())
    return [Item(peers: Condition(peers), operations: everything ? nil : operations, rule: reference)]
  }

  /// Something of the rule is known only where requests are seen.
  private func asksOnly(_ rule: AuthorizationPolicy.Rule) -> Bool { rule.onPlainTCP(.allow) == nil }
}

extension AuthorizationPolicy.Rule {
  /// Something is asked of requests that a proxy could answer.
  var asksForRequests: Bool {
    to.contains { !$0.request.isAny }
      || when.contains { if case .operation(let operation) = $0 { !operation.request.isAny } else { false } }
  }
}

extension AuthorizationPolicy.Operation {
  /// Both must match; nil where they never do.
  func and(_ other: Self) -> Self? {
    var both = self
    both.notPorts += other.notPorts
    both.request.headers += other.request.headers
    if !other.ports.isEmpty {
      both.ports = ports.isEmpty ? other.ports : ports.filter(other.ports.contains)
      if both.ports.isEmpty { return nil }
    }
    return both
  }
}

extension CiliumPolicy {
  /// A policy without a rule in a direction says nothing of it.
  func speaks(_ direction: Direction) -> Bool {
    isolates(direction) || !rules(direction, denying: false).isEmpty || !rules(direction, denying: true).isEmpty
  }
}
