/// The cluster administrator's policies: `policy.networking.k8s.io/v1alpha2` ClusterNetworkPolicy and its
/// predecessors, `v1alpha1` AdminNetworkPolicy and BaselineAdminNetworkPolicy. One form: the older kinds are read as
/// what they became.
public struct AdminPolicy: Sendable {
  public enum Kind: String, Sendable {
    case clusterNetworkPolicy = "ClusterNetworkPolicy"
    case adminNetworkPolicy = "AdminNetworkPolicy"
    case baselineAdminNetworkPolicy = "BaselineAdminNetworkPolicy"
  }

  public enum Tier: Sendable { case admin, baseline }

  public enum Action: String, Sendable {
    /// `Allow` in v1alpha1. Final.
    case accept = "Accept"
    /// Final.
    case deny = "Deny"
    /// Leaves the tier: the next one decides.
    case pass = "Pass"
  }

  /// First match within the policy.
  public struct Rule: Sendable {
    public var action: Action
    /// from or to; never empty. OR.
    public var peers: [Peer]
    /// nil: every port of every protocol. An empty list does not occur.
    public var ports: [PortMatch]?
    /// Each peer's own place; as many as peers.
    public var peerPlaces: [Place]
    /// Each peer's index in the file's `from` or `to`, for the rule's name; as many as peers. An entry with
    /// several `networks` is as many peers here, and they share its index.
    public var peerIndices: [Int]
    public var place: Place

    /// - Parameter peerIndices: nil where every entry is one peer.
    public init(
      action: Action, peers: [Peer], ports: [PortMatch]?, peerPlaces: [Place], peerIndices: [Int]? = nil,
      place: Place
    ) {
      self.action = action
      self.peers = peers
      self.ports = ports
      self.peerPlaces = peerPlaces
      self.peerIndices = peerIndices ?? Array(peers.indices)
      self.place = place
    }
  }

  public var kind: Kind
  /// In no namespace: `Name("", name)`.
  public var name: Name
  public var tier: Tier
  /// 0 to 1000, lower first. A BaselineAdminNetworkPolicy has 0.
  public var priority: Int
  /// `namespaces` is never nil.
  public var subject: PeerSelector
  public var ingress: [Rule]
  public var egress: [Rule]
  public var place: Place

  public init(
    kind: Kind, name: Name, tier: Tier, priority: Int, subject: PeerSelector, ingress: [Rule], egress: [Rule],
    place: Place
  ) {
    self.kind = kind
    self.name = name
    self.tier = tier
    self.priority = priority
    self.subject = subject
    self.ingress = ingress
    self.egress = egress
    self.place = place
  }
}

extension AdminPolicy.Rule {
  /// As many entries as the file has.
  public var entryCount: Int { (peerIndices.max() ?? -1) + 1 }

  /// nil: there is no such entry.
  public func place(ofEntry index: Int) -> Place? { peerIndices.firstIndex(of: index).map { peerPlaces[$0] } }
}
