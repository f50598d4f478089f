/// One end of a flow: an endpoint by name, or an address that belongs to nobody weir knows.
public enum Party: Hashable, Sendable {
  case endpoint(Name)
  /// A `v1` Node: its own processes and its pods on the host's network.
  case node(String)
  case address(IPAddress)
}

/// A question: may `from` open a connection (or UDP exchange) to `port` of `to`?
public struct Flow: Hashable, Sendable {
  public var from: Party
  public var to: Party
  public var `protocol`: TransportProtocol
  public var port: UInt16
  /// The address an endpoint uses in this flow, by which ipBlocks judge it as a peer, be it one of its own or
  /// not (loopback). nil: any address it declares.
  public var fromAddress: IPAddress?
  public var toAddress: IPAddress?

  public init(
    from: Party, to: Party, protocol: TransportProtocol, port: UInt16
  ) {
    self.from = from
    self.to = to
    self.protocol = `protocol`
    self.port = port
  }
}

public enum Verdict: String, Sendable, Codable {
  case allowed
  case denied
  case proxied
}

/// Where in the order of the policies a ruling was made.
public enum Tier: String, Sendable, Codable {
  case admin
  case namespaced
  case baseline
  /// Nobody had an opinion.
  case `default`
}

/// What one direction (or the proxy) says, and who said it.
public struct Ruling: Sendable, Hashable {
  public var verdict: Verdict
  public var reason: Reason
  /// The deciding rule; for `noRule` the first policy that selects the workload. nil when no policy speaks.
  public var rule: RuleName?
  public var place: Place?
  public var tier: Tier

  public init(
    verdict: Verdict, reason: Reason, rule: RuleName? = nil, place: Place? = nil, tier: Tier? = nil
  ) {
    self.tier = tier ?? (rule == nil ? .default : .namespaced)
    self.verdict = verdict
    self.reason = reason
    self.rule = rule
    self.place = place
  }

  /// Also where only DENY policies select the workload and none of them matches: nobody had to allow it.
  static let notSelected = Ruling(verdict: .allowed, reason: .notSelected)
  static let toItself = Ruling(verdict: .allowed, reason: .self)
}

/// The naive evaluator: loops over the policies in the order of the documentation and nothing else. The
/// oracle for the compiled tables, and what `explain` and `matrix` answer from.
public struct Evaluator: Sendable {
  public let set: PolicySet
  /// By name: the first one is named where several say the same.
  let networkPolicies: [NetworkPolicy]
  let authorizationPolicies: [AuthorizationPolicy]
  /// The Admin tier in its order: by priority; equal ones by name, then by kind.
  let adminPolicies: [AdminPolicy]
  /// The Baseline tier in the same order.
  let baselinePolicies: [AdminPolicy]
  /// By name, then by kind and spec.
  let ciliumPolicies: [CiliumPolicy]

  public init(_ set: PolicySet) {
    self.set = set
    networkPolicies = set.networkPolicies.sorted { $0.name < $1.name }
    authorizationPolicies = set.authorizationPolicies.sorted { $0.name < $1.name }
    let admin = set.adminPolicies.sorted {
      ($0.priority, $0.name, $0.kind.rawValue) < ($1.priority, $1.name, $1.kind.rawValue)
    }
    adminPolicies = admin.filter { $0.tier == .admin }
    baselinePolicies = admin.filter { $0.tier == .baseline }
    ciliumPolicies = set.ciliumPolicies.sorted {
      ($0.name, $0.kind.rawValue, $0.prefix) < ($1.name, $1.kind.rawValue, $1.prefix)
    }
  }

  /// Who an address belongs to: the first endpoint by name that declares it. A Pod on the host's network does
  /// not own the node's address.
  public func party(at address: IPAddress) -> Party {
    let owners = set.endpoints.values.filter { !$0.hostNetwork && $0.addresses.contains(address) }
    return owners.map(\.name).min().map { .endpoint($0) } ?? .address(address)
  }

  /// The proxy that judges the requests to a destination; nil where none takes it.
  public func proxy(for name: Name) -> Proxy? {
    set.endpoints[name].flatMap { set.proxy(for: $0) }
  }

