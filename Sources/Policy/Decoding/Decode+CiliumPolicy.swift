/// The rules are those of Cilium: pkg/policy/api (types and validation), pkg/k8s/apis/cilium.io (the schema,
/// and how a selector gets its namespace). What Cilium has and weir does not judge is refused by name.
extension Decoding {
  private static let ciliumPolicyShape = Shape(
    what: "a CiliumNetworkPolicy", read: ["metadata", "spec", "specs", "status"],
    passed: ["apiVersion", "kind"])
  private static let ciliumRuleShape = Shape(
    what: "a Cilium rule",
    read: [
      "endpointSelector", "nodeSelector", "ingress", "ingressDeny", "egress", "egressDeny",
      "enableDefaultDeny",
    ], passed: ["labels", "description", "log"])
  private static let defaultDenyShape = Shape(what: "`enableDefaultDeny`", read: ["ingress", "egress"])

  /// Where the selectors of a spec look.
  struct CiliumScope {
    /// nil: clusterwide.
    var namespace: String?
    /// The spec has a `nodeSelector`.
    var selectsNodes = false
  }

  func ciliumPolicy(_ node: YAML.Node, _ kind: CiliumPolicy.Kind) {
    guard let object = fields(node, Decoding.ciliumPolicyShape) else { return }
    passStatus(of: object)
    let meta =
      kind == .clusterwide
      ? clusterMetadata(of: object, kind: kind.rawValue)
      : metadata(of: object, kind: kind.rawValue)
    let name = meta?.name ?? Name("", "")
    if object["spec"] == nil, object["specs"] == nil {
      problem(node, field: "spec", "expected `spec` or `specs`")
    }
    var policies: [CiliumPolicy] = []
    if let policy = field("spec", of: object, { ciliumSpec($0, kind, name) }) { policies.append(policy) }
    let specs = listField("specs", of: object, what: "Cilium rules") { ciliumSpec($0, kind, name) }
    for (index, var policy) in specs.enumerated() {
      policy.prefix = "specs[\(index)]."
      policies.append(policy)
    }
    if meta != nil { add(.ciliumPolicies(policies)) }
  }

  /// `spec`, or an entry of `specs`. The place is its own, so that two of one object can be told apart.
  private func ciliumSpec(_ node: YAML.Node, _ kind: CiliumPolicy.Kind, _ name: Name) -> CiliumPolicy? {
    guard let fields = fields(node, Decoding.ciliumRuleShape) else { return nil }
    var scope = CiliumScope(namespace: kind == .clusterwide ? nil : name.namespace)
    scope.selectsNodes = fields["nodeSelector"] != nil
    let subject = ciliumSubject(of: fields, kind, scope)
    let rules = CiliumSide.all.map { side in
      listField(side.list, of: fields, what: "rules") { ciliumRule($0, side, scope) }
    }
    let given = CiliumSide.all.map { side in
      if case .sequence(let items)? = fields[side.list]?.value { !items.isEmpty } else { false }
    }
    if !given.contains(true) {
      // Rule.Validate: with no rule at all Cilium does not take the policy, and enforces nothing.
      problem(
        node,
        "expected at least one rule in ingress, ingressDeny, egress or egressDeny; one rule `{}` isolates")
    }
    let denies = field("enableDefaultDeny", of: fields) { defaultDeny($0) }
    guard let subject else { return nil }
    return CiliumPolicy(
      kind: kind, name: name, subject: subject, ingress: rules[0], ingressDeny: rules[1], egress: rules[2],
      egressDeny: rules[3], isolatesIngress: denies?.ingress ?? (given[0] || given[1]),
      isolatesEgress: denies?.egress ?? (given[2] || given[3]), place: place(node))
  }

