/// Turns the policies that select a workload into items: one form for all families, with peers as atoms.
struct Lowering {
  /// The policies that select a workload, by position in the evaluator's lists, and what of the workload itself their
  /// rules depend on. Equal keys make equal subjects.
  struct Key: Hashable {
    struct Policies: Hashable {
      var admin: [Int] = []
      var network: [Int] = []
      var cilium: [Int] = []
      var baseline: [Int] = []
    }
    var egress = Policies()
    var ingress = Policies()
    var authorization: [Int] = []
    /// AUDIT and dry-run.
    var shadows: [Int] = []
    /// The ports that names in ingress rules stand for.
    var serving: [NamedPort] = []
    /// Where its requests cannot be read.
    var plain: [UInt16] = []
    /// `destination.ip` conditions: which of its addresses they see.
    var addresses: [IPAddress] = []
    var node: String?
    /// Of the proxy that takes it, where requests may decide.
    var proxy: UInt8?
  }

  let evaluator: Evaluator
  var atoms = Atoms()
  let apiServers: [IPAddress]

  init(_ evaluator: Evaluator) {
    self.evaluator = evaluator
    apiServers = evaluator.apiServer.sorted()
  }

  var set: PolicySet { evaluator.set }

  /// Which policies select each local, and how.
  func keys(of locals: [Local], proxies: [Name: UInt8]?) -> [Key] {
    var keys = [Key](repeating: Key(), count: locals.count)
    // By name, as the index wants them.
    var index = EndpointIndex(set, members: locals.map(\.endpoint))
    func each(_ positions: [Int], _ body: (inout Key) -> Void) {
      for position in positions { body(&keys[position]) }
    }
    for (number, policy) in evaluator.networkPolicies.enumerated() {
      each(index.select(policy.podSelector, in: policy.name.namespace)) { key in
        if policy.isolatesIngress { key.ingress.network.append(number) }
        if policy.isolatesEgress { key.egress.network.append(number) }
      }
    }
    for (number, policy) in evaluator.ciliumPolicies.enumerated() {
      guard case .endpoints(let selector) = policy.subject else { continue }
      each(index.select(selector, from: "")) { key in
        if policy.speaks(.ingress) { key.ingress.cilium.append(number) }
        if policy.speaks(.egress) { key.egress.cilium.append(number) }
      }
    }
    for (number, policy) in evaluator.adminPolicies.enumerated() {
      each(index.select(policy.subject, from: "")) { key in
        if !policy.ingress.isEmpty { key.ingress.admin.append(number) }
        if !policy.egress.isEmpty { key.egress.admin.append(number) }
      }
    }
    for (number, policy) in evaluator.baselinePolicies.enumerated() {
      each(index.select(policy.subject, from: "")) { key in
        if !policy.ingress.isEmpty { key.ingress.baseline.append(number) }
        if !policy.egress.isEmpty { key.egress.baseline.append(number) }
      }
    }
    for (number, policy) in evaluator.authorizationPolicies.enumerated() {
      let everywhere = policy.name.namespace == AuthorizationPolicy.rootNamespace
      for namespace in everywhere ? index.namespaces : [policy.name.namespace] {
        each(index.select(policy.selector, in: namespace)) { key in
          if policy.decides { key.authorization.append(number) } else { key.shadows.append(number) }
        }
      }
    }
    for position in keys.indices { complete(&keys[position], locals[position].endpoint, proxies) }
    return keys
  }