  /// The source's egress policy. Not selected where the source is no endpoint.
  public func egress(_ flow: Flow) -> Ruling {
    if let itself = itself(flow) { return itself }
    guard let subject = endpoint(flow.from) else { return .notSelected }
    return egress(
      selecting(subject, .egress),
      Question(
        direction: .egress, subject: subject, peer: peer(flow.to, at: flow.toAddress),
        protocol: flow.protocol, port: flow.port))
  }

  /// The destination's ingress policy, L4 part; proxied where requests decide.
  public func ingress(_ flow: Flow) -> Ruling {
    if let itself = itself(flow) { return itself }
    guard let question = ingressQuestion(flow) else { return .notSelected }
    return ingress(selecting(question.subject, .ingress), question)
  }

  /// What the L7 rules say of one request of a proxied flow.
  public func l7(_ flow: Flow, _ request: Request) -> Ruling {
    guard let question = ingressQuestion(flow) else { return .notSelected }
    return Self.judge(request, selecting(question.subject, .ingress).authorization, question)
  }

  /// The policies that select an endpoint in one direction, by name.
  struct Selecting {
    var network: [NetworkPolicy]
    var authorization: [AuthorizationPolicy]
  }

  func selecting(_ subject: Endpoint, _ direction: Direction) -> Selecting {
    Selecting(
      network: networkPolicies.filter { $0.isolates(direction) && $0.selects(subject) },
      // AuthorizationPolicy speaks of what comes in only.
      authorization: direction == .ingress ? authorizationPolicies.filter { $0.selects(subject) } : [])
  }

  func egress(_ policies: Selecting, _ question: Question) -> Ruling {
    judge(policies.network, question) ?? .notSelected
  }

  /// Every family that has an opinion must allow.
  func ingress(_ policies: Selecting, _ question: Question) -> Ruling {
    let network = judge(policies.network, question)
    if let network, network.verdict == .denied { return network }
    let authorization = Self.judge(policies.authorization, question)
    if let authorization, authorization.verdict != .allowed { return authorization }
    return network ?? authorization ?? .notSelected
  }

  /// A question to one side's policies.
  struct Question {
    var direction: Direction
    /// The end whose policies are asked.
    var subject: Endpoint
    var peer: OtherEnd
    var `protocol`: TransportProtocol
    var port: UInt16
  }

  /// The other end, as rules see it.
  struct OtherEnd {
    /// nil: an address outside, and a Pod on the host's network, whose traffic is the node's.
    var endpoint: Endpoint?
    /// A node, and a Pod on its network.
    var node: Node?
    var addresses: [IPAddress]
  }

  func peer(_ party: Party, at address: IPAddress? = nil) -> OtherEnd {
    switch party {
    case .address(let outside): return OtherEnd(endpoint: nil, addresses: [outside])
    case .node(let name):
      let node = set.nodes[name]
      return OtherEnd(endpoint: nil, node: node, addresses: address.map { [$0] } ?? node?.addresses ?? [])
    case .endpoint(let name):
      guard let endpoint = set.endpoints[name] else {
        return OtherEnd(endpoint: nil, addresses: address.map { [$0] } ?? [])
      }
      return OtherEnd(
        endpoint: endpoint.hostNetwork ? nil : endpoint,
        addresses: address.map { [$0] } ?? endpoint.addresses)
    }
  }

  private func endpoint(_ party: Party) -> Endpoint? {
    guard case .endpoint(let name) = party else { return nil }
    return set.endpoints[name]
  }

  private func ingressQuestion(_ flow: Flow) -> Question? {
    guard let subject = endpoint(flow.to) else { return nil }
    return Question(
      direction: .ingress, subject: subject, peer: peer(flow.from, at: flow.fromAddress),
      protocol: flow.protocol, port: flow.port)
  }

  private func itself(_ flow: Flow) -> Ruling? {
    guard case .endpoint = flow.from, flow.from == flow.to else { return nil }
    return .toItself
  }
}
