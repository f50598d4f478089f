/// `cilium.io/v2` CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy: one of its specs. An object with `specs` is as
/// many of these as it has specs.
public struct CiliumPolicy: Sendable {
  public enum Kind: String, Sendable {
    case networkPolicy = "CiliumNetworkPolicy"
    case clusterwide = "CiliumClusterwideNetworkPolicy"
  }

  public enum Subject: Hashable, Sendable {
    /// `namespaces` is never nil: a CiliumNetworkPolicy's own namespace is a requirement on
    /// `kubernetes.io/metadata.name`.
    case endpoints(PeerSelector)
    /// `nodeSelector`: the nodes' own processes.
    case nodes(Selector)
  }

  /// One entry of `toPorts` or `icmps`.
  public struct Ports: Sendable {
    /// Empty: every port of every protocol (`toPorts: [{}]`, and an entry with rules alone).
    public var ports: [PortMatch]
    /// `rules.http`, OR; nil: not about requests.
    public var requests: [RequestMatch]?
    /// `toPorts[0]`, `icmps[0]`
    public var path: String
    public var place: Place

    public init(ports: [PortMatch], requests: [RequestMatch]?, path: String, place: Place) {
      self.ports = ports
      self.requests = requests
      self.path = path
      self.place = place
    }
  }

  public struct NamedPeer: Sendable {
    public var peer: Peer
    /// `fromEndpoints[0]`, `toCIDRSet[1]`
    public var path: String
    public var place: Place

    public init(_ peer: Peer, path: String, place: Place) {
      self.peer = peer
      self.path = path
      self.place = place
    }
  }

  /// One entry of ingress, ingressDeny, egress or egressDeny. A rule that names neither peers nor ports (`{}`) matches
  /// nothing; it only isolates.
  public struct Rule: Sendable {
    /// nil: no member names a peer, which is everybody where ports are named. Empty (`fromEndpoints: []`): nobody.
    public var peers: [NamedPeer]?
    /// Empty: every port of every protocol.
    public var ports: [Ports]
    public var place: Place

    public init(peers: [NamedPeer]?, ports: [Ports], place: Place) {
      self.peers = peers
      self.ports = ports
      self.place = place
    }
  }

  public var kind: Kind
  /// A clusterwide one is in no namespace: `Name("", name)`.
  public var name: Name
  /// `spec.` is left out; `specs[1].` stands before the paths of its rules. Empty for `spec`.
  public var prefix: String
  public var subject: Subject
  public var ingress: [Rule]
  public var ingressDeny: [Rule]
  public var egress: [Rule]
  public var egressDeny: [Rule]
  /// enableDefaultDeny after defaulting: a direction with any rule, allowing or denying, is denied unless allowed.
  public var isolatesIngress: Bool
  public var isolatesEgress: Bool
  public var place: Place

  public init(
    kind: Kind, name: Name, prefix: String = "", subject: Subject, ingress: [Rule] = [], ingressDeny: [Rule] = [],
    egress: [Rule] = [], egressDeny: [Rule] = [], isolatesIngress: Bool, isolatesEgress: Bool, place: Place
  ) {
    self.kind = kind
    self.name = name
    self.prefix = prefix
    self.subject = subject
    self.ingress = ingress
    self.ingressDeny = ingressDeny
    self.egress = egress
    self.egressDeny = egressDeny
    self.isolatesIngress = isolatesIngress
    self.isolatesEgress = isolatesEgress
    self.place = place
  }
}
