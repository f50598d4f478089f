/// Where a decision comes from, by position in the sorted policies: cheap to compare, named only when it is
/// written.
struct RuleReference: Hashable {
  enum Family: Hashable { case admin, network, cilium, authorization, baseline }
  var family: Family
  var policy: Int
  var direction: Direction
  /// Of Cilium's ingressDeny and egressDeny.
  var denying = false
  /// nil: the policy's default deny.
  var rule: Int?
  var peer: Int?
  /// Of Cilium's toPorts and icmps, put together.
  var ports: Int?
}

/// One rule for one peer, in the form in which the tables are made: who, which ports, which requests.
struct Item {
  enum Ports: Hashable {
    case range(TransportProtocol, ClosedRange<UInt16>)
    /// Resolved on the peer (egress).
    case named(String, TransportProtocol)
  }

  /// What of an AuthorizationPolicy rule is left when the peer is known: one of these must match.
  typealias Operation = AuthorizationPolicy.Operation

  var peers: Condition
  /// nil: every port of every protocol.
  var ports: [Ports]?
  /// Cilium: what the requests must be, OR; nil: not about requests. In an AuthorizationPolicy `operations` says it.
  var requests: [RequestMatch]?
  /// AuthorizationPolicy, OR; nil: every operation.
  var operations: [Operation]?
  /// Of the Admin and Baseline tiers.
  var action = AdminPolicy.Action.accept
  var rule: RuleReference

  init(
    peers: Condition, ports: [Ports]? = nil, requests: [RequestMatch]? = nil, operations: [Operation]? = nil,
    action: AdminPolicy.Action = .accept, rule: RuleReference
  ) {
    self.peers = peers
    self.ports = ports
    self.requests = requests
    self.operations = operations
    self.action = action
    self.rule = rule
  }

  /// - Parameter wanted: nil for a protocol that no rule can name.
  /// - Parameter named: the ports of the peer.
  func covers(_ wanted: TransportProtocol?, _ port: UInt16, named: [NamedPort]) -> Bool {
    guard let ports else { return true }
    guard let wanted else { return false }
    return ports.contains { entry in
      switch entry {
      case .range(let `protocol`, let range): `protocol` == wanted && range.contains(port)
      case .named(let name, let `protocol`):
        `protocol` == wanted && named.contains { $0.name == name && $0.protocol == wanted && $0.port == port }
      }
    }
  }

  /// The requests that still have to match on a port; nil where the item does not match at L4, an empty list where it
  /// holds for every request.
  func requests(onPort port: UInt16) -> [RequestMatch]? {
    guard let operations else { return requests ?? [] }
    let here = operations.filter { $0.matches(port: port) }.map(\.request)
    if here.isEmpty { return nil }
    return here.contains(where: \.isAny) ? [] : here
  }

  /// Ports where the answer may change.
  func starts(_ wanted: TransportProtocol, named: [NamedPort], _ add: (UInt16) -> Void) {
    func cut(_ range: ClosedRange<UInt16>) {
      add(range.lowerBound)
      if range.upperBound < .max { add(range.upperBound + 1) }
    }
    for entry in ports ?? [] {
      switch entry {
      case .range(wanted, let range): cut(range)
      case .named(let name, wanted):
        for port in named where port.name == name && port.protocol == wanted { cut(port.port...port.port) }
      default: break
      }
    }
    guard wanted == .tcp else { return }
    for operation in operations ?? [] {
      for port in operation.ports + operation.notPorts { cut(port...port) }
    }
  }
}
