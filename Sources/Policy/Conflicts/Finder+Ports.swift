/// Rules about requests, on ports where there are none, and ports that open others.
extension Finder {
  mutating func httpPorts() {
    for rule in universe.rules where asks(rule) && evaluator.decides(rule) {
      guard let number = rule.rule, let selected = subjects(rule), !selected.isEmpty else { continue }
      let named = askedPorts(rule, number)
      let serving =
        rule.direction == .ingress ? selected.map { index.endpoints[$0] } : peersServing(rule, number)
      if httpOnUDP(rule, named, serving) { continue }
      if opaque(rule, named, serving) { continue }
      unserved(rule, named, serving)
    }
  }

  /// The ports that a rule about requests names; an AuthorizationPolicy's are TCP's.
  private func askedPorts(_ rule: RuleReference, _ number: Int) -> [PortMatch] {
    switch rule.family {
    case .cilium:
      let written = evaluator.ciliumPolicies[rule.policy].rules(rule.direction, denying: rule.denying)[number]
      return rule.ports.map { written.ports[$0].ports } ?? []
    case .authorization:
      let written = evaluator.authorizationPolicies[rule.policy].rules[number]
      let conditions = written.when.flatMap { condition -> [UInt16] in
        if case .operation(let operation) = condition { operation.ports } else { [] }
      }
      let ports = written.to.filter { !$0.request.isAny || !conditions.isEmpty }.flatMap(\.ports) + conditions
      return ports.map { PortMatch(protocol: .tcp, number: .range($0...$0)) }
    case .admin, .baseline, .network: return []
    }
  }

  private mutating func peersServing(_ rule: RuleReference, _ number: Int) -> [Endpoint] {
    let policy = evaluator.ciliumPolicies[rule.policy]
    return (policy.rules(rule.direction, denying: rule.denying)[number].peers ?? []).flatMap {
      peer -> [Endpoint] in
      guard case .selector(let selector) = peer.peer else { return [] }
      return index.select(selector, from: policy.name.namespace).map { index.endpoints[$0] }
    }
  }

  // MARK: - http-on-udp

  private mutating func httpOnUDP(_ rule: RuleReference, _ named: [PortMatch], _ serving: [Endpoint]) -> Bool
  {
    let declared = serving.flatMap { $0.ports }
    for port in named {
      let isOther = port.protocol != nil && port.protocol != .tcp
      let here = declared.filter { port.covers($0) }
      let isUDPAlone = !here.isEmpty && !here.contains { $0.protocol == .tcp }
      guard isOther || isUDPAlone else { continue }
      let wanted = isOther ? port.protocol ?? .udp : here[0].protocol
      let to = serving.first { endpoint in endpoint.ports.contains { port.covers($0) } } ?? serving.first
      let number: UInt16 =
        if case .range(let range) = port.number { range.lowerBound } else { here.first?.port ?? 80 }
      guard let to, let flow = flow(to: to, from: rule, wanted, number) else { continue }
      drafts.append(
        Draft(
          .httpOnUDP, [policy(rule)],
          "\(text(rule)) is about HTTP requests on \(number)/\(wanted.rawValue), where no requests are "
            + "seen: it matches nothing",
          .noEffect(flow, nil, of: rule),
          fix: "name the port of TCP that speaks HTTP, or take the requests away"))
      explained.insert(rule)
      return true
    }
    return false
  }

  /// Somebody else's flow to a destination, or from a subject of an egress rule.
  private mutating func flow(
    to endpoint: Endpoint, from rule: RuleReference, _ protocol: TransportProtocol, _ port: UInt16
  ) -> Flow? {
    let to = Party.endpoint(endpoint.name)
    if let cell = effects.all[rule]?.matched {
      let seen = universe.flow(cell)
      if seen.to == to { return Flow(from: seen.from, to: to, protocol: `protocol`, port: port) }
    }
    if rule.direction == .egress {
      let from = (subjects(rule) ?? []).map { Party.endpoint(index.endpoints[$0].name) }.first { $0 != to }
      return from.map { Flow(from: $0, to: to, protocol: `protocol`, port: port) }
    }
    return universe.parties.first { $0 != to }.map {
      Flow(from: $0, to: to, protocol: `protocol`, port: port)
    }
  }

  // MARK: - http-on-opaque-port

