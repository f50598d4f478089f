/// The members of a Cilium rule that name a peer.
extension Decoding {
  private static let cidrRuleShape = Shape(
    what: "an entry of a CIDR set", read: ["cidr", "except"],
    unsupported: [
      "cidrGroupRef": "CiliumCIDRGroups are not read; write the blocks",
      "cidrGroupSelector": "CiliumCIDRGroups are not read; write the blocks",
    ])

  /// nil where no member is there. A member that is there and empty selects nobody, whatever stands beside it
  /// (pkg/k8s/apis/cilium.io: mergeEndpointSelectors).
  func ciliumPeers(of fields: Fields, _ side: CiliumSide, _ scope: CiliumScope) -> [CiliumPolicy.NamedPeer]? {
    var peers: [CiliumPolicy.NamedPeer] = []
    var said: String?
    var nobody = false
    for member in side.peers {
      guard let node = fields[member] else { continue }
      let found = listField(member, of: fields, what: "peers") { item in
        ciliumPeer(item, member, scope).map { ($0, place(item)) }
      }
      guard case .sequence(let items) = node.value, !items.isEmpty else {
        nobody = true
        continue
      }
      if let said {
        problem(
          node, field: member,
          "\(quoted(said)) and \(quoted(member)) cannot stand in one rule; write two rules")
      }
      said = said ?? member
      for (index, peer) in found.enumerated() {
        peers.append(CiliumPolicy.NamedPeer(peer.0, path: "\(member)[\(index)]", place: peer.1))
      }
    }
    return nobody ? [] : said == nil ? nil : peers
  }

  private func ciliumPeer(_ node: YAML.Node, _ member: String, _ scope: CiliumScope) -> Peer? {
    switch member {
    case "fromEndpoints", "toEndpoints": ciliumEndpoints(node, scope)
    case "fromNodes", "toNodes": ciliumNodes(node).map { .nodes($0) }
    case "fromEntities", "toEntities": oneOf(Entity.allCases, node).map { .entity($0) }
    case "fromCIDR", "toCIDR": blockOrAddress(node).map { .outside(IPBlock(cidr: $0)) }
    default: cidrRule(node).map { .outside($0) }
    }
  }

  /// `10.0.0.0/8`, or an address alone, which is its block of one.
  func blockOrAddress(_ node: YAML.Node) -> CIDR? {
    guard let text = string(node) else { return nil }
    if let address = IPAddress(text) { return CIDR(base: address, prefix: 128) }
    guard let cidr = CIDR(text) else {
      problem(node, "expected an address or a block such as 10.0.0.0/8 or fd00::/8, found \(quoted(text))")
      return nil
    }
    return cidr
  }

  private func cidrRule(_ node: YAML.Node) -> IPBlock? {
    guard let fields = fields(node, Decoding.cidrRuleShape) else { return nil }
    let groups = fields["cidrGroupRef"] != nil || fields["cidrGroupSelector"] != nil
    let block = groups ? field("cidr", of: fields) { cidr($0) } : required("cidr", of: fields) { cidr($0) }
    let except = listField("except", of: fields, what: "blocks") { item -> CIDR? in
      guard let inner = cidr(item), let block else { return nil }
      // Cilium asks no more than this: what is as large as the block leaves nothing of it.
      guard block.contains(inner) || inner.contains(block) else {
        problem(item, "expected a part of \(block), found \(quoted(item.text))")
        return nil
      }
      return inner
    }
    return block.map { IPBlock(cidr: $0, except: except) }
  }
}
