/// A label's key as Cilium writes it in selectors: `SOURCE:KEY` (pkg/labels, parseSource).
struct CiliumKey {
  /// Empty: of any source, as with `any:`.
  var source: Substring
  var key: Substring

  init(_ text: String) {
    if text.hasPrefix("$") {
      (source, key) = ("reserved", text.dropFirst())
    } else if let colon = text.firstIndex(of: ":") {
      (source, key) = (text[..<colon], text[text.index(after: colon)...])
    } else if text.hasPrefix("reserved.") {
      (source, key) = ("reserved", text.dropFirst("reserved.".count))
    } else {
      (source, key) = ("", text[...])
    }
  }

  static let namespace = "io.kubernetes.pod.namespace"
  /// A namespace's label K is an endpoint's label with this before it.
  static let namespaceLabels = "io.cilium.k8s.namespace.labels."
  static let account = "io.cilium.k8s.policy.serviceaccount"
  static let cluster = "io.cilium.k8s.policy.cluster"
  /// The name a cluster has unless it is given another; the only one weir knows.
  static let ownCluster = "default"

  /// What is wrong with a key in a selector of endpoints.
  static func fault(_ text: String) -> String? { fault(text, sources: ["", "any", "k8s", "reserved"]) }

  /// The same in a selector of nodes.
  static func faultOfNode(_ text: String) -> String? { fault(text, sources: ["", "any", "k8s", "node"]) }

  private static func fault(_ text: String, sources: [Substring]) -> String? {
    let name = CiliumKey(text)
    guard sources.contains(name.source) else {
      return "labels of the source \(quoted(name.source)) are not supported; "
        + "expected \(sources.dropFirst().map { quoted($0 + ":") }.joined(separator: ", ")) or no source"
    }
    if name.source == "reserved" {
      return entity(name.key) == nil ? "expected a reserved label such as `reserved:host`" : nil
    }
    if name.key.hasPrefix(namespaceLabels) {
      return Syntax.labelKey(String(name.key.dropFirst(namespaceLabels.count)))
    }
    return Syntax.labelKey(String(name.key))
  }

  /// `all` and `cluster` are no labels, but words for several.
  static func entity(_ key: some StringProtocol) -> Entity? {
    Entity(rawValue: String(key)).flatMap { $0 == .all || $0 == .cluster ? nil : $0 }
  }
}

/// EndpointSelectors: which labels are asked, and in which namespaces (pkg/k8s/apis/cilium.io/utils).
extension Decoding {
  /// One requirement, its key taken apart.
  private struct Term {
    var source: Substring
    var requirement: Selector.Requirement
    /// Where to complain.
    var node: YAML.Node
    /// From `matchLabels`.
    var isLabel: Bool

    var key: String { requirement.key }
    var isReserved: Bool { source == "reserved" }

    init(_ requirement: Selector.Requirement, _ node: YAML.Node, isLabel: Bool) {
      let name = CiliumKey(requirement.key)
      source = name.source
      self.requirement = requirement
      self.requirement.key = String(name.key)
      self.node = node
      self.isLabel = isLabel
    }
  }

  private func terms(_ node: YAML.Node, _ rule: (String) -> String?) -> [Term]? {
    guard let fields = fields(node, Decoding.selectorShape) else { return nil }
    var terms: [Term] = []
    _ = field("matchLabels", of: fields) { node in
      strings(node, what: "labels") { entry in
        if let fault = rule(entry.key) { problem(entry.keyNode, "\(fault), found \(quoted(entry.key))") }
        if let fault = Syntax.labelValue(entry.node.text) {
          problem(entry.node, "\(fault), found \(quoted(entry.node.text))")
        }
        terms.append(
          Term(
            Selector.Requirement(key: entry.key, operator: .in, values: [entry.node.text]), entry.keyNode,
            isLabel: true))
      }
    }
    // Sorted, so that selectors that say the same are equal.
    terms.sort { ($0.key, $0.source) < ($1.key, $1.source) }
    terms += listField("matchExpressions", of: fields, what: "requirements") { item in
      requirement(item, key: rule).map { Term($0, item, isLabel: false) }
    }
    return terms
  }

