/// `discovery.k8s.io/v1` EndpointSlice. The rules are those of
/// k8s.io/kubernetes/pkg/apis/discovery/validation.
extension Decoding {
  private static let sliceShape = Shape(
    what: "an EndpointSlice", read: ["metadata", "addressType", "endpoints", "ports"],
    passed: ["apiVersion", "kind"])
  private static let sliceEndpointShape = Shape(
    what: "an endpoint", read: ["addresses", "conditions", "nodeName"],
    passed: ["deprecatedTopology", "hints", "hostname", "targetRef", "zone"])
  private static let sliceConditionsShape = Shape(
    what: "an endpoint's conditions", read: ["ready", "serving", "terminating"])
  private static let slicePortShape = Shape(
    what: "an EndpointPort", read: ["name", "protocol", "port", "appProtocol"])

  private enum AddressType: String, CaseIterable {
    case v4 = "IPv4"
    case v6 = "IPv6"
    case name = "FQDN"
  }

  func endpointSlice(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.sliceShape) else { return }
    let meta = metadata(of: object, kind: "EndpointSlice")
    let type = required("addressType", of: object) { oneOf(AddressType.allCases, $0) }
    let endpoints = sizedList("endpoints", of: object, 0...1000, what: "endpoints") {
      sliceEndpoint($0, type)
    }
    slicePorts(of: object)
    guard let meta else { return }
    add(
      .slice(
        EndpointSlice(
          name: meta.name, service: meta.labels["kubernetes.io/service-name"],
          addresses: (endpoints ?? []).flatMap { $0 }, place: meta.place)))
  }

  /// Its addresses, if it is ready or nobody says that it is not.
  private func sliceEndpoint(_ node: YAML.Node, _ type: AddressType?) -> [IPAddress]? {
    guard let fields = fields(node, Decoding.sliceEndpointShape) else { return nil }
    if fields["addresses"] == nil { problem(node, field: "addresses", "`addresses` is required") }
    var known: Set<String> = []
    let addresses = sizedList("addresses", of: fields, 1...100, what: "addresses") { item -> IPAddress? in
      let address = sliceAddress(item, type)
      if !known.insert(item.text).inserted { problem(item, "the address \(quoted(item.text)) stands twice") }
      return address
    }
    _ = field("nodeName", of: fields) { string($0, Syntax.dnsSubdomain) }
    let ready = field("conditions", of: fields) { node -> Bool? in
      guard let conditions = self.fields(node, Decoding.sliceConditionsShape) else { return nil }
      _ = field("serving", of: conditions) { bool($0) }
      _ = field("terminating", of: conditions) { bool($0) }
      return field("ready", of: conditions) { bool($0) }
    }
    return ready ?? true ? addresses : []
  }

  /// ValidateEndpointIP: what nobody can reach from elsewhere is no endpoint.
  private static let unreachable: [CIDR] = [
    CIDR(base: IPAddress(v4: 0), prefix: 128),
    CIDR(base: IPAddress(v4: 0x7f00_0000), prefix: 96 + 8),
    CIDR(base: IPAddress(v4: 0xa9fe_0000), prefix: 96 + 16),
    CIDR(base: IPAddress(v4: 0xe000_0000), prefix: 96 + 24),
    CIDR(base: IPAddress(bits: 0), prefix: 128), CIDR(base: IPAddress(bits: 1), prefix: 128),
    CIDR(base: IPAddress(bits: 0xfe80 << 112), prefix: 10),
    CIDR(base: IPAddress(bits: 0xff02 << 112), prefix: 16),
  ]

  private func sliceAddress(_ node: YAML.Node, _ type: AddressType?) -> IPAddress? {
    guard let type else { return nil }
    if type == .name {
      _ = string(node, Syntax.dnsSubdomain)
      return nil
    }
    guard let text = string(node) else { return nil }
    guard let address = IPAddress(text), address.isV4 == !text.utf8.contains(UInt8(ascii: ":")),
      address.isV4 == (type == .v4)
    else {
      problem(node, "expected an \(type.rawValue) address, found \(quoted(text))")
      return nil
    }
    if Decoding.unreachable.contains(where: { $0.contains(address) }) {
      problem(
        node,
        "expected an endpoint's address, found \(quoted(text)) "
          + "(unspecified, loopback, link-local or multicast)")
      return nil
    }
    return address
  }

  /// Nobody asks for them yet: policy judges the port that is dialled.
  private func slicePorts(of object: Fields) {
    var names: Set<String> = []
    _ = sizedList("ports", of: object, 0...20_000, what: "ports") { node -> Void? in
      guard let fields = fields(node, Decoding.slicePortShape) else { return nil }
      let name = field("name", of: fields) { stringOrEmpty($0, Syntax.dnsLabel) } ?? ""
      if !names.insert(name).inserted {
        problem(fields["name"] ?? node, field: "name", "the port name \(quoted(name)) stands twice")
      }
      _ = protocolField(of: fields)
      _ = field("port", of: fields) { port($0) }
      _ = field("appProtocol", of: fields) { string($0, Syntax.labelKey) }
      return ()
    }
  }
}
