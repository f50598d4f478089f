/// The endpoints that selectors can mean, found by label rather than one by one: a thousand policies and a
/// thousand endpoints would otherwise be a million selector matches. Numbers are positions in `endpoints`,
/// which is by name.
struct EndpointIndex {
  private struct Label: Hashable {
    var key: String
    var value: String
  }

  let endpoints: [Endpoint]
  let position: [Name: Int]
  private var byNamespace: [String: [Int]] = [:]
  private var byLabel: [String: [Label: [Int]]] = [:]
  private let set: PolicySet
  private var namespacesOf: [Selector: [String]] = [:]

  init(_ set: PolicySet) {
    self.set = set
    endpoints = set.endpoints.values.filter { !$0.hostNetwork }.sorted { $0.name < $1.name }
    position = Dictionary(uniqueKeysWithValues: endpoints.enumerated().map { ($1.name, $0) })
    for (index, endpoint) in endpoints.enumerated() {
      byNamespace[endpoint.name.namespace, default: []].append(index)
      for (key, value) in endpoint.labels {
        byLabel[endpoint.name.namespace, default: [:]][Label(key: key, value: value), default: []]
          .append(index)
      }
    }
  }

  var namespaces: [String] { byNamespace.keys.sorted() }

  /// The endpoints of one namespace that a selector (nil: every one) selects, ascending.
  func select(_ selector: Selector?, in namespace: String) -> [Int] {
    guard let selector, !selector.requirements.isEmpty else { return byNamespace[namespace] ?? [] }
    let labels = byLabel[namespace] ?? [:]
    // One `In` requirement is enough to narrow the search; the selector itself still has the word.
    let narrowed = selector.requirements.first { $0.operator == .in }.map { requirement in
      requirement.values.flatMap { labels[Label(key: requirement.key, value: $0)] ?? [] }.sorted()
    }
    return (narrowed ?? byNamespace[namespace] ?? []).filter { selector.matches(endpoints[$0].labels) }
  }

  /// The endpoints a peer of an object in `namespace` means.
  mutating func select(_ peer: PeerSelector, from namespace: String) -> [Int] {
    guard let selector = peer.namespaces else { return select(peer.pods, in: namespace) }
    return namespaces(selector).flatMap { select(peer.pods, in: $0) }
  }

  private mutating func namespaces(_ selector: Selector) -> [String] {
    if let known = namespacesOf[selector] { return known }
    let found = namespaces.filter { selector.matches(set.labels(ofNamespace: $0)) }
    namespacesOf[selector] = found
    return found
  }
}
