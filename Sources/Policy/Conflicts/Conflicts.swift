/// The contradictions in a set, each with a proof that the naive evaluator confirmed.
public struct Conflicts: Sendable {
  /// By file, line and id.
  public let findings: [Finding]
  /// Ids of drafts that the naive evaluator did not confirm. They are not told; there should be none.
  let unconfirmed: [String]

  public init(_ set: PolicySet) {
    var finder = Finder(set)
    finder.find()
    var findings: [Finding] = []
    var unconfirmed: [String] = []
    for draft in finder.drafts {
      let witness = finder.witnesses.witness(draft.claim)
      if witness == nil, !draft.isWritten {
        unconfirmed.append("\(draft.id.rawValue): \(draft.message)")
        continue
      }
      findings.append(
        Finding(
          id: draft.id, severity: draft.severity, message: draft.message, policies: draft.policies,
          witness: witness,
          fix: draft.fix))
    }
    self.findings = findings.sorted { a, b in
      let (first, second) = (a.policies.first, b.policies.first)
      return (first?.file ?? "", first?.line ?? 0, first?.column ?? 0, a.id.rawValue, a.message)
        < (second?.file ?? "", second?.line ?? 0, second?.column ?? 0, b.id.rawValue, b.message)
    }
    self.unconfirmed = unconfirmed
  }
}

extension Draft {
  fileprivate var isWritten: Bool { if case .written = claim { true } else { false } }
}

/// Looks for each kind of conflict in turn. What each is, stands in its own file.
struct Finder {
  let universe: Universe
  let effects: Effects
  var index: EndpointIndex
  var witnesses: Witnesses
  var drafts: [Draft] = []
  /// Rules of which a finding says already why they never match.
  var explained: Set<RuleReference> = []
  /// The rules of the set, by `Finding.Policy.placeOfPolicy`.
  let byPlace: [[String]: Finding.Policy]
  /// What makes a rule superfluous that was told: it is not told itself.
  var sufficient: Set<Finding.Policy> = []

  var set: PolicySet { universe.set }
  var evaluator: Evaluator { universe.evaluator }

  init(_ set: PolicySet) {
    universe = Universe(set)
    effects = Effects(universe)
    let evaluator = universe.evaluator
    let rules = universe.rules.map { Finding.Policy(evaluator.name($0), evaluator.place($0)) }
    byPlace = Dictionary(rules.map { ($0.placeOfPolicy, $0) }) { first, _ in first }
    index = EndpointIndex(set)
    witnesses = Witnesses(universe.evaluator)
  }

  mutating func find() {
    written()
    guard !set.endpoints.isEmpty else { return }
    selections()
    peers()
    namedPorts()
    proxies()
    httpPorts()
    tunnels()
    dns()
    ties()
    joined()
    // Last: what has a better explanation is not told twice.
    ineffective()
  }

  func policy(_ rule: RuleReference) -> Finding.Policy {
    Finding.Policy(evaluator.name(rule), evaluator.place(rule))
  }

  /// In words, for a message.
  func text(_ rule: RuleReference) -> String { policy(rule).text }

  /// The endpoints of a policy, by position in the index; nil for a policy of nodes.
  mutating func subjects(_ rule: RuleReference) -> [Int]? {
    switch rule.family {
    case .network:
      let policy = evaluator.networkPolicies[rule.policy]
      return index.select(policy.podSelector, in: policy.name.namespace)
    case .admin: return index.select(evaluator.adminPolicies[rule.policy].subject, from: "")
    case .baseline: return index.select(evaluator.baselinePolicies[rule.policy].subject, from: "")
    case .cilium:
      let policy = evaluator.ciliumPolicies[rule.policy]
      guard case .endpoints(let selector) = policy.subject else { return nil }
      return index.select(selector, from: policy.name.namespace)
    case .authorization:
      let policy = evaluator.authorizationPolicies[rule.policy]
      let isRoot = policy.name.namespace == AuthorizationPolicy.rootNamespace
      return (isRoot ? index.namespaces : [policy.name.namespace]).flatMap {
        index.select(policy.selector, in: $0)
      }
    }
  }

  /// One reference for each policy of the set.
  var policies: [RuleReference] {
    func all(_ family: RuleReference.Family, _ count: Int) -> [RuleReference] {
      (0..<count).map { RuleReference(family: family, policy: $0, direction: .ingress) }
    }
    return all(.network, evaluator.networkPolicies.count) + all(.admin, evaluator.adminPolicies.count)
      + all(.baseline, evaluator.baselinePolicies.count) + all(.cilium, evaluator.ciliumPolicies.count)
      + all(.authorization, evaluator.authorizationPolicies.count)
  }
}

extension Finding.Policy {
  init(_ rule: RuleName, _ place: Place?) {
    self.init(
      kind: rule.kind, namespace: rule.namespace, name: rule.name, rule: rule.rule, file: place?.file ?? "",
      line: place?.line ?? 0, column: place?.column ?? 0)
  }
}
