/// `v1` Service. The rules are those of k8s.io/kubernetes/pkg/apis/core/validation, ValidateService.
extension Decoding {
  private static let serviceShape = Shape(
    what: "a Service", read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])
  private static let serviceSpecShape = Shape(
    what: "a ServiceSpec",
    read: [
      "type", "selector", "clusterIP", "clusterIPs", "ports", "externalName", "externalIPs",
      "sessionAffinity", "externalTrafficPolicy", "internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy",
      "publishNotReadyAddresses",
    ],
    passed: [
      "allocateLoadBalancerNodePorts", "healthCheckNodePort", "loadBalancerClass", "loadBalancerIP",
      "loadBalancerSourceRanges", "sessionAffinityConfig", "topologyKeys", "trafficDistribution",
    ])
  private static let servicePortShape = Shape(
    what: "a ServicePort", read: ["name", "protocol", "port", "targetPort", "nodePort", "appProtocol"])

  private enum ServiceType: String, CaseIterable {
    case clusterIP = "ClusterIP"
    case nodePort = "NodePort"
    case loadBalancer = "LoadBalancer"
    case externalName = "ExternalName"
  }

  /// One of the words that a field has and nobody asks for here.
  private struct Word: RawRepresentable { var rawValue: String }

  private static let words: [(field: String, words: [String])] = [
    ("sessionAffinity", ["ClientIP", "None"]), ("externalTrafficPolicy", ["Cluster", "Local"]),
    ("internalTrafficPolicy", ["Cluster", "Local"]),
    ("ipFamilyPolicy", ["SingleStack", "PreferDualStack", "RequireDualStack"]),
  ]

  func service(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.serviceShape) else { return }
    passStatus(of: object)
    let meta = metadata(of: object, kind: "Service", rule: Syntax.dnsLabel)
    let service = required("spec", of: object) { serviceSpec($0, meta) }
    if let service { add(.service(service)) }
  }

  private func serviceSpec(_ node: YAML.Node, _ meta: Metadata?) -> Service? {
    guard let fields = fields(node, Decoding.serviceSpecShape) else { return nil }
    let type =
      fields["type"] == nil ? .clusterIP : field("type", of: fields) { oneOf(ServiceType.allCases, $0) }
    let selector = field("selector", of: fields) { labels($0) } ?? [:]
    let (addresses, headless) = clusterAddresses(of: fields, type)
    for (name, words) in Decoding.words {
      _ = field(name, of: fields) { oneOf(words.map(Word.init), $0) }
    }
    _ = sizedList("ipFamilies", of: fields, 0...2, what: "IP families") {
      oneOf([Word(rawValue: "IPv4"), Word(rawValue: "IPv6")], $0)
    }
    _ = field("publishNotReadyAddresses", of: fields) { bool($0) }
    _ = listField("externalIPs", of: fields, what: "addresses") { address($0) }
    if type == .externalName {
      // The last dot is the DNS root's.
      let rule = { (text: String) in
        Syntax.dnsSubdomain(text.hasSuffix(".") ? String(text.dropLast()) : text)
      }
      _ = required("externalName", of: fields) { string($0, rule) }
    }
    let ports = servicePorts(of: fields, type, headless: headless)
    guard let meta else { return nil }
    // An empty selector is stored as none. One beside an external name selects nobody.
    return Service(
      name: meta.name,
      selector: selector.isEmpty || type == .externalName ? nil : Selector(Decoding.requirements(selector)),
      addresses: addresses, ports: ports, place: meta.place)
  }

  /// clusterIPs, whose first is clusterIP; whether they are `None`.
  private func clusterAddresses(of fields: Fields, _ type: ServiceType?) -> ([IPAddress], headless: Bool) {
    var texts: [String] = []
    var addresses: [IPAddress] = []
    func take(_ node: YAML.Node) {
      guard let text = string(node), !text.isEmpty else { return }
      if texts.isEmpty, type == .externalName {
        problem(node, "expected no cluster address of an ExternalName, found \(quoted(text))")
      }
      texts.append(text)
      if text == "None" {
        if type == .nodePort || type == .loadBalancer {
          problem(node, "expected an address; a Service without one has no node ports and no load balancer")
        }
        return
      }
      guard let address = address(node) else { return }
      if addresses.contains(where: { $0.isV4 == address.isV4 }) {
        return problem(node, "a second \(address.family) address; expected at most one of each family")
      }
      addresses.append(address)
    }
    _ = sizedList("clusterIPs", of: fields, 0...2, what: "addresses") { take($0) }
    if texts.count > 1, texts.contains("None"), let node = fields["clusterIPs"] {
      problem(node, field: "clusterIPs", "expected `None` alone or addresses, found both")
    }
    if let first = texts.first, let node = fields["clusterIP"], node.text != first {
      _ = field("clusterIP", of: fields) {
        problem($0, "expected \(quoted(first)), the first of `clusterIPs`, found \(quoted(node.text))")
      }
    } else if texts.isEmpty {
      _ = field("clusterIP", of: fields) { take($0) }
    }
    return (addresses, texts.contains("None"))
  }

  private func servicePorts(of fields: Fields, _ type: ServiceType?, headless: Bool) -> [Service.Port] {
    let several = if case .sequence(let items)? = fields["ports"]?.value { items.count > 1 } else { false }
    var names: Set<String> = []
    var pairs: Set<String> = []
    let ports = listField("ports", of: fields, what: "ports") { node -> Service.Port? in
      guard let fields = self.fields(node, Decoding.servicePortShape),
        let port = servicePort(of: fields, type, named: several)
      else { return nil }
      if let name = port.name, !names.insert(name).inserted, let node = fields["name"] {
        problem(node, field: "name", "the port name \(quoted(name)) stands twice")
      }
      if !pairs.insert("\(port.port)/\(port.protocol.rawValue)").inserted {
        problem(node, "the port \(port.port)/\(port.protocol.rawValue) stands twice")
      }
      return port
    }
    let empty =
      if case .sequence(let items)? = fields["ports"]?.value { items.isEmpty } else { fields["ports"] == nil }
    if empty, !headless, type != .externalName {
      problem(fields["ports"] ?? fields.node, field: "ports", "expected at least one port")
    }
    return ports
  }

  private func servicePort(of fields: Fields, _ type: ServiceType?, named: Bool) -> Service.Port? {
    let kind = protocolField(of: fields)
    let port = required("port", of: fields) { self.port($0) }
    let name = field("name", of: fields) { stringOrEmpty($0, Syntax.dnsLabel) }
    if named, (fields["name"]?.text ?? "").isEmpty {
      problem(fields["name"] ?? fields.node, field: "name", "expected a name, as there are several ports")
    }
    let appProtocol = field("appProtocol", of: fields) { string($0, Syntax.labelKey) }
    _ = field("nodePort", of: fields) { node -> UInt16? in
      // 0: none yet.
      if case .integer(0) = node.value { return nil }
      guard let port = self.port(node) else { return nil }
      if type == .clusterIP {
        problem(node, "expected no `nodePort` for the type ClusterIP, found `\(port)`")
      }
      return port
    }
    let target = field("targetPort", of: fields) { node -> PortMatch.Number? in
      switch node.value {
      // Both are what an unset one is printed as.
      case .integer(0): port.map { .range($0...$0) }
      case .string where node.text.isEmpty: port.map { .range($0...$0) }
      default: portNumber(node, end: nil)
      }
    }
    guard let kind, let port else { return nil }
    return Service.Port(
      name: name, protocol: kind, port: port, target: target ?? .range(port...port), appProtocol: appProtocol)
  }
}
