/// `toPorts` and `icmps` of a Cilium rule (pkg/policy/api: l4.go, icmp.go, PortRule.Validate).
extension Decoding {
  private static let portRuleShape = Shape(
    what: "an entry of `toPorts`", read: ["ports", "rules"],
    unsupported: [
      "terminatingTLS": "weir terminates no TLS", "originatingTLS": "weir terminates no TLS",
      "serverNames": "weir reads no TLS", "listener": "weir hands no connection to a Cilium Envoy listener",
    ])
  private static let portDenyRuleShape = Shape(
    what: "an entry of `toPorts` in a deny rule", read: ["ports"],
    unsupported: ["rules": "a deny rule is about peers and ports alone"])
  private static let portProtocolShape = Shape(what: "a port", read: ["port", "endPort", "protocol"])
  private static let l7RulesShape = Shape(
    what: "`rules`", read: ["http"],
    unsupported: [
      "kafka": "weir judges HTTP alone", "dns": "names are not followed through DNS",
      "l7proto": "weir judges HTTP alone", "l7": "weir judges HTTP alone",
    ])
  private static let icmpRuleShape = Shape(what: "an entry of `icmps`", read: ["fields"])
  private static let icmpFieldShape = Shape(what: "an ICMP field", read: ["family", "type"])

  /// maxPorts and maxICMPFields.
  private static let mostEntries = 40

  private enum CiliumProtocol: String, CaseIterable {
    case tcp = "TCP"
    case udp = "UDP"
    case sctp = "SCTP"
    case any = "ANY"
    case icmp = "ICMP"
    case icmpv6 = "ICMPv6"
    case vrrp = "VRRP"
    case igmp = "IGMP"
  }

  func ciliumPorts(_ node: YAML.Node, denies: Bool, _ scope: CiliumScope) -> CiliumPolicy.Ports? {
    let shape = denies ? Decoding.portDenyRuleShape : Decoding.portRuleShape
    guard let fields = fields(node, shape) else { return nil }
    let rules = denies ? nil : field("rules", of: fields) { l7Rules($0) }
    if scope.selectsNodes, let node = fields["rules"], rules?.judges == true {
      problem(
        node, field: "rules", "a policy with a `nodeSelector` has no L7 rules: no proxy stands before a node")
    }
    let judges = rules?.judges == true
    var ports = listField("ports", of: fields, what: "ports") { ciliumPort($0, judges: judges) }
    refuseMany(fields["ports"], field: "ports")
    // Cilium's HTTP rules are about TCP, also where no port is named.
    if judges, ports.isEmpty { ports = [PortMatch(protocol: .tcp, number: .any)] }
    return CiliumPolicy.Ports(ports: ports, requests: rules?.requests, path: "", place: place(node))
  }

  private func refuseMany(_ node: YAML.Node?, field: String) {
    guard let node, case .sequence(let items) = node.value, items.count > Decoding.mostEntries else { return }
    problem(node, field: field, "expected at most \(Decoding.mostEntries) entries, found \(items.count)")
  }

  /// `judges`: an L7 list is there, be it empty, so the rules for ports beside it hold (L7Rules.IsEmpty).
  /// An empty one asks nothing of requests (createL4Filter).
  private func l7Rules(_ node: YAML.Node) -> (requests: [RequestMatch]?, judges: Bool)? {
    guard let fields = fields(node, Decoding.l7RulesShape) else { return nil }
    let requests = listField("http", of: fields, what: "HTTP rules") { httpRule($0) }
    return (requests.isEmpty ? nil : requests, fields["http"] != nil)
  }

  private func ciliumPort(_ node: YAML.Node, judges: Bool) -> PortMatch? {
    guard let fields = fields(node, Decoding.portProtocolShape) else { return nil }
    let kind = fields["protocol"] == nil ? .any : field("protocol", of: fields) { ciliumProtocol($0) }
    if judges, let kind, kind != .tcp {
      problem(
        fields["protocol"] ?? node, field: "protocol",
        "expected TCP beside `rules`, found "
          + (fields["protocol"] == nil ? "ANY, the default" : kind.rawValue)
      )
    }
    let end = field("endPort", of: fields) { endPort($0) }
    let number = required("port", of: fields) { ciliumNumber($0, end: end ?? 0, judges: judges) }
    guard let kind, let number else { return nil }
    return PortMatch(protocol: TransportProtocol(rawValue: kind.rawValue), number: number)
  }

  private func ciliumProtocol(_ node: YAML.Node) -> CiliumProtocol? {
    guard let kind = oneOf(CiliumProtocol.allCases, node) else { return nil }
    switch kind {
    case .tcp, .udp, .sctp, .any: return kind
    case .icmp, .icmpv6:
      problem(node, "\(quoted(kind.rawValue)) has no ports; name its types in `icmps`")
    case .vrrp, .igmp:
      problem(
        node,
        "the protocol \(quoted(kind.rawValue)) is not supported: weir judges sockets, which do not speak it")
    }
    return nil
  }

