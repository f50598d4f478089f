/// `networking.k8s.io/v1` NetworkPolicy, validated as the API server does.
public struct NetworkPolicy: Sendable {
  public struct IPBlock: Hashable, Sendable {
    public var cidr: CIDR
    public var except: [CIDR]

    public init(cidr: CIDR, except: [CIDR]) {
      self.cidr = cidr
      self.except = except
    }

    public func contains(_ address: IPAddress) -> Bool {
      cidr.contains(address) && !except.contains { $0.contains(address) }
    }
  }

  public enum Peer: Hashable, Sendable {
    case selector(PeerSelector)
    case ipBlock(IPBlock)
  }

  public enum PortNumber: Hashable, Sendable {
    /// No port: every port of the protocol.
    case any
    /// `port`, or `port` to `endPort`.
    case range(ClosedRange<UInt16>)
    /// A container port's name, resolved on the endpoint that serves: the subject for ingress, the peer for egress.
    case named(String)
  }

  public struct Port: Hashable, Sendable {
    public var `protocol`: TransportProtocol
    public var number: PortNumber

    public init(protocol: TransportProtocol, number: PortNumber) {
      self.protocol = `protocol`
      self.number = number
    }
  }

  public struct Rule: Sendable {
    /// from or to; empty: everybody.
    public var peers: [Peer]
    /// Empty: every port of every protocol.
    public var ports: [Port]
    /// Each peer's own place, for a rule named `ingress[0].from[1]`; as many as peers.
    public var peerPlaces: [Place]
    public var place: Place

    public init(peers: [Peer], ports: [Port], peerPlaces: [Place], place: Place) {
      self.peers = peers
      self.ports = ports
      self.peerPlaces = peerPlaces
      self.place = place
    }
  }

  public var name: Name
  public var podSelector: Selector
  public var ingress: [Rule]
  public var egress: [Rule]
  /// policyTypes after defaulting: Ingress always unless named otherwise, Egress if there are egress rules.
  public var isolatesIngress: Bool
  public var isolatesEgress: Bool
  public var place: Place

  public init(
    name: Name, podSelector: Selector, ingress: [Rule], egress: [Rule], isolatesIngress: Bool,
    isolatesEgress: Bool, place: Place
  ) {
    self.name = name
    self.podSelector = podSelector
    self.ingress = ingress
    self.egress = egress
    self.isolatesIngress = isolatesIngress
    self.isolatesEgress = isolatesEgress
    self.place = place
  }
}
