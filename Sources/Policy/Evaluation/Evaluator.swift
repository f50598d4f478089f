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
  /// What stands behind the Service default/kubernetes: Cilium's entity `kube-apiserver`.
  let apiServer: Set<IPAddress>

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
    apiServer = set.apiServerAddresses
  }

  /// Who an address belongs to: the first endpoint by name that declares it, then the first node. A Pod on
  /// the host's network does not own the node's address.
  public func party(at address: IPAddress) -> Party { set.party(at: address) }

  /// The proxy that judges the requests to a destination; nil where none takes it.
  public func proxy(for name: Name) -> Proxy? {
    set.endpoints[name].flatMap { set.proxy(for: $0) }
  }

  /// The source's egress policy; proxied where requests decide. Not selected where the source is no endpoint.
  public func egress(_ flow: Flow) -> Ruling { ruling(.egress, flow) }

  /// The destination's ingress policy; proxied where requests decide.
  public func ingress(_ flow: Flow) -> Ruling { ruling(.ingress, flow) }

  /// What the L7 rules of both sides say of one request of a proxied flow: a refusal of either, egress first;
  /// else the destination's rule that allows, or the source's.
  public func l7(_ flow: Flow, _ request: Request) -> Ruling {
    let request = request.normalized
    let leaving = l7(.egress, flow, request)
    if leaving.verdict == .denied { return leaving }
    let entering = l7(.ingress, flow, request)
    return entering.verdict == .denied || entering.rule != nil ? entering : leaving
  }

  /// One side's rules about requests. Not selected where that side's verdict is not proxied.
  /// - Parameter request: normalised.
  func l7(_ direction: Direction, _ flow: Flow, _ request: Request) -> Ruling {
    guard itself(flow) == nil, let question = question(direction, flow) else { return .notSelected }
    return ruling(selecting(question.subject, direction), question, request)
  }

  private func ruling(_ direction: Direction, _ flow: Flow) -> Ruling {
    if let itself = itself(flow) { return itself }
    guard let question = question(direction, flow) else { return .notSelected }
    return ruling(selecting(question.subject, direction), question)
  }

  /// A question to one side's policies.
  struct Question {
    var direction: Direction
    /// The end whose policies are asked.
    var subject: Endpoint
    /// The subject's own in this flow.
    var addresses: [IPAddress]
    var peer: OtherEnd
    var `protocol`: TransportProtocol
    var port: UInt16

    /// The other end is the node on which the subject runs.
    var isOwnNode: Bool { subject.node != nil && peer.node?.name == subject.node }
  }

  /// The other end, as rules see it.
  struct OtherEnd {
    /// nil: an address outside, a node, and a Pod on the host's network, whose traffic is the node's.
    var endpoint: Endpoint?
    /// A node, and a Pod on its network.
    var node: Node?
    var addresses: [IPAddress]
    /// To an AuthorizationPolicy. Only an endpoint has one.
    var identity = AuthorizationPeer.outside
  }

  func peer(_ party: Party, at address: IPAddress? = nil) -> OtherEnd {
    switch party {
    case .address(let outside): return OtherEnd(addresses: [outside])
    case .node(let name):
      let node = set.nodes[name]
      return OtherEnd(node: node, addresses: address.map { [$0] } ?? node?.addresses ?? [])
    case .endpoint(let name):
      guard let endpoint = set.endpoints[name] else { return OtherEnd(addresses: address.map { [$0] } ?? []) }
      let addresses = address.map { [$0] } ?? endpoint.addresses
      if endpoint.hostNetwork {
        return OtherEnd(node: endpoint.node.flatMap { set.nodes[$0] }, addresses: addresses)
      }
      return OtherEnd(endpoint: endpoint, addresses: addresses, identity: AuthorizationPeer(endpoint))
    }
  }

  /// Whose policies are asked; nil for whoever has none. A node is an endpoint on the host's network here: no
  /// policy selects it but those for nodes.
  func subject(_ party: Party) -> Endpoint? {
    switch party {
    case .address: nil
    case .endpoint(let name): set.endpoints[name]
    case .node(let name):
      set.nodes[name].map { node in
        Endpoint(
          name: Name("", node.name), labels: node.labels, addresses: node.addresses, serviceAccount: "",
          ports: [], cgroup: nil, hostNetwork: true, node: node.name, place: node.place)
      }
    }
  }

  func question(_ direction: Direction, _ flow: Flow) -> Question? {
    let (own, other) = direction == .egress ? (flow.from, flow.to) : (flow.to, flow.from)
    let (ownAddress, otherAddress) =
      direction == .egress ? (flow.fromAddress, flow.toAddress) : (flow.toAddress, flow.fromAddress)
    guard let subject = subject(own) else { return nil }
    return Question(
      direction: direction, subject: subject, addresses: ownAddress.map { [$0] } ?? subject.addresses,
      peer: peer(other, at: otherAddress), protocol: flow.protocol, port: flow.port)
  }

  func itself(_ flow: Flow) -> Ruling? {
    if case .address = flow.from { return nil }
    return flow.from == flow.to ? .toItself : nil
  }
}