  /// What the chosen policies depend on beside their peers.
  private func complete(_ key: inout Key, _ endpoint: Endpoint, _ proxies: [Name: UInt8]?) {
    guard key != Key() else { return }
    key.serving = serving(key, endpoint)
    let network = !(key.ingress.network + key.egress.network).isEmpty
    if network || !(key.ingress.cilium + key.egress.cilium).isEmpty { key.node = endpoint.node }
    let rules = (key.authorization + key.shadows).flatMap { evaluator.authorizationPolicies[$0].rules }
    if rules.contains(where: { $0.when.contains { if case .destination = $0 { true } else { false } } }) {
      key.addresses = endpoint.addresses
    }
    if rules.contains(where: { $0.onPlainTCP(.allow) == nil }) { key.plain = set.plainTCPPorts(of: endpoint).sorted() }
    guard asksForRequests(key, rules) else { return }
    guard let proxies else { return key.proxy = 1 }
    key.proxy = set.proxy(for: endpoint).flatMap { proxies[$0.name] }
  }

  private func asksForRequests(_ key: Key, _ rules: [AuthorizationPolicy.Rule]) -> Bool {
    rules.contains { $0.asksForRequests }
      || key.ingress.cilium.contains { policy in
        evaluator.ciliumPolicies[policy].ingress.contains { $0.ports.contains { $0.requests != nil } }
      }
  }

  private func serving(_ key: Key, _ endpoint: Endpoint) -> [NamedPort] {
    guard !endpoint.ports.isEmpty else { return [] }
    var wanted: Set<String> = []
    func take(_ ports: [PortMatch]) {
      for case .named(let name) in ports.map(\.number) { wanted.insert(name) }
    }
    for policy in key.ingress.network { evaluator.networkPolicies[policy].ingress.forEach { take($0.ports) } }
    for policy in key.ingress.admin { evaluator.adminPolicies[policy].ingress.forEach { take($0.ports ?? []) } }
    for policy in key.ingress.baseline {
      evaluator.baselinePolicies[policy].ingress.forEach { take($0.ports ?? []) }
    }
    for policy in key.ingress.cilium.map({ evaluator.ciliumPolicies[$0] }) {
      (policy.ingress + policy.ingressDeny).forEach { $0.ports.forEach { take($0.ports) } }
    }
    return endpoint.ports.filter { wanted.contains($0.name) }
      .sorted { ($0.name, $0.port, $0.protocol.number) < ($1.name, $1.port, $1.protocol.number) }
  }

  mutating func subject(_ key: Key) -> Subject {
    let egress = side(.egress, key)
    let ingress = side(.ingress, key)
    return Subject(egress: egress, ingress: ingress) { item in
      // Of the names an item resolves on the peer.
      (item.ports ?? []).compactMap { entry in
        guard case .named(let name, let `protocol`) = entry else { return nil }
        return atoms.number(.named(name, `protocol`))
      }
    }
  }

  private mutating func side(_ direction: Direction, _ key: Key) -> Side {
    let policies = direction == .ingress ? key.ingress : key.egress
    var side = Side(direction)
    side.joined = set.joined
    side.admin = admin(policies.admin, .admin, direction, key)
    side.baseline = admin(policies.baseline, .baseline, direction, key)
    side.network = network(policies.network, direction, key)
    side.cilium = cilium(policies.cilium, direction, key)
    if direction == .ingress {
      side.authorization = authorization(key.authorization, key)
      side.shadows = shadows(key)
      side.proxy = key.proxy
    }
    if let node = key.node, side.network != nil || (side.cilium != nil && direction == .ingress) {
      side.ownNode = Condition([[Literal(atom: atoms.number(.node(node)))]])
    }
    return side
  }

  /// nil: every port of every protocol.
  func ports(_ ports: [PortMatch], _ direction: Direction, _ serving: [NamedPort]) -> [Item.Ports]? {
    guard !ports.isEmpty else { return nil }
    var found: [Item.Ports] = []
    for port in ports {
      for transport in TransportProtocol.allCases where port.speaks(of: transport) {
        switch port.number {
        case .any: found.append(.range(transport, 0...UInt16.max))
        case .range(let range): found.append(.range(transport, range))
        case .named(let name) where direction == .ingress:
          for own in serving where own.name == name && own.protocol == transport {
            found.append(.range(transport, own.port...own.port))
          }
        case .named(let name): found.append(.named(name, transport))
        }
      }
    }
    return found
  }
}
