/// One end of a flow: an endpoint by name, or an address that belongs to nobody weir knows.
public enum Party: Hashable, Sendable {
  case endpoint(Name)
  case address(IPAddress)
}

/// A question: may `from` open a connection (or UDP exchange) to `port` of `to`?
public struct Flow: Hashable, Sendable {
  public var from: Party
  public var to: Party
  public var `protocol`: TransportProtocol
  public var port: UInt16

  public init(from: Party, to: Party, protocol: TransportProtocol, port: UInt16) {
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

/// What one direction (or the proxy) says, and who said it.
public struct Ruling: Sendable, Hashable {
  public var verdict: Verdict
  public var reason: Reason
  /// The deciding rule; for `noRule` the first policy that selects the workload. nil when no policy speaks.
  public var rule: RuleName?
  public var place: Place?

  public init(verdict: Verdict, reason: Reason, rule: RuleName? = nil, place: Place? = nil) {
    self.verdict = verdict
    self.reason = reason
    self.rule = rule
    self.place = place
  }
}

/// The naive evaluator: loops over the policies in the order of the documentation and nothing else. The oracle for the
/// compiled tables, and what `explain` and `matrix` answer from.
public struct Evaluator: Sendable {
  public let set: PolicySet

  public init(_ set: PolicySet) { self.set = set }

  /// The source's egress policy. Not selected where the source is no endpoint.
  public func egress(_ flow: Flow) -> Ruling { fatalError("engine") }

  /// The destination's ingress policy, L4 part; proxied where requests decide.
  public func ingress(_ flow: Flow) -> Ruling { fatalError("engine") }

  /// What the L7 rules say of one request of a proxied flow.
  public func l7(_ flow: Flow, _ request: Request) -> Ruling { fatalError("engine") }
}
