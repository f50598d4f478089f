extension Decoding {
  private static let workloadShape = Shape(
    what: "a Workload", read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])
  private static let workloadSpecShape = Shape(
    what: "a Workload's spec", read: ["cgroup", "unit", "addresses", "serviceAccountName", "ports"])
  private static let workloadPortShape = Shape(what: "a Workload's port", read: ["name", "port", "protocol"])

  func workload(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.workloadShape) else { return }
    passStatus(of: object)
    let meta = metadata(of: object, kind: "Workload", family: "endpoint")
    let endpoint = required("spec", of: object) { node -> Endpoint? in
      guard let fields = fields(node, Decoding.workloadSpecShape) else { return nil }
      let home = home(of: fields, meta?.title)
      let addresses = listField("addresses", of: fields, what: "addresses") { ownAddress($0, meta?.title) }
      let account = field("serviceAccountName", of: fields) { string($0, Syntax.dnsSubdomain) }
      var seen: Set<String> = []
      let ports = listField("ports", of: fields, what: "ports") { workloadPort($0, &seen) }
      guard let meta, let home else { return nil }
      return Endpoint(
        name: meta.name, labels: meta.labels, addresses: addresses, serviceAccount: account ?? "default",
        ports: ports.compactMap { $0 }, cgroup: home.cgroup, unit: home.unit, place: meta.place)
    }
    if let endpoint { add(.endpoint(endpoint)) }
  }

  /// One of `cgroup` and `unit`.
  private func home(of fields: Fields, _ owner: String?) -> (cgroup: String?, unit: String?)? {
    guard let unit = fields["unit"] else {
      return required("cgroup", of: fields) { cgroup($0, owner) }.map { ($0, nil) }
    }
    if fields["cgroup"] != nil {
      problem(unit, field: "unit", "expected `cgroup` or `unit`, found both; a unit's cgroup is found by its name")
      return nil
    }
    return field("unit", of: fields) { node -> String? in
      guard let name = string(node, Syntax.unit) else { return nil }
      if let owner { claim(.unit(name), by: owner, at: node) }
      return name
    }.map { (nil, $0) }
  }

  func cgroup(_ node: YAML.Node, _ owner: String?, _ rule: (String) -> String? = Syntax.cgroup) -> String? {
    guard let path = string(node, rule) else { return nil }
    if let owner { claim(.cgroup(path), by: owner, at: node) }
    return path
  }

  /// An address that one endpoint can have.
  private func ownAddress(_ node: YAML.Node, _ owner: String?) -> IPAddress? {
    guard let address = usableAddress(node) else { return nil }
    if let owner { claim(.address(address), by: owner, at: node) }
    return address
  }

  private func usableAddress(_ node: YAML.Node) -> IPAddress? {
    guard let address = address(node) else { return nil }
    let nobody: [CIDR] = [
      CIDR(base: IPAddress(v4: 0), prefix: 128), CIDR(base: IPAddress(bits: 0), prefix: 128),
      CIDR(base: IPAddress(v4: 0xe000_0000), prefix: 96 + 4),
      CIDR(base: IPAddress(bits: 0xff << 120), prefix: 8),
    ]
    if nobody.contains(where: { $0.contains(address) }) {
      problem(
        node, "expected the address of one endpoint, found \(quoted(node.text)) (unspecified or multicast)")
      return nil
    }
    return address
  }

  /// nil inside where the port has no name: nothing can refer to it.
  private func workloadPort(_ node: YAML.Node, _ seen: inout Set<String>) -> NamedPort?? {
    guard let fields = fields(node, Decoding.workloadPortShape) else { return nil }
    let port = required("port", of: fields) { self.port($0) }
    let kind = protocolField(of: fields)
    let name = field("name", of: fields) { string($0, Syntax.portName) }
    guard let port, let kind else { return nil }
    guard let name else { return .some(nil) }
    if !seen.insert("\(name)/\(kind.rawValue)").inserted, let node = fields["name"] {
      problem(node, field: "name", "the port name \(quoted(name)) stands twice for \(kind.rawValue)")
    }
    return NamedPort(name: name, port: port, protocol: kind)
  }
}

// MARK: - Proxy

extension Decoding {
  private static let proxyShape = Shape(
    what: "a Proxy", read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])
  private static let proxySpecShape = Shape(
    what: "a Proxy's spec", read: ["type", "cgroup", "listen", "takes"])
  private static let listenShape = Shape(what: "`listen`", read: ["addresses", "port"])
  private static let takesShape = Shape(what: "`takes`", read: ["namespaceSelector", "podSelector"])

  func proxy(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.proxyShape) else { return }
    passStatus(of: object)
    let meta = metadata(of: object, kind: "Proxy")
    let proxy = required("spec", of: object) { node -> Proxy? in
      guard let fields = fields(node, Decoding.proxySpecShape) else { return nil }
      let kind = required("type", of: fields) { oneOf([Proxy.Kind.envoy], $0) }
      let cgroup = required("cgroup", of: fields) { self.cgroup($0, meta?.title) }
      let listen = required("listen", of: fields) { self.listen($0) }
      let takes = field("takes", of: fields) { self.takes($0) }
      guard let meta, let kind, let cgroup, let listen else { return nil }
      return Proxy(
        name: meta.name, kind: kind, cgroup: cgroup, addresses: listen.addresses, port: listen.port,
        takes: takes,
        place: meta.place)
    }
    if let proxy { add(.proxy(proxy)) }
  }

  private func listen(_ node: YAML.Node) -> (addresses: [IPAddress], port: UInt16)? {
    guard let fields = fields(node, Decoding.listenShape) else { return nil }
    let port = required("port", of: fields) { self.port($0) }
    let addresses = required("addresses", of: fields) { node -> [IPAddress]? in
      var families: Set<Bool> = []
      let addresses = list(node, of: "addresses") { item -> IPAddress? in
        guard let address = usableAddress(item) else { return nil }
        if !families.insert(address.isV4).inserted {
          problem(
            item, "a second \(address.family) address; expected at most one of each family")
        }
        return address
      }
      if case .sequence(let items) = node.value, items.isEmpty {
        problem(node, "expected at least one address")
      }
      return addresses
    }
    guard let port, let addresses else { return nil }
    return (addresses, port)
  }

  private func takes(_ node: YAML.Node) -> PeerSelector? {
    guard let fields = fields(node, Decoding.takesShape) else { return nil }
    guard fields["namespaceSelector"] != nil || fields["podSelector"] != nil else {
      problem(
        node,
        "expected `namespaceSelector`, `podSelector` or both; leave `takes` out to take every destination")
      return nil
    }
    return peerSelector(of: fields)
  }
}