  private mutating func opaque(_ rule: RuleReference, _ named: [PortMatch], _ serving: [Endpoint]) -> Bool {
    for endpoint in serving {
      let plain = set.plainTCPPorts(of: endpoint)
      if plain.isEmpty { continue }
      let isDeny =
        rule.family == .authorization && evaluator.authorizationPolicies[rule.policy].action == .deny
      for port in plain.sorted() {
        let isNamed = named.contains { $0.covers(port, of: endpoint) }
        // A rule for all ports is meant for those that speak HTTP; but a DENY takes the others with it.
        guard isNamed || (named.isEmpty && isDeny) else { continue }
        guard let flow = flow(to: endpoint, from: rule, .tcp, port) else { continue }
        let claim: Draft.Claim
        let says: String
        switch rule.family {
        case .authorization where isDeny:
          claim = .effect(changed(rule, flow) ?? flow, nil, of: rule)
          says = "what it asks of requests is left out there, so it refuses every connection"
        case .authorization:
          claim = .noEffect(flow, nil, of: rule)
          says = "an ALLOW about requests matches nothing there"
        default:
          claim = .verdict(flow, nil, evaluator.verdict(flow, nil))
          says = "the proxy cannot read requests there"
        }
        if isDeny, changed(rule, flow) == nil { continue }
        let service = set.services.values.filter { set.stands($0, for: endpoint, port) }.map(\.name).min()
        drafts.append(
          Draft(
            .httpOnOpaquePort, [policy(rule)],
            "\(text(rule)) is about HTTP requests, and Service \(service?.description ?? "?") says that "
              + "\(port)/TCP of "
              + "\(endpoint.name) is no HTTP: \(says)",
            claim,
            fix: isDeny && named.isEmpty
              ? "name the ports that speak HTTP in the rule"
              : "let the Service say `appProtocol: http` if it is HTTP, else make it a rule about ports"))
        if isNamed { explained.insert(rule) }
        return true
      }
    }
    return false
  }

  /// A flow to the same port that a rule decides, from anybody.
  private mutating func changed(_ rule: RuleReference, _ flow: Flow) -> Flow? {
    for from in [flow.from] + universe.parties where from != flow.to {
      var other = flow
      other.from = from
      let without = witnesses.evaluator(other, without: rule)
      if witnesses.verdict(other, nil) != without.verdict(other, nil) { return other }
    }
    return nil
  }

  // MARK: - http-on-unserved-port

  /// Containers need not declare their ports, so nothing is said where one of the workloads declares none.
  private mutating func unserved(_ rule: RuleReference, _ named: [PortMatch], _ serving: [Endpoint]) {
    guard !serving.isEmpty, serving.allSatisfy({ !$0.ports.isEmpty }) else { return }
    let targets = Set(
      serving.flatMap { endpoint in set.services.values.flatMap { set.targets($0, of: endpoint) } })
    for port in named {
      guard case .range(let range) = port.number, range.count < 1024 else { continue }
      let found = serving.count { $0.ports.contains { port.covers($0) } }
      if found > 0 || targets.contains(where: range.contains) { continue }
      let text = range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
      let who = rule.direction == .ingress ? "workloads that it selects" : "peers that it names"
      drafts.append(
        Draft(
          .httpOnUnservedPort, [policy(rule)],
          "\(self.text(rule)) is about HTTP requests on port \(text), which none of the \(who) serves",
          .nobody(sought: "port \(text)/TCP", among: serving.count, found: found),
          fix: "name the container's port, not the Service's; or declare the port in the workload"))
      return
    }
  }

  // MARK: - tunnel-port

  /// The port of the mesh's tunnel (HBONE): what is inside it has ports of its own, which L4 rules do not
  /// see.
  private static let tunnel: UInt16 = 15008

  mutating func tunnels() {
    for rule in universe.rules where rule.direction == .ingress && !rule.denying {
      guard namesTunnel(rule), let effect = effects.all[rule], let cell = effect.matched else { continue }
      let flow = universe.flow(cell)
      guard case .endpoint(let name) = flow.to, let endpoint = set.endpoints[name] else { continue }
      // Where the mesh itself restricts who gets in, that is where it is done.
      if evaluator.authorizationPolicies.contains(where: {
        $0.decides && $0.action == .allow && $0.selects(endpoint)
      }) {
        continue
      }
      var tunnel = flow
      (tunnel.protocol, tunnel.port) = (.tcp, Self.tunnel)
      guard evaluator.verdict(tunnel, nil) == .allowed else { continue }
      let declared = endpoint.ports.filter { $0.protocol == .tcp && $0.port != Self.tunnel }.map(\.port)
      let closed = (declared + [1]).first { port in
        var other = tunnel
        other.port = port
        return evaluator.ingress(other).verdict == .denied
      }
      guard let closed else { continue }
      drafts.append(
        Draft(
          .tunnelPort, [policy(rule)],
          "\(text(rule)) allows \(Self.tunnel)/TCP, the mesh's tunnel: through it every port of \(name) is "
            + "open, also "
            + "those that policies close (\(closed)/TCP)",
          .effect(tunnel, nil, of: rule),
          fix: "restrict what comes out of the tunnel with an AuthorizationPolicy of action ALLOW for \(name)"
        ))
    }
  }

