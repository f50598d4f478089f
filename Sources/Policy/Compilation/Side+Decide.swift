/// A ruling of the tables before its rule has a number.
struct Decision: Hashable {
  var verdict: Verdict
  var reason: Reason
  var rule: RuleReference?
  /// With `proxied`: who judges, and what it is told.
  var proxy: UInt8 = 0
  var requests: Requests?
  /// The rule that would refuse, or an AUDIT rule that matches; and which of both.
  var shadow: RuleReference?
  var shadowReason = Reason.none

  static let notSelected = Decision(verdict: .allowed, reason: .notSelected)

  static func allowed(_ rule: RuleReference) -> Decision { Decision(verdict: .allowed, reason: .rule, rule: rule) }
  static func denied(_ rule: RuleReference) -> Decision { Decision(verdict: .denied, reason: .denyRule, rule: rule) }
  static func unmatched(_ rule: RuleReference) -> Decision { Decision(verdict: .denied, reason: .noRule, rule: rule) }
  static func proxied(_ rule: RuleReference, _ requests: Requests) -> Decision {
    Decision(verdict: .proxied, reason: .l7Rule, rule: rule, requests: requests)
  }
}

/// The items of a side that hold for one peer, and its answers. The order is DESIGN.md's "How the tiers combine"; what
/// each family means is in docs/semantics.md.
struct Answers {
  private let side: Side
  private let view: View
  private var admin: [Item] = []
  private var network: [Item] = []
  private var ciliumDenies: [Item] = []
  private var ciliumAllows: [Item] = []
  private var denies: [Item] = []
  private var allows: [Item] = []
  private var baseline: [Item] = []
  private var shadows: [Side.Shadow] = []

  init(_ prepared: PreparedSide, _ view: View) {
    side = prepared.side
    self.view = view
    var next = 0
    func holding(_ items: [Item]) -> [Item] {
      defer { next += items.count }
      return items.indices.filter { view.items.contains(next + $0) }.map { items[$0] }
    }
    // In the order of Side.items.
    admin = holding(side.admin)
    network = holding(side.network?.items ?? [])
    ciliumDenies = holding(side.cilium?.denies ?? [])
    ciliumAllows = holding(side.cilium?.allows ?? [])
    denies = holding(side.authorization?.denies ?? [])
    allows = holding(side.authorization?.allows ?? [])
    baseline = holding(side.baseline)
    shadows = side.shadows.map { shadow in
      var shadow = shadow
      shadow.items = holding(shadow.items)
      return shadow
    }
  }

  /// The answer for every protocol and port.
  var function: PortsFunction {
    var function = PortsFunction(other: decide(nil, 0))
    for `protocol` in TransportProtocol.allCases {
      var starts: Set<UInt16> = []
      for items in [admin, network, ciliumDenies, ciliumAllows, denies, allows, baseline] + shadows.map(\.items) {
        for item in items { item.starts(`protocol`, named: view.ports) { starts.insert($0) } }
      }
      function.add(`protocol`.number, starts: starts) { decide(`protocol`, $0) }
    }
    return function
  }

  /// - Parameter wanted: nil for a protocol that no rule can name.
  func decide(_ wanted: TransportProtocol?, _ port: UInt16) -> Decision {
    let asked = Asked(protocol: wanted, port: port, named: view.ports)
    return shadowed(enforced(asked), asked)
  }

  private func enforced(_ asked: Asked) -> Decision {
    tier: for item in admin where asked.matches(item) {
      switch item.action {
      case .deny: return .denied(item.rule)
      case .accept: return seated(accepted(asked) ?? .allowed(item.rule))
      case .pass: break tier
      }
    }
    if let namespaced = namespaced(asked) { return seated(namespaced) }
    for item in baseline where asked.matches(item) {
      return item.action == .deny ? .denied(item.rule) : .allowed(item.rule)
    }
    return .notSelected
  }

  /// Every family that has an opinion must allow; nil where none has one.
  private func namespaced(_ asked: Asked) -> Decision? {
    let opinions = (side.joined ? [union(asked)] : [networkPolicy(asked), cilium(asked)]) + [authorization(asked)]
    let known = opinions.compactMap { $0 }
    if let denied = known.first(where: { $0.verdict == .denied }) { return denied }
    let proxied = known.filter { $0.verdict == .proxied }
    guard var first = proxied.first else { return known.first }
    for other in proxied.dropFirst() {
      if let mine = first.requests, let theirs = other.requests { first.requests = mine.and(theirs) }
    }
    return first
  }

  /// After an Accept: rules about requests still decide where they name the flow; nil where none does.
  private func accepted(_ asked: Asked) -> Decision? {
    let cilium = side.joined && networkPolicy(asked)?.verdict == .allowed ? nil : ciliumRequests(asked)
    let opinions = [cilium, authorizationRequests(asked)].compactMap { $0 }
    guard var first = opinions.first else { return nil }
    for other in opinions.dropFirst() {
      if let mine = first.requests, let theirs = other.requests { first.requests = mine.and(theirs) }
    }
    return first
  }

  /// With the proxy that judges; where none takes the flow, it is refused.
  private func seated(_ decision: Decision) -> Decision {
    guard decision.verdict == .proxied, let rule = decision.rule else { return decision }
    guard let proxy = side.direction == .ingress ? side.proxy : view.proxy else {
      return Decision(verdict: .denied, reason: .noProxy, rule: rule)
    }
    var decision = decision
    decision.proxy = proxy
    return decision
  }

  /// What is asked of one peer's items.
  private struct Asked {
    var `protocol`: TransportProtocol?
    var port: UInt16
    var named: [NamedPort]

