/// What is looked for and not there. Only asked where the files have endpoints at all, and about namespaces
/// that they know: a repository of policies without the rest of the cluster is no mistake.
extension Finder {
  // MARK: - selects-nothing

  mutating func selections() {
    for rule in policies {
      guard let found = subjects(rule), found.isEmpty, !selectsAnEmptyNamespace(rule) else { continue }
      let policy = policy(rule)
      drafts.append(
        Draft(
          .selectsNothing, [policy], "\(policy.text) selects none of the \(index.endpoints.count) endpoints",
          .nobody(
            sought: described(rule), among: index.endpoints.count, found: selected(rule)),
          fix: "compare its selector and namespace with the labels of the workloads that it is meant for"))
    }
  }

  private func described(_ rule: RuleReference) -> String {
    switch rule.family {
    case .network:
      let policy = evaluator.networkPolicies[rule.policy]
      return PeerSelector(namespaces: nil, pods: policy.podSelector).text(policy.name.namespace)
    case .admin: return evaluator.adminPolicies[rule.policy].subject.text("")
    case .baseline: return evaluator.baselinePolicies[rule.policy].subject.text("")
    case .authorization:
      let policy = evaluator.authorizationPolicies[rule.policy]
      return PeerSelector(namespaces: nil, pods: policy.selector).text(policy.name.namespace)
    case .cilium:
      guard case .endpoints(let selector) = evaluator.ciliumPolicies[rule.policy].subject else {
        return "a node"
      }
      return selector.text("")
    }
  }

  /// The naive way.
  private func selected(_ rule: RuleReference) -> Int {
    set.endpoints.values.count { endpoint in
      switch rule.family {
      case .network: evaluator.networkPolicies[rule.policy].selects(endpoint)
      case .admin: set.matches(evaluator.adminPolicies[rule.policy].subject, from: "", endpoint)
      case .baseline: set.matches(evaluator.baselinePolicies[rule.policy].subject, from: "", endpoint)
      case .authorization: evaluator.authorizationPolicies[rule.policy].selects(endpoint)
      case .cilium:
        if case .endpoints(let selector) = evaluator.ciliumPolicies[rule.policy].subject {
          set.matches(selector, from: evaluator.ciliumPolicies[rule.policy].name.namespace, endpoint)
        } else {
          false
        }
      }
    }
  }

  /// A policy for everybody in a namespace that is declared and has nobody yet is no mistake.
  private func selectsAnEmptyNamespace(_ rule: RuleReference) -> Bool {
    switch rule.family {
    case .network:
      let policy = evaluator.networkPolicies[rule.policy]
      return policy.podSelector.requirements.isEmpty && set.namespaces[policy.name.namespace] != nil
    case .authorization:
      let policy = evaluator.authorizationPolicies[rule.policy]
      return policy.selector?.requirements.isEmpty ?? true && set.namespaces[policy.name.namespace] != nil
    case .admin, .baseline, .cilium: return false
    }
  }

  // MARK: - peer-matches-nothing

  mutating func peers() {
    for rule in universe.rules {
      guard let number = rule.rule, let selected = subjects(rule), !selected.isEmpty else { continue }
      var asked: [Asked] = []
      switch rule.family {
      case .network:
        let policy = evaluator.networkPolicies[rule.policy]
        let written = policy.rules(rule.direction)[number]
        asked = rule.peer.map { [Asked(written.peers[$0], policy.name.namespace)] } ?? []
      case .admin, .baseline:
        let policies = rule.family == .admin ? evaluator.adminPolicies : evaluator.baselinePolicies
        let written = policies[rule.policy].rules(rule.direction)[number]
        asked = rule.peer.map { [Asked(written.peers[$0], "")] } ?? []
      case .cilium:
        let policy = evaluator.ciliumPolicies[rule.policy]
        let all = policy.rules(rule.direction, denying: rule.denying)[number].peers ?? []
        asked = (rule.peer.map { [all[$0]] } ?? all).map { peer in
          var asked = Asked(peer.peer, policy.name.namespace)
          asked.path = rule.peer == nil ? peer.path : nil
          return asked
        }
      case .authorization:
        let sources = evaluator.authorizationPolicies[rule.policy].rules[number].from
        let nobody = sources.enumerated().filter { isNobody($1) }
        for (position, source) in nobody {
          tellNobody(
            rule, "from[\(position)]", "an endpoint like its source", index.endpoints.count,
            index.endpoints.count { source.matches(AuthorizationPeer($0)) })
        }
        if !sources.isEmpty, nobody.count == sources.count { explained.insert(rule) }
        continue
      }
      let nobody = asked.filter { isNobody($0) }
      for asked in nobody {
        switch asked.peer {
        case .selector(let selector):
          tellNobody(
            rule, asked.path, selector.text(asked.namespace), set.endpoints.count,
            set.endpoints.values.count { set.matches(selector, from: asked.namespace, $0) })
        case .nodes(let selector):
          tellNobody(
            rule, asked.path, "a node with \(selector.text)", set.nodes.count,
            set.nodes.values.count { selector.matches($0.labels) })
        case .ipBlock, .outside, .entity: continue
        }
      }
      if !asked.isEmpty, nobody.count == asked.count { explained.insert(rule) }
    }
  }