  private func namesTunnel(_ rule: RuleReference) -> Bool {
    guard let number = rule.rule else { return false }
    let ports: [PortMatch]
    switch rule.family {
    case .network: ports = evaluator.networkPolicies[rule.policy].ingress[number].ports
    case .cilium: ports = evaluator.ciliumPolicies[rule.policy].ingress[number].ports.flatMap(\.ports)
    case .admin, .baseline:
      let policies = rule.family == .admin ? evaluator.adminPolicies : evaluator.baselinePolicies
      let written = policies[rule.policy].ingress[number]
      ports = written.action == .accept ? written.ports ?? [] : []
    case .authorization: ports = []
    }
    return ports.contains { port in
      if case .range(let range) = port.number {
        range.contains(Self.tunnel) && range.count < 1024
      } else {
        false
      }
    }
  }

  // MARK: - egress-forgets-dns

  /// Told for a policy that isolates somebody's egress, allows something by name or label, and leaves no rule
  /// at all, matching or not, that would let a query out.
  mutating func dns() {
    var told: Set<RuleReference> = []
    for side in universe.sides where side.direction == .egress {
      let allows = side.items.filter { item in
        switch item.rule.family {
        case .network: true
        case .cilium: !item.rule.denying
        case .admin, .baseline: item.action == .accept
        case .authorization: false
        }
      }
      guard allows.contains(where: { isByName($0.rule) }), let member = side.members.first else { continue }
      let queries: [TransportProtocol] = [.udp, .tcp]
      if allows.contains(where: { item in queries.contains { mayCover(item, $0, 53) } }) { continue }
      let fallback = side.prepared.side.network?.fallback ?? side.prepared.side.cilium?.fallback
      guard let fallback, told.insert(fallback).inserted else { continue }
      let peer = universe.parties.indices.first { party in
        guard party != member, case .address = universe.parties[party] else { return false }
        let flow = Flow(from: universe.parties[member], to: universe.parties[party], protocol: .udp, port: 53)
        return evaluator.verdict(flow, nil) == .denied
      }
      guard let peer else { continue }
      drafts.append(
        Draft(
          .egressForgetsDNS, [policy(fallback)],
          "\(text(fallback)) isolates the egress of \(universe.parties[member]), and no rule allows it "
            + "53/UDP or 53/TCP "
            + "to anybody: names cannot be resolved",
          .verdict(
            Flow(from: universe.parties[member], to: universe.parties[peer], protocol: .udp, port: 53), nil,
            .denied),
          fix: "allow 53/UDP and 53/TCP to the cluster's DNS"))
    }
  }

  /// Whom a rule names by label is usually called by name.
  private func isByName(_ rule: RuleReference) -> Bool {
    guard let number = rule.rule else { return false }
    let peers: [Peer]
    switch rule.family {
    case .network: peers = evaluator.networkPolicies[rule.policy].egress[number].peers
    case .cilium: peers = (evaluator.ciliumPolicies[rule.policy].egress[number].peers ?? []).map(\.peer)
    case .admin, .baseline, .authorization: peers = []
    }
    return peers.contains { if case .selector = $0 { true } else { false } }
  }

  private func mayCover(_ item: Item, _ protocol: TransportProtocol, _ port: UInt16) -> Bool {
    guard let ports = item.ports else { return true }
    return ports.contains { entry in
      switch entry {
      case .range(let named, let range): named == `protocol` && range.contains(port)
      // Whoever serves decides what it stands for.
      case .named(let name, let named): named == `protocol` && name.hasPrefix("dns")
      }
    }
  }
}

extension PortMatch {
  fileprivate func covers(_ port: NamedPort) -> Bool {
    switch number {
    case .any: false
    case .range(let range): range.contains(port.port)
    case .named(let name): name == port.name
    }
  }

  fileprivate func covers(_ port: UInt16, of endpoint: Endpoint) -> Bool {
    switch number {
    case .any: false
    case .range(let range): range.contains(port)
    case .named(let name): endpoint.ports.contains { $0.name == name && $0.port == port }
    }
  }
}

extension PolicySet {
  fileprivate func targets(_ service: Service, of endpoint: Endpoint) -> [UInt16] {
    guard service.name.namespace == endpoint.name.namespace, let selector = service.selector,
      !selector.requirements.isEmpty, selector.matches(endpoint.labels)
    else { return [] }
    return service.ports.flatMap { port -> [UInt16] in
      switch port.target {
      case .any: [port.port]
      case .range(let range): Array(range)
      case .named(let name): endpoint.ports.filter { $0.name == name }.map(\.port)
      }
    }
  }

  fileprivate func stands(_ service: Service, for endpoint: Endpoint, _ port: UInt16) -> Bool {
    targets(service, of: endpoint).contains(port)
  }
}