  /// 0 is what an unset one is printed as.
  private func endPort(_ node: YAML.Node) -> UInt16? {
    guard case .integer(let value) = node.value else {
      expected("a port number", node)
      return nil
    }
    guard let port = UInt16(exactly: value) else {
      problem(node, "expected a port number from 0 to 65535, found \(quoted(node.text))")
      return nil
    }
    return port
  }

  /// A number in quotes, 0 for every port, or a port's name in any case.
  private func ciliumNumber(_ node: YAML.Node, end: UInt16, judges: Bool) -> PortMatch.Number? {
    guard let text = string(node) else { return nil }
    let name = text.lowercased()
    if Syntax.portName(name) == nil {
      if end > 0 { problem(node, "expected a number beside `endPort`, found \(quoted(text))") }
      return .named(name)
    }
    guard let value = decimal(Array(text.utf8)[...], atMost: 65535), let port = UInt16(exactly: value) else {
      problem(
        node, "expected a port number from 0 to 65535 in quotes or a port's name, found \(quoted(text))")
      return nil
    }
    if port == 0 {
      if judges { problem(node, "expected a port beside `rules`; 0 stands for every port") }
      return end == 0 ? .any : .range(1...end)
    }
    if end > 0, end < port { problem(node, "expected `endPort` (\(end)) or less, found \(quoted(text))") }
    return .range(port...max(port, end))
  }
}

// MARK: - ICMP

extension Decoding {
  private enum ICMPFamily: String {
    case v4 = "IPv4"
    case v6 = "IPv6"
  }

  /// icmpIpv4TypeNameToCode and icmpIpv6TypeNameToCode; the numbers are IANA's.
  private static let icmpTypes: [String: UInt16] = [
    "EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "Echo": 8, "EchoRequest": 8,
    "RouterAdvertisement": 9, "RouterSelection": 10, "TimeExceeded": 11, "ParameterProblem": 12,
    "Timestamp": 13,
    "TimestampReply": 14, "Photuris": 40, "ExtendedEchoRequest": 42, "ExtendedEchoReply": 43,
  ]
  private static let icmpv6Types: [String: UInt16] = [
    "DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4,
    "EchoRequest": 128,
    "EchoReply": 129, "MulticastListenerQuery": 130, "MulticastListenerReport": 131,
    "MulticastListenerDone": 132,
    "RouterSolicitation": 133, "RouterAdvertisement": 134, "NeighborSolicitation": 135,
    "NeighborAdvertisement": 136, "RedirectMessage": 137, "RouterRenumbering": 138,
    "ICMPNodeInformationQuery": 139,
    "ICMPNodeInformationResponse": 140, "InverseNeighborDiscoverySolicitation": 141,
    "InverseNeighborDiscoveryAdvertisement": 142, "HomeAgentAddressDiscoveryRequest": 144,
    "HomeAgentAddressDiscoveryReply": 145, "MobilePrefixSolicitation": 146, "MobilePrefixAdvertisement": 147,
    "DuplicateAddressRequestCodeSuffix": 157, "DuplicateAddressConfirmationCodeSuffix": 158,
    "ExtendedEchoRequest": 160, "ExtendedEchoReply": 161,
  ]

  func ciliumICMP(_ node: YAML.Node) -> CiliumPolicy.Ports? {
    guard let fields = fields(node, Decoding.icmpRuleShape) else { return nil }
    let types = listField("fields", of: fields, what: "ICMP fields") { icmpField($0) }
    refuseMany(fields["fields"], field: "fields")
    let given = if case .sequence(let items)? = fields["fields"]?.value { items.count } else { 0 }
    if given == 0 {
      problem(fields["fields"] ?? node, field: "fields", "expected at least one ICMP field")
    }
    return CiliumPolicy.Ports(ports: types, requests: nil, path: "", place: place(node))
  }

  private func icmpField(_ node: YAML.Node) -> PortMatch? {
    guard let fields = fields(node, Decoding.icmpFieldShape) else { return nil }
    let family =
      fields["family"] == nil ? .v4 : field("family", of: fields) { oneOf([ICMPFamily.v4, .v6], $0) }
    let type = required("type", of: fields) { icmpType($0, family ?? .v4) }
    guard let family, let type else { return nil }
    return PortMatch(protocol: family == .v4 ? .icmp : .icmpv6, number: .range(type...type))
  }

  /// A number, in quotes or not, or the type's name in its family.
  private func icmpType(_ node: YAML.Node, _ family: ICMPFamily) -> UInt16? {
    let names = family == .v4 ? Decoding.icmpTypes : Decoding.icmpv6Types
    switch node.value {
    case .integer(let value):
      if (0...255).contains(value) { return UInt16(value) }
    case .string:
      if let type = names[node.text] { return type }
      if let type = decimal(Array(node.text.utf8)[...], atMost: 255) { return UInt16(type) }
    default: break
    }
    let meant = likely(node.text, among: names.keys).map { "; did you mean \(quoted($0))?" } ?? ""
    problem(
      node,
      "expected an \(family == .v4 ? "ICMP" : "ICMPv6") type from 0 to 255 or its name, "
        + "found \(quoted(node.text))\(meant)"
    )
    return nil
  }
}
