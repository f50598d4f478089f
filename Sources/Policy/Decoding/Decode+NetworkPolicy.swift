/// The rules are those of k8s.io/kubernetes/pkg/apis/networking (types, defaults and validation).
extension Decoding {
  private static let networkPolicyShape = Shape(
    what: "a NetworkPolicy", read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])
  private static let networkPolicySpecShape = Shape(
    what: "a NetworkPolicySpec", read: ["podSelector", "ingress", "egress", "policyTypes"])
  private static let ingressRuleShape = Shape(what: "an ingress rule", read: ["from", "ports"])
  private static let egressRuleShape = Shape(what: "an egress rule", read: ["to", "ports"])
  private static let peerShape = Shape(
    what: "a NetworkPolicyPeer", read: ["podSelector", "namespaceSelector", "ipBlock"])
  private static let ipBlockShape = Shape(what: "an IPBlock", read: ["cidr", "except"])
  private static let portShape = Shape(what: "a NetworkPolicyPort", read: ["port", "endPort", "protocol"])
  static let selectorShape = Shape(
    what: "a LabelSelector", read: ["matchLabels", "matchExpressions"])
  private static let requirementShape = Shape(
    what: "a LabelSelectorRequirement", read: ["key", "operator", "values"])

  private enum PolicyType: String {
    case ingress = "Ingress"
    case egress = "Egress"
  }

  func networkPolicy(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.networkPolicyShape) else { return }
    passStatus(of: object)
    let meta = metadata(of: object, kind: "NetworkPolicy")
    // Without a spec it has an empty selector: it isolates every pod of its namespace.
    var policy = NetworkPolicy(
      name: meta?.name ?? Name("", ""), podSelector: .everything, ingress: [], egress: [],
      isolatesIngress: true,
      isolatesEgress: false, place: place(node))
    _ = field("spec", of: object) { networkPolicySpec($0, into: &policy) }
    if meta != nil { add(.networkPolicy(policy)) }
  }

  private func networkPolicySpec(_ node: YAML.Node, into policy: inout NetworkPolicy) {
    guard let fields = fields(node, Decoding.networkPolicySpecShape) else { return }
    policy.podSelector = field("podSelector", of: fields) { selector($0) } ?? .everything
    policy.ingress = listField("ingress", of: fields, what: "ingress rules") {
      policyRule($0, Decoding.ingressRuleShape, peers: "from")
    }
    policy.egress = listField("egress", of: fields, what: "egress rules") {
      policyRule($0, Decoding.egressRuleShape, peers: "to")
    }
    let types = listField("policyTypes", of: fields, what: "policy types") {
      oneOf([PolicyType.ingress, .egress], $0)
    }
    if let node = fields["policyTypes"], types.count > 2 {
      problem(node, field: "policyTypes", "expected at most two policy types, found \(types.count)")
    }
    // An empty list is defaulted like an absent one.
    policy.isolatesIngress = types.isEmpty || types.contains(.ingress)
    policy.isolatesEgress = types.isEmpty ? !policy.egress.isEmpty : types.contains(.egress)
  }

  private func policyRule(_ node: YAML.Node, _ shape: Shape, peers name: String) -> NetworkPolicy.Rule? {
    guard let fields = fields(node, shape) else { return nil }
    let peers = listField(name, of: fields, what: "peers") { item in peer(item).map { ($0, place(item)) } }
    let ports = listField("ports", of: fields, what: "ports") { policyPort($0) }
    return NetworkPolicy.Rule(
      peers: peers.map(\.0), ports: ports, peerPlaces: peers.map(\.1), place: place(node))
  }

  private func peer(_ node: YAML.Node) -> NetworkPolicy.Peer? {
    guard let fields = fields(node, Decoding.peerShape) else { return nil }
    let selects = fields["podSelector"] != nil || fields["namespaceSelector"] != nil
    if fields["ipBlock"] != nil {
      if selects {
        problem(node, "expected either `ipBlock` or selectors in one peer, found both")
        _ = peerSelector(of: fields)
      }
      return field("ipBlock", of: fields) { ipBlock($0) }.map { .ipBlock($0) }
    }
    guard selects else {
      // Nobody or everybody? The API server does not guess either.
      problem(node, "expected a peer: `podSelector`, `namespaceSelector` or `ipBlock`")
      return nil
    }
    return .selector(peerSelector(of: fields))
  }

  func peerSelector(of fields: Fields) -> PeerSelector {
    PeerSelector(
      namespaces: field("namespaceSelector", of: fields) { selector($0) },
      pods: field("podSelector", of: fields) { selector($0) })
  }

  private func ipBlock(_ node: YAML.Node) -> NetworkPolicy.IPBlock? {
    guard let fields = fields(node, Decoding.ipBlockShape) else { return nil }
    let block = required("cidr", of: fields) { cidr($0) }
    let except = listField("except", of: fields, what: "blocks") { item -> CIDR? in
      guard let inner = cidr(item), let block else { return nil }
      guard block.isV4 == inner.isV4, block.contains(inner), inner.prefix > block.prefix else {
        problem(item, "expected a part of \(block), smaller than it, found \(quoted(item.text))")
        return nil
      }
      return inner
    }
    guard let block else { return nil }
    return NetworkPolicy.IPBlock(cidr: block, except: except)
  }

  func cidr(_ node: YAML.Node) -> CIDR? {
    guard let text = string(node) else { return nil }
    guard let cidr = CIDR(text) else {
      problem(node, "expected a block such as 10.0.0.0/8 or fd00::/8, found \(quoted(text))")
      return nil
    }
    return cidr
  }

  private func policyPort(_ node: YAML.Node) -> NetworkPolicy.Port? {
    guard let fields = fields(node, Decoding.portShape) else { return nil }
    let kind = protocolField(of: fields)
    let end = field("endPort", of: fields) { port($0) }
    let number: PortMatch.Number? =
      fields["port"] == nil ? .any : field("port", of: fields) { portNumber($0, end: end) }
    if let node = fields["endPort"], let end {
      switch number {
      case .any: problem(node, field: "endPort", "expected a `port` beside `endPort`")
      case .named(let name):
        problem(
          node, field: "endPort", "expected a `port` with a number beside `endPort`, found \(quoted(name))")
      case .range(let range) where range.lowerBound > end:
        problem(node, field: "endPort", "expected \(range.lowerBound) or more (`port`), found `\(end)`")
      default: break
      }
    }
    guard let kind, let number else { return nil }
    return NetworkPolicy.Port(protocol: kind, number: number)
  }

  func portNumber(_ node: YAML.Node, end: UInt16?) -> PortMatch.Number? {
    if case .string = node.value {
      guard Syntax.portName(node.text) != nil else { return .named(node.text) }
      // The usual slip; the API server refuses it too.
      if isDecimal(node) {
        expected("a port number or a port's name", node)
        return nil
      }
      return string(node, Syntax.portName).map { .named($0) }
    }
    guard case .integer = node.value else {
      expected("a port number or a port's name", node)
      return nil
    }
    return port(node).map { .range($0...max($0, end ?? $0)) }
  }
}

