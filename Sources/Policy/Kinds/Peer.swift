/// An address block with holes: `ipBlock` of a NetworkPolicy, `cidrSet` of a CiliumNetworkPolicy.
public struct IPBlock: Hashable, Sendable {
  public var cidr: CIDR
  public var except: [CIDR]

  public init(cidr: CIDR, except: [CIDR] = []) {
    self.cidr = cidr
    self.except = except
  }

  public func contains(_ address: IPAddress) -> Bool {
    cidr.contains(address) && !except.contains { $0.contains(address) }
  }
}

/// Cilium's reserved words for peers (cilium/pkg/policy/api/entity.go).
public enum Entity: String, Hashable, Sendable, CaseIterable {
  case all
  /// Whoever is not in the cluster: neither an endpoint nor a node.
  case world
  case worldIPv4 = "world-ipv4"
  case worldIPv6 = "world-ipv6"
  /// Every endpoint and every node.
  case cluster
  /// The node the subject runs on, with its pods on the host's network.
  case host
  /// Every other node.
  case remoteNode = "remote-node"
  /// The addresses behind the Service default/kubernetes, and the Pods that carry them.
  case kubeAPIServer = "kube-apiserver"
  /// Cilium's own components. weir has none, so nobody is one.
  case health, `init`, ingress, unmanaged
  case none
}

/// Who is on the other end, as one entry of a rule says it. One form for all families; what differs between them is a
/// case of its own.
public enum Peer: Hashable, Sendable {
  /// Endpoints by their labels, never by address. Pods on the host's network are none.
  case selector(PeerSelector)
  /// Whoever has such an address, endpoints and nodes too (NetworkPolicy `ipBlock`, ClusterNetworkPolicy `networks`).
  case ipBlock(IPBlock)
  /// An address that is neither an endpoint's nor a node's (Cilium `fromCIDR`, `fromCIDRSet`).
  case outside(IPBlock)
  /// `v1` Nodes by their labels.
  case nodes(Selector)
  case entity(Entity)
}

/// `ports` of a rule, one entry; for all families.
public struct PortMatch: Hashable, Sendable {
  public enum Number: Hashable, Sendable {
    /// No port: every port of the protocol.
    case any
    /// `port`, or `port` to `endPort`. ICMP: the type.
    case range(ClosedRange<UInt16>)
    /// A container port's name, resolved on the endpoint that serves: the subject for ingress, the peer for egress.
    case named(String)
  }

  /// nil: TCP, UDP and SCTP alike (Cilium's ANY); for a name, whichever protocol the port of that name has.
  public var `protocol`: TransportProtocol?
  public var number: Number

  public init(protocol: TransportProtocol?, number: Number) {
    self.protocol = `protocol`
    self.number = number
  }

  /// Whether the entry speaks of a protocol at all.
  func speaks(of other: TransportProtocol) -> Bool {
    guard let `protocol` else { return other == .tcp || other == .udp || other == .sctp }
    return `protocol` == other
  }
}
