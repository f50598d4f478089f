/// What can be found. The raw value is the stable id; docs/conflicts.md has an example of each.
public enum Conflict: String, Sendable, Codable, CaseIterable {
  case l7Unreachable = "l7-unreachable"
  case l7Bypassed = "l7-bypassed"
  case l7NoProxy = "l7-no-proxy"
  case denyBuriesAllow = "deny-buries-allow"
  case acceptOverridesDeny = "accept-overrides-deny"
  case familiesContradict = "families-contradict"
  case otherEndRefuses = "other-end-refuses"
  case neverMatches = "never-matches"
  case httpOnUDP = "http-on-udp"
  case httpOnUnservedPort = "http-on-unserved-port"
  case httpOnOpaquePort = "http-on-opaque-port"
  case twoProxies = "two-proxies"
  case selectsNothing = "selects-nothing"
  case peerMatchesNothing = "peer-matches-nothing"
  case namedPortUnknown = "named-port-unknown"
  case adminTie = "admin-tie"
  case shadowed
  case tunnelPort = "tunnel-port"
  case egressForgetsDNS = "egress-forgets-dns"
  case tokenNeverMatches = "token-never-matches"
  case joinedDiffers = "joined-differs"
  case nodePolicyNotEnforced = "node-policy-not-enforced"
  case remoteIPIsSource = "remote-ip-is-source"
  case dryRun = "dry-run"

  /// The worst it can be: a single finding may weigh less.
  public var severity: Severity {
    switch self {
    case .l7Unreachable, .l7Bypassed, .l7NoProxy, .denyBuriesAllow, .acceptOverridesDeny, .familiesContradict,
      .neverMatches, .httpOnUDP, .httpOnOpaquePort, .adminTie, .shadowed:
      .error
    case .otherEndRefuses, .httpOnUnservedPort, .twoProxies, .selectsNothing, .peerMatchesNothing,
      .namedPortUnknown,
      .tunnelPort, .egressForgetsDNS, .tokenNeverMatches, .nodePolicyNotEnforced:
      .warning
    case .joinedDiffers, .remoteIPIsSource, .dryRun: .info
    }
  }

  /// A sentence for people who meet the id for the first time.
  public var summary: String {
    switch self {
    case .l7Unreachable: "A rule about requests never sees one: L3/L4 drops everything it names."
    case .l7Bypassed: "A rule that looks at no request allows what a rule about requests restricts."
    case .l7NoProxy: "Rules about requests decide, and no Proxy takes the destination: the flow is refused."
    case .denyBuriesAllow: "A deny rule refuses everything that a rule allows."
    case .acceptOverridesDeny: "An Accept of the Admin tier lets through everything that a deny rule names."
    case .familiesContradict:
      "What one kind of policy allows, another kind never does: the rule has no effect."
    case .otherEndRefuses: "Everything a rule allows is refused by the policies of the flow's other end."
    case .neverMatches: "A rule asks for things that cannot be true together."
    case .httpOnUDP: "A rule about HTTP requests names a port of UDP, where none are seen."
    case .httpOnUnservedPort: "A rule about HTTP requests names a port that no workload it selects serves."
    case .httpOnOpaquePort: "A rule about HTTP requests names a port whose Service says that it is no HTTP."
    case .twoProxies: "Several Proxy objects take one destination."
    case .selectsNothing: "A policy selects nobody."
    case .peerMatchesNothing: "A rule's peer is nobody."
    case .namedPortUnknown: "A rule names a port by a name that nobody gives to a port."
    case .adminTie: "Admin policies of equal priority disagree."
    case .shadowed: "Other rules decide everything that a rule matches."
    case .tunnelPort: "An allow for the mesh's tunnel port opens every port behind it."
    case .egressForgetsDNS: "Egress is restricted and DNS is not allowed."
    case .tokenNeverMatches: "A rule asks for a token, and nothing validates tokens."
    case .joinedDiffers:
      "NetworkPolicy and Cilium policies say something else when they are read as one union."
    case .nodePolicyNotEnforced: "A policy for nodes' own processes, which weir does not judge."
    case .remoteIPIsSource: "remoteIpBlocks are compared with the connection's source address."
    case .dryRun: "A policy is annotated as a dry run: it reports and decides nothing."
    }
  }
}
