/// The answer of `weir explain`; encoded as the JSON the design gives.
public struct Explanation: Sendable, Codable {
  public struct Policy: Sendable, Codable, Hashable {
    public var kind, namespace, name, rule, file: String
    public var line: Int
  }
  public struct Layer: Sendable, Codable {
    /// egress, ingress or l7
    public var layer: String
    /// namespaced or default
    public var tier: String
    /// allowed, denied or proxied
    public var verdict: String
    /// Reason.word
    public var reason: String
    public var policy: Policy?
    /// Policies that selected the subject in this layer and did not decide.
    public var considered: [Policy]
  }
  /// allowed or denied
  public var verdict: String
  public var layers: [Layer]
  /// false where a proxied flow has no Proxy to enforce it; absent otherwise.
  public var enforced: Bool?
  public var why: String?
}

extension Evaluator {
  /// Without a request, a proxied flow is answered as allowed with a proxied layer: some request may pass.
  public func explain(_ flow: Flow, request: Request?) -> Explanation { fatalError("engine") }
}

/// The answer of `weir matrix`; encoded as the JSON the design gives.
public struct Matrix: Sendable, Codable {
  public var endpoints: [String]
  /// port -> source -> destination -> allowed, proxied, denied-egress, denied-ingress, denied-both or self
  public var ports: [String: [String: [String: String]]]
}

extension Evaluator {
  public func matrix(ports: [(TransportProtocol, UInt16)], outside: [IPAddress]) -> Matrix {
    fatalError("engine")
  }
}