  private func ciliumSubject(
    of fields: Fields, _ kind: CiliumPolicy.Kind, _ scope: CiliumScope
  ) -> CiliumPolicy.Subject? {
    let endpoints = field("endpointSelector", of: fields) { ciliumSubject($0, scope) }
    let nodes = field("nodeSelector", of: fields) { ciliumNodes($0) }
    guard let node = fields["nodeSelector"] else {
      if fields["endpointSelector"] == nil {
        let what = kind == .clusterwide ? "`endpointSelector` or `nodeSelector`" : "`endpointSelector`"
        problem(fields.node, field: "endpointSelector", "expected \(what); `{}` selects all")
      }
      return endpoints.map { .endpoints($0) }
    }
    if kind != .clusterwide {
      problem(
        node, field: "nodeSelector",
        "only a CiliumClusterwideNetworkPolicy has a `nodeSelector`: nodes are in no namespace"
      )
    } else if fields["endpointSelector"] != nil {
      problem(node, field: "nodeSelector", "expected either `endpointSelector` or `nodeSelector`, found both")
    }
    return nodes.map { .nodes($0) }
  }

  private func defaultDeny(_ node: YAML.Node) -> (ingress: Bool?, egress: Bool?)? {
    guard let fields = fields(node, Decoding.defaultDenyShape) else { return nil }
    return (field("ingress", of: fields) { bool($0) }, field("egress", of: fields) { bool($0) })
  }
}

// MARK: - Rules

extension Decoding {
  /// One of the four lists of rules.
  struct CiliumSide: Sendable {
    var list: String
    var denies: Bool
    /// The members that name a peer, in the order they are read. Only one of them may say something
    /// (IngressCommonRule.Validate, EgressCommonRule.Validate).
    var peers: [String]
    var shape: Shape

    static let all = [
      CiliumSide("ingress", denies: false), CiliumSide("ingressDeny", denies: true),
      CiliumSide("egress", denies: false), CiliumSide("egressDeny", denies: true),
    ]

    private init(_ list: String, denies: Bool) {
      let ingress = list.hasPrefix("ingress")
      let word = ingress ? "from" : "to"
      self.list = list
      self.denies = denies
      peers = ["Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes"].map { word + $0 }
      var unsupported = [
        word + "Requires": "it constrains the rules of other policies, and Cilium has removed it",
        word + "Groups": "it asks a cloud provider for addresses",
      ]
      if !ingress {
        unsupported["toServices"] =
          "name the endpoints behind the Service (toEndpoints), or its addresses (toCIDR)"
        if !denies {
          unsupported["toFQDNs"] = "names are not followed through DNS; name the addresses (toCIDR)"
        }
      }
      shape = Shape(
        what: "a rule of `\(list)`", read: peers + ["toPorts", "icmps"] + (denies ? [] : ["authentication"]),
        unsupported: unsupported)
    }
  }

  private static let authenticationShape = Shape(what: "`authentication`", read: ["mode"])

  private enum AuthenticationMode: String {
    case disabled, required
    case fails = "test-always-fail"
  }

  private func ciliumRule(_ node: YAML.Node, _ side: CiliumSide, _ scope: CiliumScope) -> CiliumPolicy.Rule? {
    guard let fields = fields(node, side.shape) else { return nil }
    _ = field("authentication", of: fields) { authentication($0) }
    let ports = listField("toPorts", of: fields, what: "ports") { item -> CiliumPolicy.Ports? in
      ciliumPorts(item, denies: side.denies, scope)
    }
    let icmps = listField("icmps", of: fields, what: "ICMP rules") { ciliumICMP($0) }
    if !ports.isEmpty, !icmps.isEmpty, let node = fields["icmps"] {
      problem(node, field: "icmps", "expected either `toPorts` or `icmps` in one rule; write a second rule")
    }
    func placed(_ entries: [CiliumPolicy.Ports], _ member: String) -> [CiliumPolicy.Ports] {
      entries.enumerated().map { index, entry in
        var entry = entry
        entry.path = "\(member)[\(index)]"
        return entry
      }
    }
    return CiliumPolicy.Rule(
      peers: ciliumPeers(of: fields, side, scope), ports: placed(ports, "toPorts") + placed(icmps, "icmps"),
      place: place(node))
  }

  private func authentication(_ node: YAML.Node) {
    guard let fields = fields(node, Decoding.authenticationShape) else { return }
    _ = required("mode", of: fields) { node in
      let mode = oneOf([AuthenticationMode.disabled, .required, .fails], node)
      if let mode, mode != .disabled {
        problem(
          node, "authentication \(quoted(mode.rawValue)) is not supported: weir has no mutual authentication")
      }
    }
  }
}
