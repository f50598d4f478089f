/// The rules are those of sigs.k8s.io/network-policy-api, apis/v1alpha1, v1alpha2 and v1beta1: the types'
/// `kubebuilder:validation` marks, and for selectors what metav1.LabelSelector documents.
extension Decoding {
  /// What differs between the kinds and their versions.
  struct AdminDialect: Sendable {
    var kind: AdminPolicy.Kind
    /// The words of a rule's `action`.
    var actions: [AdminAction]
    /// The most rules of a direction, peers of a rule and ports of a rule.
    var limit: Int
    /// `ports`, or `protocols` from v1alpha2 on.
    var ports: String
    /// In `pods`, `namespaceSelector` may be left out and then selects every namespace.
    var namespacesOptional: Bool
    /// Networks with bits beyond their prefix are refused.
    var masked = false

    static let v1alpha2 = AdminDialect(
      kind: .clusterNetworkPolicy, actions: [.accept, .deny, .pass], limit: 25, ports: "protocols",
      namespacesOptional: true)
    static let v1beta1 = AdminDialect(
      kind: .clusterNetworkPolicy, actions: [.accept, .deny, .pass], limit: 25, ports: "protocols",
      namespacesOptional: true, masked: true)
    static let admin = AdminDialect(
      kind: .adminNetworkPolicy, actions: [.allow, .deny, .pass], limit: 100, ports: "ports",
      namespacesOptional: false)
    static let baseline = AdminDialect(
      kind: .baselineAdminNetworkPolicy, actions: [.allow, .deny], limit: 100, ports: "ports",
      namespacesOptional: false)

    /// "a ClusterNetworkPolicy"
    var title: String { (kind == .adminNetworkPolicy ? "an " : "a ") + kind.rawValue }
  }

  enum AdminAction: String {
    case accept = "Accept"
    case allow = "Allow"
    case deny = "Deny"
    case pass = "Pass"

    var action: AdminPolicy.Action {
      switch self {
      case .accept, .allow: .accept
      case .deny: .deny
      case .pass: .pass
      }
    }
  }

  private enum AdminTier: String {
    case admin = "Admin"
    case baseline = "Baseline"
  }

  func adminPolicy(_ node: YAML.Node, _ dialect: AdminDialect) {
    let shape = Shape(
      what: dialect.title, read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])
    guard let object = fields(node, shape) else { return }
    passStatus(of: object)
    let meta = clusterMetadata(of: object, kind: dialect.kind.rawValue)
    if dialect.kind == .baselineAdminNetworkPolicy, let meta, meta.name.name != "default" {
      _ = field("metadata", of: object) { head in
        field("name", of: Fields(node: head, entries: head.entries)) {
          problem($0, "expected `default`, the only name \(dialect.title) can have, found \(quoted($0.text))")
        }
      }
    }
    let policy = required("spec", of: object) { adminSpec($0, dialect, meta) }
    if let policy { add(.adminPolicy(policy)) }
  }

  private func adminSpec(_ node: YAML.Node, _ dialect: AdminDialect, _ meta: Metadata?) -> AdminPolicy? {
    let head: [String] =
      switch dialect.kind {
      case .clusterNetworkPolicy: ["tier", "priority"]
      case .adminNetworkPolicy: ["priority"]
      case .baselineAdminNetworkPolicy: []
      }
    let shape = Shape(what: "\(dialect.title)'s spec", read: head + ["subject", "ingress", "egress"])
    guard let fields = fields(node, shape) else { return nil }
    var tier: AdminPolicy.Tier? = dialect.kind == .baselineAdminNetworkPolicy ? .baseline : .admin
    if head.contains("tier") {
      tier = required("tier", of: fields) { oneOf([AdminTier.admin, .baseline], $0) }
        .map { $0 == .admin ? .admin : .baseline }
    }
    let priority =
      head.contains("priority")
      ? required("priority", of: fields) { wholeNumber($0, in: 0...1000, what: "a priority") } : 0
    let subject = required("subject", of: fields) { adminSubject($0, dialect) }
    let ingress = adminRules("ingress", of: fields, dialect)
    let egress = adminRules("egress", of: fields, dialect)
    guard let meta, let tier, let priority, let subject else { return nil }
    return AdminPolicy(
      kind: dialect.kind, name: meta.name, tier: tier, priority: priority, subject: subject, ingress: ingress,
      egress: egress, place: meta.place)
  }

  private func adminSubject(_ node: YAML.Node, _ dialect: AdminDialect) -> PeerSelector? {
    guard let fields = fields(node, Shape(what: "a subject", read: ["namespaces", "pods"])),
      exactlyOne(of: ["namespaces", "pods"], in: fields)
    else { return nil }
    return adminSelector(of: fields, dialect)
  }

  /// `namespaces` or `pods`, of a subject and of a peer.
  private func adminSelector(of fields: Fields, _ dialect: AdminDialect) -> PeerSelector? {
    let namespaces = field("namespaces", of: fields) { selector($0) }
    let pods = field("pods", of: fields) { node -> PeerSelector? in
      let shape = Shape(what: "`pods`", read: ["namespaceSelector", "podSelector"])
      guard let fields = self.fields(node, shape) else { return nil }
      let absent = dialect.namespacesOptional && fields["namespaceSelector"] == nil
      let namespaces = absent ? .everything : required("namespaceSelector", of: fields) { selector($0) }
      let pods = required("podSelector", of: fields) { selector($0) }
      guard let namespaces, let pods else { return nil }
      return PeerSelector(namespaces: namespaces, pods: pods)
    }
    return pods ?? namespaces.map { PeerSelector(namespaces: $0, pods: nil) }
  }
}

