/// `security.istio.io/v1` AuthorizationPolicy. An absent list does not restrict; an empty `rules` matches nothing,
/// a rule without from and to matches everything.
public struct AuthorizationPolicy: Sendable {
  public enum Action: String, Sendable {
    case allow = "ALLOW"
    case deny = "DENY"
    /// Matching requests are reported; nothing is allowed or refused by it.
    case audit = "AUDIT"
  }

  public typealias Match = Policy.Match

  /// Every list that is not empty must match, each by one of its entries; a `not` list by none.
  public struct Source: Hashable, Sendable {
    /// `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`. `serviceAccounts: [a/b]` is read as the suffix `/ns/a/sa/b`.
    public var principals: [Match]
    public var notPrincipals: [Match]
    public var namespaces: [Match]
    public var notNamespaces: [Match]
    /// The connection's source address.
    public var ipBlocks: [CIDR]
    public var notIpBlocks: [CIDR]
    /// The client's address behind trusted proxies. weir knows none, so it is the source address, as in Istio while
    /// numTrustedProxies is not set.
    public var remoteIpBlocks: [CIDR]
    public var notRemoteIpBlocks: [CIDR]
    /// Who a JWT speaks for. Without a RequestAuthentication no request has one: a list never matches, a `not` list
    /// always.
    public var requestPrincipals: [Match]
    public var notRequestPrincipals: [Match]

    public init(
      principals: [Match] = [], notPrincipals: [Match] = [], namespaces: [Match] = [],
      notNamespaces: [Match] = [], ipBlocks: [CIDR] = [], notIpBlocks: [CIDR] = [], remoteIpBlocks: [CIDR] = [],
      notRemoteIpBlocks: [CIDR] = [], requestPrincipals: [Match] = [], notRequestPrincipals: [Match] = []
    ) {
      self.principals = principals
      self.notPrincipals = notPrincipals
      self.namespaces = namespaces
      self.notNamespaces = notNamespaces
      self.ipBlocks = ipBlocks
      self.notIpBlocks = notIpBlocks
      self.remoteIpBlocks = remoteIpBlocks
      self.notRemoteIpBlocks = notRemoteIpBlocks
      self.requestPrincipals = requestPrincipals
      self.notRequestPrincipals = notRequestPrincipals
    }
  }

  /// `to.operation`. Ports are decided at L4; the rest is about the request.
  public struct Operation: Hashable, Sendable {
    public var ports: [UInt16]
    public var notPorts: [UInt16]
    public var request: RequestMatch

    public init(ports: [UInt16] = [], notPorts: [UInt16] = [], request: RequestMatch = RequestMatch()) {
      self.ports = ports
      self.notPorts = notPorts
      self.request = request
    }
  }

  /// One entry of `when`, by what it asks. `source.*` and `remote.ip` are a Source with one list and its `not` list,
  /// `destination.port` and `request.headers[NAME]` an Operation.
  public enum Condition: Hashable, Sendable {
    case source(Source)
    case operation(Operation)
    /// `destination.ip`: an address of the subject.
    case destination(blocks: [CIDR], notBlocks: [CIDR])
    /// `request.auth.*`: no request has it, so `values` never hold and `notValues` always do.
    case token(values: [Match], notValues: [Match])
  }

  public struct Rule: Sendable {
    /// OR; empty: every source.
    public var from: [Source]
    /// OR; empty: every operation.
    public var to: [Operation]
    /// AND.
    public var when: [Condition]
    public var place: Place

    public init(from: [Source], to: [Operation], when: [Condition] = [], place: Place) {
      self.from = from
      self.to = to
      self.when = when
      self.place = place
    }
  }

  public var name: Name
  /// spec.selector.matchLabels; nil: every workload of the namespace.
  public var selector: Selector?
  public var action: Action
  public var rules: [Rule]
  /// The annotation `istio.io/dry-run: "true"`: what it would refuse is reported, and not refused.
  public var dryRun: Bool
  public var place: Place

  public init(
    name: Name, selector: Selector?, action: Action, rules: [Rule], dryRun: Bool = false, place: Place
  ) {
    self.name = name
    self.selector = selector
    self.action = action
    self.rules = rules
    self.dryRun = dryRun
    self.place = place
  }
}
