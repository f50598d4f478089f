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
  public func explain(_ flow: Flow, request: Request?) -> Explanation {
    let leaving = egress(flow)
    let entering = ingress(flow)
    var rulings = [leaving, entering]
    let from = selecting(flow.from, .egress)
    let to = selecting(flow.to, .ingress)
    var layers = [
      layer("egress", leaving, from.network.map(Self.policy)),
      layer(
        "ingress", entering,
        to.network.map(Self.policy)
          // Of the other protocols AuthorizationPolicy does not speak.
          + (flow.protocol == .tcp ? to.authorization.map(Self.policy) : [])),
    ]
    if entering.verdict == .proxied, let request {
      let judged = l7(flow, request)
      rulings.append(judged)
      layers.append(layer("l7", judged, to.authorization.map(Self.policy)))
    }
    let denied = rulings.contains { $0.verdict == .denied }
    var explanation = Explanation(verdict: denied ? "denied" : "allowed", layers: layers)
    if entering.verdict == .proxied, case .endpoint(let name) = flow.to, proxy(for: name) == nil {
      explanation.enforced = false
      explanation.why = "no Proxy takes \(name): until one does, every connection of this flow is refused"
    }
    return explanation
  }

  private func selecting(_ party: Party, _ direction: Direction) -> Selecting {
    guard case .endpoint(let name) = party, let endpoint = set.endpoints[name] else {
      return Selecting(network: [], authorization: [])
    }
    return selecting(endpoint, direction)
  }

  private func layer(_ layer: String, _ ruling: Ruling, _ selecting: [Explanation.Policy])
    -> Explanation.Layer
  {
    let deciding = ruling.rule.map { Self.policy($0, ruling.place) }
    return Explanation.Layer(
      layer: layer, tier: deciding == nil ? "default" : "namespaced", verdict: ruling.verdict.rawValue,
      reason: ruling.reason.word, policy: deciding,
      considered: selecting.filter { policy in
        guard let deciding else { return true }
        return (policy.kind, policy.namespace, policy.name)
          != (deciding.kind, deciding.namespace, deciding.name)
      })
  }

  private static func policy(_ policy: NetworkPolicy) -> Explanation.Policy {
    Self.policy(policy.ruleName(""), policy.place)
  }

  private static func policy(_ policy: AuthorizationPolicy) -> Explanation.Policy {
    Self.policy(policy.ruleName(nil), policy.place)
  }

  private static func policy(_ rule: RuleName, _ place: Place?) -> Explanation.Policy {
    Explanation.Policy(
      kind: rule.kind, namespace: rule.namespace, name: rule.name, rule: rule.rule,
      file: place?.file ?? "", line: place?.line ?? 0)
  }
}
