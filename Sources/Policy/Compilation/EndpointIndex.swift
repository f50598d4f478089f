/// The endpoints that selectors can mean, found by label rather than one by one: a thousand policies and a
/// thousand endpoints would otherwise be a million selector matches. Numbers are positions in `endpoints`,
/// which is by name.
struct EndpointIndex {
  private struct Label: Hashable {
    var key: String
    var value: String
  }

  let endpoints: [Endpoint]
  /// By name.
  let nodes: [Node]
  let position: [Name: Int]
  private let labelsOf: [String: Namespace]
  private var byNamespace: [String: [Int]] = [:]
  private var byLabel: [String: [Label: [Int]]] = [:]
  private var byPeer: [AuthorizationPeer: [Int]] = [:]
  private var namespacesOf: [Selector: [String]] = [:]
  private var known: [Atom: [Int]] = [:]

  /// - Parameter members: those to find; every endpoint that is not on the host's network unless said otherwise.
  init(_ set: PolicySet, members: [Endpoint]? = nil) {
    labelsOf = set.namespaces
    endpoints = members ?? set.endpoints.values.filter { !$0.hostNetwork }.sorted { $0.name < $1.name }
    nodes = set.nodes.values.sorted { $0.name < $1.name }
    position = Dictionary(uniqueKeysWithValues: endpoints.enumerated().map { ($1.name, $0) })
    var start = 0
    // Endpoints of one namespace stand together.
    while start < endpoints.count {
      let namespace = endpoints[start].name.namespace
      var labels: [Label: [Int]] = [:]
      var end = start
      while end < endpoints.count, endpoints[end].name.namespace == namespace {
        for (key, value) in endpoints[end].labels { labels[Label(key: key, value: value), default: []].append(end) }
        end += 1
      }
      byNamespace[namespace] = Array(start..<end)
      byLabel[namespace] = labels
      start = end
    }
    for (index, endpoint) in endpoints.enumerated() {
      byPeer[AuthorizationPeer(endpoint), default: []].append(index)
    }
  }

  var namespaces: [String] { byNamespace.keys.sorted() }

  /// The endpoints of one namespace that a selector (nil: every one) selects, ascending.
  func select(_ selector: Selector?, in namespace: String) -> [Int] {
    guard let selector, !selector.requirements.isEmpty else { return byNamespace[namespace] ?? [] }
    guard let labels = byLabel[namespace] else { return [] }
    // One `In` requirement is enough to narrow the search; the selector itself still has the word.
    guard let narrow = selector.requirements.first(where: { $0.operator == .in }) else {
      return (byNamespace[namespace] ?? []).filter { selector.matches(endpoints[$0].labels) }
    }
    let narrowed =
      narrow.values.count == 1
      ? narrow.values.first.flatMap { labels[Label(key: narrow.key, value: $0)] } ?? []
      : narrow.values.flatMap { labels[Label(key: narrow.key, value: $0)] ?? [] }.sorted()
    if selector.requirements.count == 1 { return narrowed }
    return narrowed.filter { selector.matches(endpoints[$0].labels) }
  }

  /// The endpoints a peer of an object in `namespace` means, ascending.
  mutating func select(_ peer: PeerSelector, from namespace: String) -> [Int] {
    let found =
      peer.namespaces.map { namespaces($0).flatMap { select(peer.pods, in: $0) } }
      ?? select(peer.pods, in: namespace)
    guard let accounts = peer.accounts else { return found }
    return found.filter { index in accounts.matches { _ in endpoints[index].serviceAccount } }
  }

  /// The endpoints for which an atom about who they are holds; kept, because the next generation asks the same.
  mutating func positions(of atom: Atom) -> [Int] {
    if let known = known[atom] { return known }
    let found = find(atom)
    known[atom] = found
    return found
  }

  /// Forgets what none of these ask.
  mutating func keep(_ atoms: [Atom]) {
    guard known.count > 2 * atoms.count + 64 else { return }
    let wanted = Set(atoms)
    known = known.filter { wanted.contains($0.key) }
  }

  private mutating func find(_ atom: Atom) -> [Int] {
    switch atom {
    case .endpoints(let selector, let namespace): return select(selector, from: namespace ?? "")
    case .source(let source):
      return byPeer.filter { source.matches($0.key) }.flatMap(\.value)
    case .named(let name, let `protocol`):
      return endpoints.indices.filter { index in
        endpoints[index].ports.contains { $0.name == name && $0.protocol == `protocol` }
      }
    case .carrying(let addresses):
      return endpoints.indices.filter { endpoints[$0].addresses.contains(where: addresses.contains) }
    case .nodes, .node, .outside, .address: return []
    }
  }

  private mutating func namespaces(_ selector: Selector) -> [String] {
    if let known = namespacesOf[selector] { return known }
    // By far the most common, and there may be thousands of namespaces.
    let own = selector.requirements.first
    if selector.requirements.count == 1, let own, own.key == "kubernetes.io/metadata.name", own.operator == .in {
      return own.values.filter { byNamespace[$0] != nil }.sorted()
    }
    let found = namespaces.filter { selector.matches(labelsOf[$0]?.labels ?? Namespace.labels(ofUndeclared: $0)) }
    namespacesOf[selector] = found
    return found
  }
}
