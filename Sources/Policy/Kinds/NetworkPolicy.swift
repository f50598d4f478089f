/// `networking.k8s.io/v1` NetworkPolicy, validated as the API server does.
public struct NetworkPolicy: Sendable {
  public typealias IPBlock = Policy.IPBlock
  /// `.selector` or `.ipBlock`
  public typealias Peer = Policy.Peer
  public typealias Port = PortMatch

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
