/// The answer of `weir explain`; encoded as the JSON the design gives.
public struct Explanation: Sendable, Codable {
  public struct Policy: Sendable, Codable, Hashable {
    /// `namespace` is empty for what is in none; `rule` is empty for a policy as a whole: its default deny,
    /// or, in `considered`, that it selects the subject and none of its rules matches.
    public var kind, namespace, name, rule, file: String
    public var line: Int
  }
  public struct Layer: Sendable, Codable {
    /// egress, ingress or l7
    public var layer: String
    /// Of l7: whose rules about requests, egress or ingress; absent otherwise.
    public var side: String?
    /// admin, namespaced, baseline, or default where nobody had an opinion
    public var tier: String
    /// allowed, denied or proxied
    public var verdict: String
    /// Reason.word
    public var reason: String
    public var policy: Policy?
    /// Every other rule that matched and did not decide, and the policies that selected the subject and have
    /// none that matched; in the order of evaluation.
    public var considered: [Policy]
  }
  /// A policy that reports and decides nothing: AUDIT, or a dry run.
  public struct Audit: Sendable, Codable {
    public var policy: Policy
    /// ALLOW, DENY or AUDIT
    public var action: String
    /// allowed or denied: what the flow's verdict would be if it decided. Of AUDIT, the verdict itself.
    public var verdict: String
  }
  /// allowed or denied
  public var verdict: String
  /// egress, ingress, and l7 for each side that is proxied if a request was given
  public var layers: [Layer]
  /// The AUDIT and dry-run policies that match, or that would change the verdict; absent where there are
  /// none.
  public var audit: [Audit]?
  /// false where nobody enforces what the policies say; absent otherwise.
  public var enforced: Bool?
  public var why: String?
}

extension Evaluator {
  /// One side of a flow, judged.
  private struct Side {
    var direction: Direction
    /// nil: an address outside, of which no policy speaks.
    var question: Question?
    var policies: Selecting
    var ruling: Ruling
    /// Of the request, where the side is proxied and there is one.
    var request: Ruling?

    var isDenied: Bool { ruling.verdict == .denied || request?.verdict == .denied }
    var name: String { direction == .egress ? "egress" : "ingress" }
  }

  /// Without a request, a proxied flow is answered as allowed with a proxied layer: some request may pass.
  public func explain(_ flow: Flow, request: Request?) -> Explanation {
    let request = request?.normalized
    let sides = [Direction.egress, .ingress].map { side($0, flow, request) }
    let isDenied = sides.contains(where: \.isDenied)
    var layers = sides.map { side in
      layer(side.name, nil, side.ruling, considered(side.policies, side.question))
    }
    // The kernel refuses before any request is read.
    if let request, !sides.contains(where: { $0.ruling.verdict == .denied }) {
      for side in sides {
        guard let judged = side.request, let question = side.question else { continue }
        layers.append(layer("l7", side.name, judged, considered(side.policies, question, request)))
      }
    }
    var explanation = Explanation(verdict: isDenied ? "denied" : "allowed", layers: layers)
    let audit = audit(sides[1], flow, request, othersDenied: sides[0].isDenied)
    if !audit.isEmpty { explanation.audit = audit }
    if let why = unenforced(sides, flow) {
      explanation.enforced = false
      explanation.why = why
    }
    return explanation
  }

  private func side(_ direction: Direction, _ flow: Flow, _ request: Request?) -> Side {
    let question = question(direction, flow)
    let policies = question.map { selecting($0.subject, direction) } ?? Selecting()
    return side(direction, flow, question, policies, request)
  }

  private func side(
    _ direction: Direction, _ flow: Flow, _ question: Question?, _ policies: Selecting, _ request: Request?
  ) -> Side {
    let ruling = itself(flow) ?? question.map { self.ruling(policies, $0) } ?? .notSelected
    var side = Side(direction: direction, question: question, policies: policies, ruling: ruling)
    if let request, let question, ruling.verdict == .proxied {
      side.request = self.ruling(policies, question, request)
    }
    return side
  }

  /// Why what the policies say does not happen; nil where it does.
  private func unenforced(_ sides: [Side], _ flow: Flow) -> String? {
    let isNode = sides.contains { ($0.question?.subject.hostNetwork ?? false) && !$0.policies.cilium.isEmpty }
    if isNode { return "weir judges workloads, not a node's own processes" }
    let isProxied = sides.contains { $0.ruling.verdict == .proxied }
    guard isProxied, !sides.contains(where: { $0.ruling.verdict == .denied }), set.proxy(for: flow.to) == nil
    else { return nil }
    return "no Proxy takes \(flow.to): until one does, every connection of this flow is refused"
  }