  private struct Asked {
    var peer: Peer
    var namespace: String
    var path: String?

    init(_ peer: Peer, _ namespace: String) {
      self.peer = peer
      self.namespace = namespace
    }
  }

  private mutating func tellNobody(
    _ rule: RuleReference, _ path: String?, _ sought: String, _ among: Int, _ found: Int
  ) {
    let policy = policy(rule)
    let where_ = path.map { " (\($0))" } ?? ""
    drafts.append(
      Draft(
        .peerMatchesNothing, [policy], "the peer of \(policy.text)\(where_) is nobody in the files",
        .nobody(sought: sought, among: among, found: found),
        fix:
          "compare it with the labels, namespaces and service accounts of the workloads that it is meant for")
    )
  }

  private mutating func isNobody(_ asked: Asked) -> Bool {
    switch asked.peer {
    case .selector(let selector):
      guard knows(selector.namespaces, asked.namespace) else { return false }
      return index.select(selector, from: asked.namespace).isEmpty
    case .nodes(let selector):
      return !set.nodes.isEmpty && !set.nodes.values.contains { selector.matches($0.labels) }
    case .ipBlock, .outside, .entity: return false
    }
  }

  /// Whether the files can know who is in the namespaces that a selector means: one of them has endpoints, or
  /// it asks for labels where namespaces are declared with theirs, or its name is nearly a known one.
  private func knows(_ selector: Selector?, _ own: String) -> Bool {
    guard let selector else { return index.namespaces.contains(own) }
    if index.namespaces.contains(where: { selector.matches(set.labels(ofNamespace: $0)) }) { return true }
    let named = selector.requirements.filter { $0.key == "kubernetes.io/metadata.name" }.flatMap(\.values)
    guard named.isEmpty else { return named.contains(where: isMistyped) }
    return !set.namespaces.isEmpty && !set.namespaces.values.contains { selector.matches($0.labels) }
  }

  private func isMistyped(_ namespace: String) -> Bool {
    let known = Set(index.namespaces).union(set.namespaces.keys)
    return !known.contains(namespace) && likely(namespace, among: known) != nil
  }

  /// Sources are judged where they name whom they mean in full.
  private func isNobody(_ source: AuthorizationPolicy.Source) -> Bool {
    let accounts = source.principals.map(\.account)
    let namespaces = source.namespaces.map { match in
      if case .exact(let name) = match { name } else { nil as String? }
    }
    guard !(accounts.isEmpty && namespaces.isEmpty), !accounts.contains(where: { $0 == nil }),
      !namespaces.contains(where: { $0 == nil })
    else { return false }
    let homes = accounts.compactMap { $0?.namespace } + namespaces.compactMap { $0 }
    guard homes.allSatisfy({ index.namespaces.contains($0) || isMistyped($0) }) else { return false }
    // Where only its `not` lists exclude them, somebody is there.
    var wanted = source
    (wanted.notPrincipals, wanted.notNamespaces) = ([], [])
    return !index.endpoints.contains { wanted.matches(AuthorizationPeer($0)) }
  }

  // MARK: - named-port-unknown