// MARK: - Label selectors

extension Decoding {
  func selector(_ node: YAML.Node) -> Selector? {
    guard let fields = fields(node, Decoding.selectorShape) else { return nil }
    let labels = field("matchLabels", of: fields) { self.labels($0) } ?? [:]
    let expressions = listField("matchExpressions", of: fields, what: "requirements") { requirement($0) }
    return Selector(Decoding.requirements(labels) + expressions)
  }

  /// Sorted, so that selectors that say the same are equal.
  static func requirements(_ labels: Labels) -> [Selector.Requirement] {
    labels.sorted { $0.key < $1.key }
      .map { Selector.Requirement(key: $0.key, operator: .in, values: [$0.value]) }
  }

  func requirement(
    _ node: YAML.Node, key rule: (String) -> String? = Syntax.labelKey
  ) -> Selector.Requirement? {
    guard let fields = fields(node, Decoding.requirementShape) else { return nil }
    let key = required("key", of: fields) { string($0, rule) }
    let kind = required("operator", of: fields) {
      oneOf([Selector.Operator.in, .notIn, .exists, .doesNotExist], $0)
    }
    let values = listField("values", of: fields, what: "label values") { string($0, Syntax.labelValue) }
    guard let key, let kind else { return nil }
    let given = if case .sequence(let items)? = fields["values"]?.value { items.count } else { 0 }
    switch kind {
    case .in, .notIn:
      if given == 0 {
        problem(fields["values"] ?? node, field: "values", "expected at least one value for \(kind.rawValue)")
      }
    case .exists, .doesNotExist:
      if given > 0, let node = fields["values"] {
        problem(node, field: "values", "expected no values for \(kind.rawValue)")
      }
    }
    return Selector.Requirement(key: key, operator: kind, values: Set(values))
  }
}
