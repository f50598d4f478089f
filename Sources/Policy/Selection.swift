/// Which side's policy is asked. The numbers are the shared header's.
enum Direction: UInt32 {
  case egress = 1
  case ingress = 2
}

extension NetworkPolicy {
  /// A policy selects pods of its own namespace, and none on the host's network: their address is the node's,
  /// so their traffic cannot be told from the node's (Kubernetes documentation, "Network Policies",
  /// hostNetwork pods).
  func selects(_ endpoint: Endpoint) -> Bool {
    !endpoint.hostNetwork && endpoint.name.namespace == name.namespace
      && podSelector.matches(endpoint.labels)
  }

  func isolates(_ direction: Direction) -> Bool {
    direction == .ingress ? isolatesIngress : isolatesEgress
  }

  func rules(_ direction: Direction) -> [Rule] { direction == .ingress ? ingress : egress }

  /// `ingress[0].from[1]`; without a peer `ingress[0]`.
  static func path(_ direction: Direction, rule: Int, peer: Int?) -> String {
    let path = direction == .ingress ? "ingress[\(rule)]" : "egress[\(rule)]"
    guard let peer else { return path }
    return path + (direction == .ingress ? ".from[\(peer)]" : ".to[\(peer)]")
  }

  func ruleName(_ path: String) -> RuleName {
    RuleName(kind: "NetworkPolicy", namespace: name.namespace, name: name.name, rule: path)
  }
}

extension AuthorizationPolicy {
  /// Policies here apply to every namespace (Istio's meshConfig.rootNamespace, its default value).
  public static let rootNamespace = "istio-system"

  /// Pods on the host's network have no Istio proxy and are not selected.
  func selects(_ endpoint: Endpoint) -> Bool {
    guard !endpoint.hostNetwork else { return false }
    let here = name.namespace == Self.rootNamespace || endpoint.name.namespace == name.namespace
    return here && (selector?.matches(endpoint.labels) ?? true)
  }

  func ruleName(_ rule: Int?) -> RuleName {
    let path = rule.map { "rules[\($0)]" } ?? ""
    return RuleName(
      kind: "AuthorizationPolicy", namespace: name.namespace, name: name.name, rule: path)
  }
}

extension PolicySet {
  /// Whether a peer of an object in `namespace` means this endpoint.
  func matches(_ selector: PeerSelector, from namespace: String, _ endpoint: Endpoint) -> Bool {
    guard !endpoint.hostNetwork else { return false }
    if let namespaces = selector.namespaces {
      guard namespaces.matches(labels(ofNamespace: endpoint.name.namespace)) else { return false }
    } else {
      guard endpoint.name.namespace == namespace else { return false }
    }
    return selector.pods?.matches(endpoint.labels) ?? true
  }

  /// The proxy that judges the requests to a destination: of those that take it the first by name.
  func proxy(for endpoint: Endpoint) -> Proxy? {
    proxies.values.filter { proxy in
      guard let takes = proxy.takes else { return true }
      return matches(takes, from: proxy.name.namespace, endpoint)
    }.min { $0.name < $1.name }
  }
}
