/// Workloads that may come: just what one rule asks for, and nothing besides. A rule that is superfluous only
/// because of who happens to be in the files is not told.
extension Finder {
  /// Whether the rule would decide something for a workload that its selectors describe.
  mutating func mattersToOthers(_ rule: RuleReference, like cell: Cell) -> Bool {
    let flow = universe.flow(cell)
    let (subject, peer) = cell.direction == .ingress ? (flow.to, flow.from) : (flow.from, flow.to)
    let made = [("subject", selectors(ofSubjects: rule)), ("peer", selectors(ofPeers: rule))].map {
      word, selectors in
      selectors.enumerated().compactMap { number, one in
        endpoint("\(word)\(number)", one.selector, from: one.namespace, cell)
      }
    }
    let subjects = [subject] + made[0].map { .endpoint($0.name) }
    let peers = [peer] + made[1].map { .endpoint($0.name) }
    let with = witnesses.evaluator(flow, without: nil, adding: made[0] + made[1])
    let without = witnesses.evaluator(flow, without: rule, adding: made[0] + made[1])
    for subject in subjects {
      for peer in peers where peer != subject {
        var asked = flow
        (asked.from, asked.to) = cell.direction == .ingress ? (peer, subject) : (subject, peer)
        // The rule's own side alone: what the other says of somebody who is not there, nobody knows.
        let verdicts = [with, without].map { $0.ruling(cell.direction, asked, cell.request).verdict }
        if verdicts[0] != verdicts[1] { return true }
      }
    }
    return false
  }

  private typealias Described = (selector: PeerSelector, namespace: String)

  private func selectors(ofSubjects rule: RuleReference) -> [Described] {
    switch rule.family {
    case .network:
      let policy = evaluator.networkPolicies[rule.policy]
      return [(PeerSelector(namespaces: nil, pods: policy.podSelector), policy.name.namespace)]
    case .admin: return [(evaluator.adminPolicies[rule.policy].subject, "")]
    case .baseline: return [(evaluator.baselinePolicies[rule.policy].subject, "")]
    case .cilium:
      guard case .endpoints(let selector) = evaluator.ciliumPolicies[rule.policy].subject else { return [] }
      return [(selector, evaluator.ciliumPolicies[rule.policy].name.namespace)]
    case .authorization:
      let policy = evaluator.authorizationPolicies[rule.policy]
      let isRoot = policy.name.namespace == AuthorizationPolicy.rootNamespace
      return [
        (PeerSelector(namespaces: isRoot ? .everything : nil, pods: policy.selector), policy.name.namespace)
      ]
    }
  }

  private func selectors(ofPeers rule: RuleReference) -> [Described] {
    guard let number = rule.rule else { return [] }
    var peers: [Peer] = []
    var namespace = ""
    switch rule.family {
    case .network:
      let policy = evaluator.networkPolicies[rule.policy]
      namespace = policy.name.namespace
      peers = rule.peer.map { [policy.rules(rule.direction)[number].peers[$0]] } ?? []
    case .cilium:
      let policy = evaluator.ciliumPolicies[rule.policy]
      namespace = policy.name.namespace
      let all = policy.rules(rule.direction, denying: rule.denying)[number].peers ?? []
      peers = (rule.peer.map { [all[$0]] } ?? all).map(\.peer)
    case .authorization:
      return evaluator.authorizationPolicies[rule.policy].rules[number].from.flatMap(\.described)
    case .admin, .baseline: return []
    }
    var found: [Described] = peers.compactMap { peer in
      if case .selector(let selector) = peer { (selector, namespace) } else { nil }
    }
    if peers.isEmpty { found.append((PeerSelector(namespaces: .everything, pods: nil), "")) }
    return found
  }

  /// A workload with the labels that a selector asks for; nil where it asks for what cannot be made up.
  private func endpoint(
    _ name: String, _ selector: PeerSelector, from namespace: String, _ cell: Cell
  ) -> Endpoint? {
    var home = namespace
    if let namespaces = selector.namespaces {
      let named = namespaces.requirements.first {
        $0.key == "kubernetes.io/metadata.name" && $0.operator == .in
      }
      let known = Set(set.namespaces.keys).union(set.endpoints.keys.map(\.namespace)).sorted()
      home =
        named?.values.min() ?? known.first { namespaces.matches(set.labels(ofNamespace: $0)) }
        ?? "hypothetical"
      guard namespaces.matches(set.labels(ofNamespace: home)) else { return nil }
    }
    let labels = selector.pods.map(Self.labels) ?? [:]
    guard selector.pods?.matches(labels) ?? true else { return nil }
    let account = selector.accounts?.requirements.first { $0.operator == .in }?.values.min() ?? "default"
    var ports = universe.ports[cell.subject]
    ports += universe.ports[cell.peer].filter { !ports.contains($0) }
    return Endpoint(
      name: Name(home, "hypothetical-\(name)"), labels: labels, addresses: [], serviceAccount: account,
      ports: ports,
      cgroup: nil, place: Place(file: "", line: 0, column: 0))
  }

  private static func labels(_ selector: Selector) -> Labels {
    var labels: Labels = [:]
    for requirement in selector.requirements {
      switch requirement.operator {
      case .in: labels[requirement.key] = requirement.values.min()
      case .exists: labels[requirement.key] = labels[requirement.key] ?? "hypothetical"
      case .notIn, .doesNotExist: break
      }
    }
    return labels
  }
}

extension AuthorizationPolicy.Source {
  /// The namespaces and accounts that are named in full.
  fileprivate var described: [(selector: PeerSelector, namespace: String)] {
    var found: [(selector: PeerSelector, namespace: String)] = []
    for case .exact(let namespace) in namespaces {
      found.append((PeerSelector(namespaces: nil, pods: nil), namespace))
    }
    for (namespace, account) in principals.compactMap(\.account) {
      let accounts = Selector([Selector.Requirement(key: "account", operator: .in, values: [account])])
      found.append((PeerSelector(namespaces: nil, pods: nil, accounts: accounts), namespace))
    }
    if namespaces.isEmpty, principals.isEmpty {
      found.append((PeerSelector(namespaces: .everything, pods: nil), ""))
    }
    return found
  }
}

extension Match {
  /// Of a principal that names one account.
  var account: (namespace: String, account: String)? {
    let text: String
    switch self {
    case .exact(let whole): text = whole
    case .suffix(let end): text = end
    default: return nil
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 4, parts[parts.count - 4] == "ns", parts[parts.count - 2] == "sa" else { return nil }
    return (String(parts[parts.count - 3]), String(parts[parts.count - 1]))
  }
}