  /// Each AUDIT and dry-run policy on its own, as if it decided beside the others.
  private func audit(_ side: Side, _ flow: Flow, _ request: Request?, othersDenied: Bool) -> [Explanation
    .Audit]
  {
    guard let question = side.question, question.protocol == .tcp, itself(flow) == nil else { return [] }
    let isDenied = othersDenied || side.isDenied
    return authorizationPolicies.compactMap { policy in
      guard !policy.decides, policy.selects(question.subject) else { return nil }
      var policies = side.policies
      policies.plainTCP = set.plainTCPPorts(of: question.subject)
      policies.authorization = [policy]
      let match = Self.matched(policies, policy.action, question, request).first
      var wouldDeny = isDenied
      if policy.action != .audit {
        policies.authorization = (side.policies.authorization + [policy]).sorted { $0.name < $1.name }
        wouldDeny = othersDenied || self.side(side.direction, flow, question, policies, request).isDenied
      }
      guard match != nil || wouldDeny != isDenied else { return nil }
      return Explanation.Audit(
        policy: Self.policy(match?.rule ?? policy.ruleName(nil), match?.place ?? policy.place),
        action: policy.action.rawValue, verdict: wouldDeny ? "denied" : "allowed")
    }
  }

  private func layer(
    _ layer: String, _ side: String?, _ ruling: Ruling, _ considered: [(rule: RuleName, place: Place)]
  ) -> Explanation.Layer {
    Explanation.Layer(
      layer: layer, side: side, tier: ruling.tier.rawValue, verdict: ruling.verdict.rawValue,
      reason: ruling.reason.word, policy: ruling.rule.map { Self.policy($0, ruling.place) },
      considered: considered.filter { $0.rule != ruling.rule }.map { Self.policy($0.rule, $0.place) })
  }

  private static func policy(_ rule: RuleName, _ place: Place?) -> Explanation.Policy {
    Explanation.Policy(
      kind: rule.kind, namespace: rule.namespace, name: rule.name, rule: rule.rule,
      file: place?.file ?? "", line: place?.line ?? 0)
  }
}

extension Evaluator {
  private typealias Considered = [(rule: RuleName, place: Place)]

  /// All rules that match, in the order of evaluation; a policy without one stands for itself.
  private func considered(_ policies: Selecting, _ question: Question?) -> [(rule: RuleName, place: Place)] {
    guard let question else { return [] }
    func listed(_ policies: [AdminPolicy]) -> Considered {
      policies.flatMap { policy in
        Self.listed(matched([policy], question).map(\.match)) ?? [
          (
            RuleName(kind: policy.kind.rawValue, namespace: "", name: policy.name.name, rule: ""),
            policy.place
          )
        ]
      }
    }
    let network = policies.network.flatMap { policy in
      Self.listed(matched([policy], question)) ?? [(policy.ruleName(""), policy.place)]
    }
    return listed(policies.admin) + network + requestFamilies(policies, question, nil)
      + listed(policies.baseline)
  }

  /// The same of the families with rules about requests, for one request.
  private func considered(_ policies: Selecting, _ question: Question, _ request: Request)
    -> [(rule: RuleName, place: Place)]
  {
    requestFamilies(policies, question, request)
  }

  private func requestFamilies(_ policies: Selecting, _ question: Question, _ request: Request?) -> Considered
  {
    let cilium = policies.cilium.flatMap { policy in
      Self.listed(
        matched([policy], question, denying: true) + matched([policy], question, denying: false, request))
        ?? [(policy.ruleName(""), policy.place)]
    }
    // Of the other protocols AuthorizationPolicy does not speak.
    guard question.protocol == .tcp else { return cilium }
    var one = policies
    return cilium
      + policies.authorization.flatMap { policy in
        one.authorization = [policy]
        return Self.listed(Self.matched(one, policy.action, question, request))
          ?? [(policy.ruleName(nil), policy.place)]
      }
  }

  private static func listed(_ matched: [Matched]) -> Considered? {
    matched.isEmpty ? nil : matched.map { ($0.rule, $0.place) }
  }
}