// MARK: - Rules

extension Decoding {
  private func adminRules(_ name: String, of fields: Fields, _ dialect: AdminDialect) -> [AdminPolicy.Rule] {
    sizedList(name, of: fields, 0...dialect.limit, what: "rules") {
      adminRule($0, dialect, egress: name == "egress")
    } ?? []
  }

  private func adminRule(_ node: YAML.Node, _ dialect: AdminDialect, egress: Bool) -> AdminPolicy.Rule? {
    let (what, name) = egress ? ("an egress rule", "to") : ("an ingress rule", "from")
    guard let fields = fields(node, Shape(what: what, read: ["name", "action", name, dialect.ports])) else {
      return nil
    }
    _ = field("name", of: fields) { node in
      guard let text = string(node), text.unicodeScalars.count > 100 else { return }
      problem(node, "expected at most 100 characters, found \(text.unicodeScalars.count)")
    }
    let action = required("action", of: fields) { oneOf(dialect.actions, $0) }
    var rule = AdminPolicy.Rule(
      action: action?.action ?? .deny, peers: [], ports: nil, peerPlaces: [], place: place(node))
    if fields[name] == nil { problem(node, field: name, "\(quoted(name)) is required") }
    var index = -1
    _ = sizedList(name, of: fields, 1...dialect.limit, what: "peers") { item in
      index += 1
      for (peer, place) in adminPeers(item, dialect, egress: egress) {
        rule.peers.append(peer)
        rule.peerPlaces.append(place)
        rule.peerIndices.append(index)
      }
    }
    rule.ports = sizedList(dialect.ports, of: fields, 1...dialect.limit, what: "ports") {
      dialect.kind == .clusterNetworkPolicy ? adminProtocol($0) : adminPort($0)
    }
    refuseUnnamed(rule, dialect, fields)
    return rule
  }

  /// Only pods have named ports.
  private func refuseUnnamed(_ rule: AdminPolicy.Rule, _ dialect: AdminDialect, _ fields: Fields) {
    let named = rule.ports?.contains { if case .named = $0.number { true } else { false } } ?? false
    let portless = rule.peers.contains {
      switch $0 {
      case .ipBlock, .nodes: true
      default: false
      }
    }
    guard named, portless, let node = fields[dialect.ports] else { return }
    problem(
      node, field: dialect.ports,
      "expected ports by number beside `networks` and `nodes`, which have no named ports")
  }

  private static let ingressPeers = ["namespaces", "pods"]
  private static let egressPeers = ingressPeers + ["nodes", "networks", "domainNames"]

  /// One peer of the file; each of its networks is one here.
  private func adminPeers(_ node: YAML.Node, _ dialect: AdminDialect, egress: Bool) -> [(Peer, Place)] {
    let members = egress ? Decoding.egressPeers : Decoding.ingressPeers
    let shape = Shape(what: egress ? "an egress peer" : "an ingress peer", read: Decoding.egressPeers)
    guard let fields = fields(node, shape), exactlyOne(of: members, in: fields) else { return [] }
    for entry in fields.entries where !entry.node.isNull && Decoding.egressPeers.contains(entry.key) {
      if !members.contains(entry.key) {
        problem(entry.keyNode, field: entry.key, "\(quoted(entry.key)) is a peer of egress rules only")
      } else if entry.key == "domainNames" {
        problem(
          entry.keyNode, field: entry.key,
          "`domainNames` is not supported until DNS is followed; name `networks` instead")
      }
    }
    var known: Set<String> = []
    let networks =
      !egress
      ? nil
      : sizedList("networks", of: fields, 1...25, what: "networks") { item -> (Peer, Place)? in
        guard let block = network(item, dialect) else { return nil }
        if !known.insert(item.text).inserted { problem(item, "\(quoted(item.text)) stands twice") }
        return (.ipBlock(IPBlock(cidr: block)), place(item))
      }
    if let networks { return networks }
    let nodes = egress ? field("nodes", of: fields) { selector($0) } : nil
    if let nodes { return [(.nodes(nodes), place(node))] }
    return adminSelector(of: fields, dialect).map { [(.selector($0), place(node))] } ?? []
  }

  /// As CEL's isCIDR has it: no IPv4 address in IPv6's form. v1alpha1 refuses any dot beside a colon.
  private func network(_ node: YAML.Node, _ dialect: AdminDialect) -> CIDR? {
    guard let text = string(node) else { return nil }
    let colon = text.utf8.contains(UInt8(ascii: ":"))
    let dot = text.utf8.contains(UInt8(ascii: "."))
    guard text.utf8.count <= 43, let block = CIDR(text),
      let address = IPAddress(text.prefix { $0 != "/" }), !colon || !address.isV4
    else {
      problem(node, "expected a block such as 10.0.0.0/8 or fd00::/8, found \(quoted(text))")
      return nil
    }
    if dialect.kind != .clusterNetworkPolicy, colon, dot {
      problem(node, "expected a block without an IPv4 address inside an IPv6 one, found \(quoted(text))")
      return nil
    }
    if dialect.masked, block.base != address {
      problem(node, "expected no bits beyond the prefix (\(block)), found \(quoted(text))")
      return nil
    }
    return block
  }
}

extension YAML.Node {
  /// Of a mapping.
  var entries: [YAML.Entry] {
    if case .mapping(let entries) = value { entries } else { [] }
  }
}
