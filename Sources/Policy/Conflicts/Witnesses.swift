/// Asks the naive evaluator whether a draft is true.
struct Witnesses {
  /// The policies that can speak of somebody in two namespaces: theirs, and those of the whole cluster. The
  /// others cannot select them, and to pass them over is most of the evaluator's work.
  private struct Part {
    let evaluator: Evaluator
    /// Whose policies stand in the order of the evaluator's lists.
    let set: PolicySet
    /// Positions in the lists of the whole set's evaluator.
    let network, authorization, cilium: [Int]
  }

  private let whole: Evaluator
  private var parts: [Set<String>: Part] = [:]

  /// - Parameter evaluator: in whose lists references count.
  init(_ evaluator: Evaluator) { whole = evaluator }

  /// nil where it does not check out.
  mutating func witness(_ claim: Draft.Claim) -> Witness? {
    switch claim {
    case .noEffect(let flow, let request, let rule):
      let (with, without) = (verdict(flow, request), evaluator(flow, without: rule).verdict(flow, request))
      return with == without ? witness(flow, request, with, without) : nil
    case .effect(let flow, let request, let rule):
      let (with, without) = (verdict(flow, request), evaluator(flow, without: rule).verdict(flow, request))
      return with == without ? nil : witness(flow, request, with, without)
    case .tie(let flow, let request, let first, let second):
      let ordered = PolicySet(orderedAs: whole)
      let one = Evaluator(ordered.withoutPolicy(second, of: whole)).verdict(flow, request)
      let other = Evaluator(ordered.withoutPolicy(first, of: whole)).verdict(flow, request)
      return one == other ? nil : witness(flow, request, one, other)
    case .joined(let flow, let request):
      var union = part(flow).set
      union.joined.toggle()
      let (with, without) = (verdict(flow, request), Evaluator(union).verdict(flow, request))
      return with == without ? nil : witness(flow, request, with, without)
    case .unproxied(let flow):
      guard evaluator(flow).explain(flow, request: nil).enforced == false else { return nil }
      return witness(flow, nil, verdict(flow, nil), nil)
    case .verdict(let flow, let request, let expected):
      let found = verdict(flow, request)
      return found == expected ? witness(flow, request, found, nil) : nil
    case .nobody(let sought, let among, let found):
      return found == 0 ? Witness(sought: sought, among: among) : nil
    case .written: return nil
    }
  }

  mutating func verdict(_ flow: Flow, _ request: Request?) -> Verdict {
    evaluator(flow).verdict(flow, request)
  }

  /// Of the whole set, as far as it can speak of this flow.
  mutating func evaluator(_ flow: Flow) -> Evaluator { part(flow).evaluator }

  /// The same without a rule.
  mutating func evaluator(_ flow: Flow, without rule: RuleReference) -> Evaluator {
    evaluator(flow, without: rule, adding: [])
  }

  /// The same with endpoints that are not in the files.
  /// - Parameter rule: nil: with every rule.
  mutating func evaluator(_ flow: Flow, without rule: RuleReference?, adding endpoints: [Endpoint])
    -> Evaluator
  {
    let part = part(flow, endpoints)
    var set = part.set
    if let rule, let here = self.rule(rule, in: part) { set = set.without(here, of: part.evaluator) }
    for endpoint in endpoints { set.endpoints[endpoint.name] = endpoint }
    return Evaluator(set)
  }

  private mutating func part(_ flow: Flow, _ endpoints: [Endpoint] = []) -> Part {
    var namespaces: Set<String> = ["", AuthorizationPolicy.rootNamespace]
    for case .endpoint(let name) in [flow.from, flow.to] { namespaces.insert(name.namespace) }
    for endpoint in endpoints { namespaces.insert(endpoint.name.namespace) }
    if let known = parts[namespaces] { return known }
    func here(_ names: [Name]) -> [Int] { names.indices.filter { namespaces.contains(names[$0].namespace) } }
    let network = here(whole.networkPolicies.map(\.name))
    let authorization = here(whole.authorizationPolicies.map(\.name))
    // A namespace is a requirement of the subject.
    let cilium = whole.ciliumPolicies.indices.filter { index in
      guard case .endpoints(let selector) = whole.ciliumPolicies[index].subject,
        let wanted = selector.namespaces
      else {
        return true
      }
      return namespaces.contains { wanted.matches(whole.set.labels(ofNamespace: $0)) }
    }
    var set = PolicySet(orderedAs: whole)
    set.networkPolicies = network.map { whole.networkPolicies[$0] }
    set.authorizationPolicies = authorization.map { whole.authorizationPolicies[$0] }
    set.ciliumPolicies = cilium.map { whole.ciliumPolicies[$0] }
    let part = Part(
      evaluator: Evaluator(set), set: set, network: network, authorization: authorization, cilium: cilium)
    parts[namespaces] = part
    return part
  }

  /// nil: the rule's policy cannot speak of the flow.
  private func rule(_ rule: RuleReference, in part: Part) -> RuleReference? {
    let policy: Int?
    switch rule.family {
    case .network: policy = part.network.firstIndex(of: rule.policy)
    case .authorization: policy = part.authorization.firstIndex(of: rule.policy)
    case .cilium: policy = part.cilium.firstIndex(of: rule.policy)
    case .admin, .baseline: policy = rule.policy
    }
    return policy.map { policy in
      var here = rule
      here.policy = policy
      return here
    }
  }

  private func witness(_ flow: Flow, _ request: Request?, _ with: Verdict, _ without: Verdict?) -> Witness {
    Witness(
      from: "\(flow.from)", to: "\(flow.to)", port: "\(flow.port)/\(flow.protocol.rawValue)",
      request: request.map(Witness.Request.init), with: with.rawValue, without: without?.rawValue,
      explain: flow.explainWords(request, joined: whole.set.joined))
  }
}

extension Witness.Request {
  init(_ request: Request) {
    self.init(method: request.method, path: request.path, host: request.host, headers: request.headers)
  }
}

extension Flow {
  /// The options of `weir explain` that ask for this flow.
  func explainWords(_ request: Request?, joined: Bool) -> String {
    var words = "--from \(from) --to \(to) --port \(port)/\(`protocol`.rawValue)"
    if let request {
      words += " --method \(word(request.method)) --path \(word(request.path))"
      if !request.host.isEmpty { words += " --host \(word(request.host))" }
      for (name, value) in request.headers.sorted(by: { $0.key < $1.key }) {
        words += " --header \(word("\(name)=\(value)"))"
      }
    }
    return joined ? words + " --joined" : words
  }

  /// As a shell reads it back.
  private func word(_ text: String) -> String {
    let plain = text.utf8.allSatisfy { byte in
      UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
        || "/._-=:,".utf8.contains(byte)
    }
    if plain, !text.isEmpty { return text }
    return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}

extension Evaluator {
  /// One side's ruling; of the request, where it is proxied and there is one.
  func ruling(_ direction: Direction, _ flow: Flow, _ request: Request?) -> Ruling {
    let ruling = direction == .ingress ? ingress(flow) : egress(flow)
    guard ruling.verdict == .proxied, let request else { return ruling }
    return l7(direction, flow, request.normalized)
  }

  /// Both sides and, where there is a request, the proxy. Without one a proxied flow is proxied.
  func verdict(_ flow: Flow, _ request: Request?) -> Verdict {
    let verdicts = [egress(flow).verdict, ingress(flow).verdict]
    if verdicts.contains(.denied) { return .denied }
    guard verdicts.contains(.proxied) else { return .allowed }
    return request.map { l7(flow, $0).verdict } ?? .proxied
  }
}