  mutating func namedPorts() {
    var told: Set<String> = []
    for rule in universe.rules {
      let names = names(rule)
      guard !names.isEmpty, !explained.contains(rule), let selected = subjects(rule), !selected.isEmpty else {
        continue
      }
      // Whoever serves: the subjects, or the peers. A peer by address has no names.
      let serving = rule.direction == .ingress ? selected.map { index.endpoints[$0] } : served(rule)
      guard !serving.isEmpty else { continue }
      for (name, port) in names {
        let found = serving.count { $0.ports.contains { $0.name == name && port.speaks(of: $0.protocol) } }
        let policy = policy(rule)
        guard found == 0, told.insert("\(policy.kind) \(policy.name) \(rule.rule ?? 0) \(name)").inserted
        else { continue }
        if names.count == 1 { explained.insert(rule) }
        let who = rule.direction == .ingress ? "endpoints that it selects" : "peers that it names"
        drafts.append(
          Draft(
            .namedPortUnknown, [policy],
            "\(policy.text) names the port `\(name)`, which none of the \(who) has",
            .nobody(sought: "a port named \(name)", among: serving.count, found: found),
            fix: "give the port by its number, or the container's port that name"))
      }
    }
  }

  private func names(_ rule: RuleReference) -> [(String, PortMatch)] {
    guard let number = rule.rule else { return [] }
    let ports: [PortMatch]
    switch rule.family {
    case .network: ports = evaluator.networkPolicies[rule.policy].rules(rule.direction)[number].ports
    case .admin: ports = evaluator.adminPolicies[rule.policy].rules(rule.direction)[number].ports ?? []
    case .baseline: ports = evaluator.baselinePolicies[rule.policy].rules(rule.direction)[number].ports ?? []
    case .cilium:
      ports = evaluator.ciliumPolicies[rule.policy].rules(rule.direction, denying: rule.denying)[number].ports
        .flatMap(\.ports)
    case .authorization: ports = []
    }
    return ports.compactMap { port in if case .named(let name) = port.number { (name, port) } else { nil } }
  }

  /// The endpoints that an egress rule names; none where it names everybody.
  private mutating func served(_ rule: RuleReference) -> [Endpoint] {
    guard let number = rule.rule else { return [] }
    let peers: [Peer]
    var namespace = ""
    switch rule.family {
    case .network:
      let policy = evaluator.networkPolicies[rule.policy]
      namespace = policy.name.namespace
      peers = policy.rules(rule.direction)[number].peers
    case .admin: peers = evaluator.adminPolicies[rule.policy].rules(rule.direction)[number].peers
    case .baseline: peers = evaluator.baselinePolicies[rule.policy].rules(rule.direction)[number].peers
    case .cilium:
      let policy = evaluator.ciliumPolicies[rule.policy]
      namespace = policy.name.namespace
      peers = (policy.rules(rule.direction, denying: rule.denying)[number].peers ?? []).map(\.peer)
    case .authorization: peers = []
    }
    if peers.isEmpty { return index.endpoints }
    return peers.flatMap { peer -> [Endpoint] in
      guard case .selector(let selector) = peer else { return [] }
      return index.select(selector, from: namespace).map { index.endpoints[$0] }
    }
  }
}

extension PeerSelector {
  /// Whom it means, in the words of `kubectl get --selector`.
  /// - Parameter own: the namespace of its object.
  fileprivate func text(_ own: String) -> String {
    var text = "an endpoint"
    if let pods, !pods.requirements.isEmpty { text += " with \(pods.text)" }
    if let accounts {
      text += " of service account \(accounts.requirements.flatMap(\.values).sorted().joined(separator: ","))"
    }
    guard let namespaces else { return text + " in namespace \(own)" }
    return namespaces.requirements.isEmpty ? text : text + " in a namespace with \(namespaces.text)"
  }
}

extension Selector {
  fileprivate var text: String {
    requirements.map { requirement in
      let values = requirement.values.sorted().joined(separator: ",")
      switch requirement.operator {
      case .in:
        return requirement.values.count == 1
          ? "\(requirement.key)=\(values)" : "\(requirement.key) in (\(values))"
      case .notIn: return "\(requirement.key) notin (\(values))"
      case .exists: return requirement.key
      case .doesNotExist: return "!\(requirement.key)"
      }
    }.joined(separator: ",")
  }
}
