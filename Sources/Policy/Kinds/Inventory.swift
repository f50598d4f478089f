/// `namespace/name`, how everything namespaced is called. What is in no namespace has an empty one and is called by its
/// name alone.
public struct Name: Hashable, Sendable, Comparable, CustomStringConvertible {
  public var namespace: String
  public var name: String

  public init(_ namespace: String, _ name: String) {
    self.namespace = namespace
    self.name = name
  }

  public var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }

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
  case icmpv6 = "ICMPv6"

  /// IPPROTO_*
  public var number: UInt8 {
    switch self {
    case .tcp: 6
    case .udp: 17
    case .sctp: 132
    case .icmp: 1
    case .icmpv6: 58
    }
  }
}

/// `v1` Namespace. One that is named by other objects but has no file of its own has only the label
/// `kubernetes.io/metadata.name`, which the API server sets on every namespace.
public struct Namespace: Equatable, Sendable {
  public var name: String
  /// Always with `kubernetes.io/metadata.name`.
  public var labels: Labels
  public var place: Place

  public init(name: String, labels: Labels, place: Place) {
    self.name = name
    self.labels = labels
    self.place = place
  }

  static func labels(ofUndeclared name: String) -> Labels { ["kubernetes.io/metadata.name": name] }
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
public struct Endpoint: Equatable, Sendable {
  public var name: Name
  public var labels: Labels
  /// Its own addresses: spec.addresses, or status.podIPs. May be empty: a workload known by its cgroup alone.
  public var addresses: [IPAddress]
  public var serviceAccount: String
  public var ports: [NamedPort]
  /// A Workload's cgroup as written: relative to the agent's cgroup root, or absolute within the cgroup2 mount. nil for a
  /// Pod, and where a unit is named.
  public var cgroup: String?
  /// A Workload's systemd unit (`nginx.service`), in place of a cgroup.
  public var unit: String?
  /// What the kubelet calls a Pod's cgroup by: metadata.uid, or the hash that a mirror pod's annotation has.
  public var uid: String?
  /// A Pod with spec.hostNetwork: Kubernetes gives it the node's address, and NetworkPolicy cannot select it.
  public var hostNetwork: Bool
  /// A Pod's spec.nodeName; nil where it is not scheduled yet, and for a Workload.
  public var node: String?
  public var place: Place

  /// A Workload, and not a Pod.
  public var isWorkload: Bool { cgroup != nil || unit != nil }

  public init(
    name: Name, labels: Labels, addresses: [IPAddress], serviceAccount: String, ports: [NamedPort],
    cgroup: String?, unit: String? = nil, uid: String? = nil, hostNetwork: Bool = false, node: String? = nil,
    place: Place
  ) {
    self.name = name
    self.labels = labels
    self.addresses = addresses
    self.serviceAccount = serviceAccount
    self.ports = ports
    self.cgroup = cgroup
    self.unit = unit
    self.uid = uid
    self.hostNetwork = hostNetwork
    self.node = node
    self.place = place
  }
}

/// `v1` Node: a peer by its addresses or labels.
public struct Node: Equatable, Sendable {
  public var name: String
  public var labels: Labels
  /// status.addresses of the types InternalIP and ExternalIP.
  public var addresses: [IPAddress]
  public var place: Place

  public init(name: String, labels: Labels, addresses: [IPAddress], place: Place) {
    self.name = name
    self.labels = labels
    self.addresses = addresses
    self.place = place
  }
}

/// `v1` Service, as far as policy asks: whom it stands for and what its ports speak.
public struct Service: Equatable, Sendable {
  public struct Port: Hashable, Sendable {
    public var name: String?
    public var `protocol`: TransportProtocol
    public var port: UInt16
    /// A number, or a container port's name; `port` where the file says nothing.
    public var target: PortMatch.Number
    public var appProtocol: String?

    public init(
      name: String?, protocol: TransportProtocol, port: UInt16, target: PortMatch.Number, appProtocol: String?
    ) {
      self.name = name
      self.protocol = `protocol`
      self.port = port
      self.target = target
      self.appProtocol = appProtocol
    }
  }

  public var name: Name
  /// spec.selector; nil: its backends are EndpointSlices of somebody else's making.
  public var selector: Selector?
  /// spec.clusterIPs
  public var addresses: [IPAddress]
  public var ports: [Port]
  public var place: Place

  public init(name: Name, selector: Selector?, addresses: [IPAddress], ports: [Port], place: Place) {
    self.name = name
    self.selector = selector
    self.addresses = addresses
    self.ports = ports
    self.place = place
  }
}

/// `discovery.k8s.io/v1` EndpointSlice: addresses behind a Service.
public struct EndpointSlice: Equatable, Sendable {
  public var name: Name
  /// The label `kubernetes.io/service-name`; nil: of no Service.
  public var service: String?
  /// Of the endpoints whose condition `ready` is not false.
  public var addresses: [IPAddress]
  public var place: Place

  public init(name: Name, service: String?, addresses: [IPAddress], place: Place) {
    self.name = name
    self.service = service
    self.addresses = addresses
    self.place = place
  }
}

/// `weir.dev/v1alpha1` Proxy: an L7 proxy and what it takes.
public struct Proxy: Equatable, Sendable {
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
  public var namespaces: [String: Namespace] = [:] { didSet { inventoryStamp = 0 } }
  /// Workloads and Pods, by name; a name stands once.
  public var endpoints: [Name: Endpoint] = [:] { didSet { inventoryStamp = 0 } }
  public var proxies: [Name: Proxy] = [:] { didSet { inventoryStamp = 0 } }
  public var nodes: [String: Node] = [:] { didSet { inventoryStamp = 0 } }
  public var services: [Name: Service] = [:] { didSet { inventoryStamp = 0 } }
  public var slices: [Name: EndpointSlice] = [:] { didSet { inventoryStamp = 0 } }
  /// By name. No part of the inventory: they say nothing of who is who.
  public var subtrees: [String: Subtree] = [:]
  public var networkPolicies: [NetworkPolicy] = []
  public var authorizationPolicies: [AuthorizationPolicy] = []
  public var adminPolicies: [AdminPolicy] = []
  public var ciliumPolicies: [CiliumPolicy] = []
  /// Sets of one process with equal stamps have equal inventory (namespaces, endpoints, proxies, nodes, services,
  /// slices), but for the places in files. 0: nothing is known; that is what changing any of them makes of it.
  public internal(set) var inventoryStamp: UInt64 = 0
  /// NetworkPolicy and Cilium's kinds are one union of allows, as Cilium itself reads them; false: each family that
  /// has an opinion must allow.
  public var joined = false

  public init() {}

  /// The labels selectors see for a namespace, also when no file declares it.
  public func labels(ofNamespace name: String) -> Labels {
    namespaces[name]?.labels ?? Namespace.labels(ofUndeclared: name)
  }
}
