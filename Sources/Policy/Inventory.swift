/// `namespace/name`, how everything namespaced is called.
public struct Name: Hashable, Sendable, Comparable, CustomStringConvertible {
  public var namespace: String
  public var name: String

  public init(_ namespace: String, _ name: String) {
    self.namespace = namespace
    self.name = name
  }

  public var description: String { "\(namespace)/\(name)" }

  public static func < (a: Name, b: Name) -> Bool {
    (a.namespace, a.name) < (b.namespace, b.name)
  }
}

public typealias Labels = [String: String]

public enum TransportProtocol: String, Hashable, Sendable, Codable, CaseIterable {
  case tcp = "TCP"
  case udp = "UDP"
  case sctp = "SCTP"
  case icmp = "ICMP"

  /// IPPROTO_*
  public var number: UInt8 {
    switch self {
    case .tcp: 6
    case .udp: 17
    case .sctp: 132
    case .icmp: 1
    }
  }
}

/// `v1` Namespace. One that is named by other objects but has no file of its own has only the label
/// `kubernetes.io/metadata.name`, which the API server sets on every namespace.
public struct Namespace: Sendable {
  public var name: String
  /// Always with `kubernetes.io/metadata.name`.
  public var labels: Labels
  public var place: Place

  public init(name: String, labels: Labels, place: Place) {
    self.name = name
    self.labels = labels
    self.place = place
  }
}

public struct NamedPort: Hashable, Sendable {
  public var name: String
  public var port: UInt16
  public var `protocol`: TransportProtocol

  public init(name: String, port: UInt16, protocol: TransportProtocol) {
    self.name = name
    self.port = port
    self.protocol = `protocol`
  }
}

/// Anything with a name that a policy can select: a `weir.dev/v1alpha1` Workload, or a `v1` Pod as inventory.
public struct Endpoint: Sendable {
  public var name: Name
  public var labels: Labels
  /// Its own addresses: spec.addresses, or status.podIPs. May be empty: a workload known by its cgroup alone.
  public var addresses: [IPAddress]
  public var serviceAccount: String
  public var ports: [NamedPort]
  /// A Workload's cgroup as written: relative to the agent's cgroup root, or absolute within the cgroup2 mount. nil for a Pod.
  public var cgroup: String?
  /// A Pod with spec.hostNetwork: Kubernetes gives it the node's address, and NetworkPolicy cannot select it.
  public var hostNetwork: Bool
  public var place: Place

  public init(
    name: Name, labels: Labels, addresses: [IPAddress], serviceAccount: String, ports: [NamedPort],
    cgroup: String?, hostNetwork: Bool = false, place: Place
  ) {
    self.name = name
    self.labels = labels
    self.addresses = addresses
    self.serviceAccount = serviceAccount
    self.ports = ports
    self.cgroup = cgroup
    self.hostNetwork = hostNetwork
    self.place = place
  }
}

/// `weir.dev/v1alpha1` Proxy: an L7 proxy and what it takes.
public struct Proxy: Sendable {
  public enum Kind: String, Sendable { case envoy = "Envoy" }

  public var name: Name
  public var kind: Kind
  /// As for a Workload: where the proxy's processes run.
  public var cgroup: String
  /// spec.listen.addresses: at most one per family, where redirected connections go.
  public var addresses: [IPAddress]
  /// spec.listen.port
  public var port: UInt16
  /// spec.takes: the destinations whose requests it judges, as in a NetworkPolicy peer; nil takes every destination.
  public var takes: PeerSelector?
  public var place: Place

  public init(
    name: Name, kind: Kind, cgroup: String, addresses: [IPAddress], port: UInt16,
    takes: PeerSelector?, place: Place
  ) {
    self.name = name
    self.kind = kind
    self.cgroup = cgroup
    self.addresses = addresses
    self.port = port
    self.takes = takes
    self.place = place
  }
}

/// Everything the files say, decoded and valid on its own. What comes of it together is `Evaluator`'s and `Tables`' work.
public struct PolicySet: Sendable {
  public var namespaces: [String: Namespace] = [:]
  /// Workloads and Pods, by name; a name stands once.
  public var endpoints: [Name: Endpoint] = [:]
  public var proxies: [Name: Proxy] = [:]
  public var networkPolicies: [NetworkPolicy] = []
  public var authorizationPolicies: [AuthorizationPolicy] = []

  public init() {}

  /// The labels selectors see for a namespace, also when no file declares it.
  public func labels(ofNamespace name: String) -> Labels {
    namespaces[name]?.labels ?? ["kubernetes.io/metadata.name": name]
  }
}