  /// An entry of fromEndpoints or toEndpoints.
  func ciliumEndpoints(_ node: YAML.Node, _ scope: CiliumScope) -> Peer? {
    guard let terms = terms(node, CiliumKey.fault) else { return nil }
    if let reserved = terms.first(where: \.isReserved) { return entity(reserved, among: terms) }
    var selector = selector(terms)
    // getEndpointSelector: own namespace, unless the selector speaks of namespaces itself. A clusterwide one
    // asks for any namespace, which every endpoint here has.
    if let namespace = scope.namespace, selector.namespaces == .everything {
      selector.namespaces = Decoding.own(namespace)
    }
    return .selector(selector)
  }

  /// `reserved:host` and its like: no namespace belongs to it.
  private func entity(_ term: Term, among terms: [Term]) -> Peer? {
    let exists = term.requirement.operator == .exists || term.requirement.values == [""]
    guard terms.count == 1, exists, [.in, .exists].contains(term.requirement.operator) else {
      let what =
        "expected \(quoted("reserved:" + term.key)) alone, with the value \"\" or the operator Exists"
      problem(term.node, "\(what); more cannot be asked of a reserved label")
      return nil
    }
    return CiliumKey.entity(term.key).map { .entity($0) }
  }

  /// `endpointSelector`. Endpoints here have no reserved label: to ask for one selects nobody, to ask that
  /// one is missing is always so.
  func ciliumSubject(_ node: YAML.Node, _ scope: CiliumScope) -> PeerSelector? {
    guard var terms = terms(node, CiliumKey.fault) else { return nil }
    let asksReserved = terms.contains {
      $0.isReserved && ($0.requirement.operator == .in || $0.requirement.operator == .exists)
    }
    terms.removeAll(where: \.isReserved)
    if scope.namespace != nil {
      // ParseToCiliumRule: the policy's own namespace takes the place of another under the same key.
      terms.removeAll { $0.isLabel && $0.source == "k8s" && $0.key == CiliumKey.namespace }
    }
    var selector = selector(terms)
    if let namespace = scope.namespace {
      let own = Decoding.own(namespace).requirements
      selector.namespaces = Selector(own + (selector.namespaces?.requirements ?? []))
    }
    if asksReserved {
      selector.namespaces = Selector([.init(key: Decoding.namespaceName, operator: .in, values: [])])
    }
    return selector
  }

  /// `nodeSelector`, and an entry of fromNodes or toNodes.
  func ciliumNodes(_ node: YAML.Node) -> Selector? {
    guard let terms = terms(node, CiliumKey.faultOfNode) else { return nil }
    return Selector(terms.compactMap { $0.key == CiliumKey.cluster ? cluster($0) : $0.requirement })
  }

  private static let namespaceName = "kubernetes.io/metadata.name"

  private static func own(_ namespace: String) -> Selector {
    Selector([.init(key: namespaceName, operator: .in, values: [namespace])])
  }

  /// `namespaces` is `everything` where no term speaks of them.
  private func selector(_ terms: [Term]) -> PeerSelector {
    var pods: [Selector.Requirement] = []
    var namespaces: [Selector.Requirement] = []
    var accounts: [Selector.Requirement] = []
    for term in terms {
      var requirement = term.requirement
      if term.key == CiliumKey.namespace {
        requirement.key = Decoding.namespaceName
        namespaces.append(requirement)
      } else if term.key.hasPrefix(CiliumKey.namespaceLabels) {
        requirement.key = String(term.key.dropFirst(CiliumKey.namespaceLabels.count))
        namespaces.append(requirement)
      } else if term.key == CiliumKey.account {
        accounts.append(requirement)
      } else if term.key == CiliumKey.cluster {
        _ = cluster(term)
      } else {
        pods.append(requirement)
      }
    }
    return PeerSelector(
      namespaces: Selector(namespaces), pods: Selector(pods),
      accounts: accounts.isEmpty ? nil : Selector(accounts))
  }

  /// Nothing to ask where it holds for this cluster. Otherwise it would select nobody for a reason that is
  /// probably not meant: the cluster has a name of its own, which no file here says.
  private func cluster(_ term: Term) -> Selector.Requirement? {
    if !Selector([term.requirement]).matches([term.key: CiliumKey.ownCluster]) {
      problem(
        term.node,
        "other clusters are not supported: \(quoted(CiliumKey.cluster)) is `\(CiliumKey.ownCluster)` here; "
          + "leave it out"
      )
    }
    return nil
  }
}
