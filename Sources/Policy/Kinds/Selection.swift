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

extension AdminPolicy {
  func rules(_ direction: Direction) -> [Rule] { direction == .ingress ? ingress : egress }

  /// `ingress[0].from[1]`
  func ruleName(_ direction: Direction, rule: Int, peer: Int) -> RuleName {
    RuleName(
      kind: kind.rawValue, namespace: "", name: name.name,
      rule: NetworkPolicy.path(direction, rule: rule, peer: peer))
  }
}

extension CiliumPolicy {
  func isolates(_ direction: Direction) -> Bool {
    direction == .ingress ? isolatesIngress : isolatesEgress
  }

  /// - Parameter denying: `ingressDeny` and `egressDeny`.
  func rules(_ direction: Direction, denying: Bool) -> [Rule] {
    switch direction {
    case .ingress: denying ? ingressDeny : ingress
    case .egress: denying ? egressDeny : egress
    }
  }

  /// Where a match is told by its requests, `ingress[0].toPorts[1]`; else by its peer,
  /// `ingress[0].fromEndpoints[1]`; without one by its ports. `specs[1].` stands before it in an object of
  /// several.
  func ruleName(_ direction: Direction, denying: Bool, rule: Int, peer: NamedPeer?, ports: Ports?) -> RuleName
  {
    let list = (direction == .ingress ? "ingress" : "egress") + (denying ? "Deny" : "")
    let entry = ports?.requests == nil ? peer?.path ?? ports?.path : ports?.path
    return ruleName("\(list)[\(rule)]" + (entry.map { ".\($0)" } ?? ""))
  }

  /// The place that belongs to the name.
  static func place(_ rule: Rule, peer: NamedPeer?, ports: Ports?) -> Place {
    (ports?.requests == nil ? peer?.place ?? ports?.place : ports?.place) ?? rule.place
  }

  /// - Parameter path: empty for the policy's default deny.
  func ruleName(_ path: String) -> RuleName {
    RuleName(
      kind: kind.rawValue, namespace: name.namespace, name: name.name, rule: path.isEmpty ? "" : prefix + path
    )
  }
}

extension PolicySet {
  /// Whether an AdminPolicy with rules for a direction has the endpoint as a subject. Pods on the host's
  /// network are none.
  func selects(_ policy: AdminPolicy, _ direction: Direction, _ subject: Endpoint) -> Bool {
    !policy.rules(direction).isEmpty && matches(policy.subject, from: "", subject)
  }

  /// Whether a CiliumPolicy that says anything of a direction has the endpoint as a subject. A nodeSelector
  /// selects the processes of nodes, and the Pods on their network.
  func selects(_ policy: CiliumPolicy, _ direction: Direction, _ subject: Endpoint) -> Bool {
    guard
      policy.isolates(direction) || !policy.rules(direction, denying: false).isEmpty
        || !policy.rules(direction, denying: true).isEmpty
    else { return false }
    switch policy.subject {
    case .endpoints(let selector): return matches(selector, from: policy.name.namespace, subject)
    case .nodes(let selector):
      guard subject.hostNetwork, let node = subject.node.flatMap({ nodes[$0] }) else { return false }
      return selector.matches(node.labels)
    }
  }

  /// Whether a peer of an object in `namespace` means this endpoint.
  func matches(_ selector: PeerSelector, from namespace: String, _ endpoint: Endpoint) -> Bool {
    guard !endpoint.hostNetwork else { return false }
    if let namespaces = selector.namespaces {
      guard namespaces.matches(labels(ofNamespace: endpoint.name.namespace)) else { return false }
    } else {
      guard endpoint.name.namespace == namespace else { return false }
    }
    guard selector.accounts?.matches({ _ in endpoint.serviceAccount }) ?? true else { return false }
    return selector.pods?.matches(endpoint.labels) ?? true
  }

  /// The proxy that judges the requests to a destination: of those that take it the first by name.
  func proxy(for endpoint: Endpoint) -> Proxy? {
    proxies.values.filter { proxy in
      guard let takes = proxy.takes else { return true }
      return matches(takes, from: proxy.name.namespace, endpoint)
    }.min { $0.name < $1.name }
  }

  /// The same for any destination. What is no endpoint is taken only by a proxy that takes every destination.
  func proxy(for party: Party) -> Proxy? {
    if case .endpoint(let name) = party, let endpoint = endpoints[name] { return proxy(for: endpoint) }
    return proxies.values.filter { $0.takes == nil }.min { $0.name < $1.name }
  }
}