    func matches(_ item: Item) -> Bool { item.covers(`protocol`, port, named: named) }
  }
}

// MARK: - What is not enforced

extension Answers {
  /// With what AUDIT and dry-run policies have to say of a flow that is not refused. What they ask of requests is
  /// reported where a proxy sees them for another rule's sake: for theirs alone no connection is turned to one.
  private func shadowed(_ decision: Decision, _ asked: Asked) -> Decision {
    guard !shadows.isEmpty, decision.verdict != .denied, asked.protocol == .tcp else { return decision }
    var decision = decision
    for shadow in shadows {
      let matching = matching(shadow.items, asked)
      let certain = matching.first { $0.requests.isEmpty }
      switch shadow.action {
      case .audit, .deny:
        if let certain, decision.shadow == nil {
          decision.shadow = certain.item.rule
          decision.shadowReason = shadow.action == .audit ? .auditRule : .denyRule
        }
        guard certain == nil else { break }
        decision.requests?.shadows += matching.map {
          Requests.Shadow(rule: $0.item.rule, require: [$0.requests], unless: [])
        }
      case .allow:
        // Beside another ALLOW policy it can only allow more.
        guard side.authorization?.fallback == nil, certain == nil else { break }
        if matching.isEmpty, decision.shadow == nil {
          decision.shadow = shadow.rule
          decision.shadowReason = .noRule
        } else if !matching.isEmpty {
          let unless = matching.flatMap(\.requests)
          decision.requests?.shadows.append(Requests.Shadow(rule: shadow.rule, require: [], unless: unless))
        }
      }
    }
    return decision
  }
}

// MARK: - What each family says

extension Answers {
  private func networkPolicy(_ asked: Asked) -> Decision? {
    guard let policies = side.network else { return nil }
    if view.isOwnNode { return Decision(verdict: .allowed, reason: .ownNode) }
    return network.first(where: asked.matches).map { .allowed($0.rule) } ?? .unmatched(policies.fallback)
  }

  private func cilium(_ asked: Asked) -> Decision? {
    guard let policies = side.cilium else { return nil }
    if let deny = ciliumDenies.first(where: asked.matches) { return .denied(deny.rule) }
    let matching = ciliumAllows.filter(asked.matches)
    if isLocalhost, policies.fallback != nil || !matching.isEmpty {
      return Decision(verdict: .allowed, reason: .ownNode)
    }
    if let allow = matching.first(where: { $0.requests == nil }) { return .allowed(allow.rule) }
    return ciliumRequests(asked) ?? policies.fallback.map { .unmatched($0) }
  }

  /// The subject's own node always gets in.
  private var isLocalhost: Bool { view.isOwnNode && side.direction == .ingress }

  /// The rules about requests, unless one that is not covers the flow.
  private func ciliumRequests(_ asked: Asked) -> Decision? {
    let matching = ciliumAllows.filter(asked.matches)
    guard !isLocalhost, let first = matching.first, !matching.contains(where: { $0.requests == nil }) else {
      return nil
    }
    var alternatives: [Requests.Alternative] = []
    for item in matching {
      let alternative = Requests.Alternative(rule: item.rule, require: [item.requests ?? []])
      if !alternatives.contains(alternative) { alternatives.append(alternative) }
    }
    return .proxied(first.rule, Requests(alternatives: alternatives))
  }

  /// NetworkPolicy and Cilium as one union of allows.
  private func union(_ asked: Asked) -> Decision? {
    let own = cilium(asked)
    if let own, own.reason == .denyRule { return own }
    let network = networkPolicy(asked)
    if let network, network.verdict == .allowed { return network }
    if let own, own.verdict != .denied { return own }
    return network ?? own
  }

  /// DENY, then ALLOW, and no ALLOW policy means allow; of TCP alone, which is what Istio handles.
  private func authorization(_ asked: Asked) -> Decision? {
    guard let policies = side.authorization, asked.protocol == .tcp else { return nil }
    let denying = matching(denies, asked)
    if let deny = denying.first(where: { $0.requests.isEmpty }) { return .denied(deny.item.rule) }
    let allowing = matching(allows, asked)
    let certain = allowing.first { $0.requests.isEmpty }
    if let fallback = policies.fallback, allowing.isEmpty { return .unmatched(fallback) }
    return requests(denying, certain, allowing) ?? certain.map { .allowed($0.item.rule) }
  }

  /// The part that is about requests, where L4 was decided before.
  private func authorizationRequests(_ asked: Asked) -> Decision? {
    guard side.authorization != nil, asked.protocol == .tcp else { return nil }
    let allowing = matching(allows, asked)
    return requests(
      matching(denies, asked).filter { !$0.requests.isEmpty }, allowing.first { $0.requests.isEmpty }, allowing)
  }

  private typealias Matching = (item: Item, requests: [RequestMatch])

  private func matching(_ items: [Item], _ asked: Asked) -> [Matching] {
    items.compactMap { item in item.requests(onPort: asked.port).map { (item, $0) } }
  }

  /// nil where no request is asked about anything.
  private func requests(_ denying: [Matching], _ certain: Matching?, _ allowing: [Matching]) -> Decision? {
    let unless = denying.flatMap(\.requests)
    if certain == nil, let first = allowing.first {
      let alternatives = allowing.map { Requests.Alternative(rule: $0.item.rule, require: [$0.requests]) }
      return .proxied(first.item.rule, Requests(alternatives: alternatives, unless: unless))
    }
    guard let deny = denying.first else { return nil }
    let rule = (certain ?? deny).item.rule
    return .proxied(
      deny.item.rule, Requests(alternatives: [Requests.Alternative(rule: rule, require: [])], unless: unless))
  }
}
