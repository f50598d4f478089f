/// How the tiers and families of one direction combine.
extension Evaluator {
  /// The policies that select a subject in one direction, each list in its order of evaluation.
  struct Selecting {
    var admin: [AdminPolicy] = []
    var network: [NetworkPolicy] = []
    var cilium: [CiliumPolicy] = []
    /// Those that decide: neither AUDIT nor dry-run.
    var authorization: [AuthorizationPolicy] = []
    var baseline: [AdminPolicy] = []
    /// The subject's ports where Istio sees no requests.
    var plainTCP: Set<UInt16> = []

    var isEmpty: Bool {
      admin.isEmpty && network.isEmpty && cilium.isEmpty && authorization.isEmpty && baseline.isEmpty
    }
  }

  func selecting(_ subject: Endpoint, _ direction: Direction) -> Selecting {
    var found = Selecting(
      admin: adminPolicies.filter { set.selects($0, direction, subject) },
      network: networkPolicies.filter { $0.isolates(direction) && $0.selects(subject) },
      cilium: ciliumPolicies.filter { set.selects($0, direction, subject) },
      baseline: baselinePolicies.filter { set.selects($0, direction, subject) })
    // AuthorizationPolicy speaks of what comes in only.
    if direction == .ingress {
      found.authorization = authorizationPolicies.filter { $0.decides && $0.selects(subject) }
      if !found.authorization.isEmpty { found.plainTCP = set.plainTCPPorts(of: subject) }
    }
    return found
  }

  /// Admin tier, namespaced tier, Baseline tier, allow.
  func ruling(_ policies: Selecting, _ question: Question) -> Ruling {
    let admin = judge(policies.admin, question)
    if let admin, admin.verdict == .denied { return admin }
    let namespaced = families(policies, question, accepted: admin != nil)
    return namespaced ?? admin ?? judge(policies.baseline, question) ?? .notSelected
  }

  /// The namespaced tier, where every family that has an opinion must allow; nil where none has one.
  /// - Parameter accepted: an Accept of the Admin tier has decided L3 and L4 already. What is left to a
  ///   family are its rules about requests: it says proxied, where they name the flow, or nothing.
  private func families(_ policies: Selecting, _ question: Question, accepted: Bool) -> Ruling? {
    let authorization = judge(policies, question, accepted: accepted)
    if set.joined { return firmer(joined(policies, question, accepted: accepted), authorization) }
    let network = accepted ? nil : judge(policies.network, question)
    return firmer(firmer(network, judge(policies.cilium, question, accepted: accepted)), authorization)
  }

  /// A refusal outweighs proxied, and that an allow; of two alike it is the first.
  private func firmer(_ a: Ruling?, _ b: Ruling?) -> Ruling? {
    guard let a, let b else { return a ?? b }
    if a.verdict == .denied || b.verdict == .allowed { return a }
    return b.verdict == .denied || a.verdict == .allowed ? b : a
  }

  /// NetworkPolicy and Cilium as one union of allows, as Cilium reads both: its deny rules first, then any
  /// allow of either (one that is certain at L4 makes rules about requests ineffective), then the default
  /// deny of either.
  func joined(_ policies: Selecting, _ question: Question, accepted: Bool) -> Ruling? {
    let cilium = judge(policies.cilium, question, accepted: accepted)
    if let cilium, cilium.reason == .denyRule { return cilium }
    let network = judge(policies.network, question)
    if let network, network.verdict == .allowed { return accepted ? nil : network }
    if let cilium, cilium.verdict != .denied { return cilium }
    return accepted ? nil : network ?? cilium
  }

  /// One request of a proxied flow: every family that sent it to the proxy must allow it.
  func ruling(_ policies: Selecting, _ question: Question, _ request: Request) -> Ruling {
    let admin = judge(policies.admin, question)
    if let admin, admin.verdict == .denied { return .notSelected }
    let accepted = admin != nil
    if !accepted, ruling(policies, question).verdict != .proxied { return .notSelected }
    let cilium =
      set.joined
      ? joined(policies, question, accepted: accepted) : judge(policies.cilium, question, accepted: accepted)
    var said: [Ruling] = []
    if cilium?.verdict == .proxied { said.append(judge(request, policies.cilium, question)) }
    if judge(policies, question, accepted: accepted)?.verdict == .proxied {
      said.append(judge(request, policies, question, accepted: accepted))
    }
    return said.first { $0.verdict == .denied } ?? said.last { $0.rule != nil } ?? .notSelected
  }

  /// One rule that matches.
  struct Matched {
    /// Only a request can tell whether it does.
    var asks = false
    var rule: RuleName
    var place: Place

    func ruling(_ verdict: Verdict, _ reason: Reason, tier: Tier = .namespaced) -> Ruling {
      Ruling(verdict: verdict, reason: reason, rule: rule, place: place, tier: tier)
    }
  }
}

extension Ruling {
  /// A family's: the Kubernetes documentation exempts a Pod's own node from NetworkPolicy, Cilium exempts it
  /// from what comes in.
  static let ownNode = Ruling(verdict: .allowed, reason: .ownNode, tier: .namespaced)
}
