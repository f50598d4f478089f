extension Subject {
  /// The answer to one view of a peer, for every protocol and port.
  func function(_ direction: Direction, _ view: View) -> PortsFunction {
    let network = network[direction].map { ResolvedNetwork($0, view) }
    var function = PortsFunction(other: network?.decide(nil, 0) ?? .notSelected)
    for `protocol` in TransportProtocol.allCases {
      var starts = network?.starts(`protocol`) ?? []
      // AuthorizationPolicy speaks of TCP only: Istio does not handle the others.
      let authorization = direction == .ingress && `protocol` == .tcp ? authorization : nil
      if let authorization { starts.formUnion(authorization.starts) }
      function.add(`protocol`.number, starts: starts) { port in
        let first = network?.decide(`protocol`, port)
        if let first, first.verdict == .denied { return first }
        let second = authorization?.decide(view.sources, port: port)
        if let second, second.verdict != .allowed { return second }
        return first ?? second ?? .notSelected
      }
    }
    return function
  }

  /// The items of one view, with the names their ports have on the peer resolved.
  private struct ResolvedNetwork {
    var items: [(ranges: [(protocol: TransportProtocol, range: ClosedRange<UInt16>)]?, rule: RuleReference)]
    var fallback: RuleReference

    init(_ network: Network, _ view: View) {
      fallback = network.fallback
      items = view.items.map { index in
        let item = network.items[index]
        let ranges = item.ports.map { ports in
          ports.flatMap { port in
            switch port {
            case .range(let `protocol`, let range): [(`protocol`, range)]
            case .named(let name, let `protocol`):
              view.ports.filter { $0.name == name && $0.protocol == `protocol` }
                .map { (`protocol`, $0.port...$0.port) }
            }
          }
        }
        return (ranges, item.rule)
      }
    }

    /// Ports where the answer may change.
    func starts(_ wanted: TransportProtocol) -> Set<UInt16> {
      var starts: Set<UInt16> = []
      for item in items {
        for (`protocol`, range) in item.ranges ?? [] where `protocol` == wanted {
          starts.insert(range.lowerBound)
          if range.upperBound < .max { starts.insert(range.upperBound + 1) }
        }
      }
      return starts
    }

    /// - Parameter wanted: nil for a protocol that no rule can name.
    func decide(_ wanted: TransportProtocol?, _ port: UInt16) -> Decision {
      let item = items.first { item in
        guard let ranges = item.ranges else { return true }
        return ranges.contains { $0.protocol == wanted && $0.range.contains(port) }
      }
      guard let item else { return Decision(verdict: .denied, reason: .noRule, rule: fallback) }
      return Decision(verdict: .allowed, reason: .rule, rule: item.rule)
    }
  }
}

extension Subject.Authorization {
  /// Ports where the answer may change.
  var starts: Set<UInt16> {
    var starts: Set<UInt16> = []
    for item in denies + allows {
      for operation in item.operations {
        for port in operation.ports + operation.notPorts {
          starts.insert(port)
          if port < .max { starts.insert(port + 1) }
        }
      }
    }
    return starts
  }

  /// The request matches that could still make an item hold on a port; nil where it does not match at L4, an
  /// `isAny` one where it holds for certain.
  static func requests(_ item: Subject.AuthorizationItem, port: UInt16) -> [RequestMatch]? {
    guard !item.operations.isEmpty else { return [RequestMatch()] }
    let here = item.operations.filter { $0.matches(port: port) }.map(\.request)
    if here.contains(where: \.isAny) { return [RequestMatch()] }
    return here.isEmpty ? nil : here
  }

  /// What L4 alone can say; proxied where the request decides, which without a proxy is a refusal.
  func decide(_ sources: Subject.Sources, port: UInt16) -> Decision {
    func matched(_ items: [Subject.AuthorizationItem], _ holding: [Int]) -> [(
      certain: Bool, rule: RuleReference
    )] {
      holding.compactMap { index in
        Self.requests(items[index], port: port).map { ($0.contains(where: \.isAny), items[index].rule) }
      }
    }
    func proxied(_ rule: RuleReference) -> Decision {
      guard let proxy else { return Decision(verdict: .denied, reason: .noProxy, rule: rule) }
      return Decision(verdict: .proxied, reason: .l7Rule, rule: rule, proxy: proxy)
    }
    let denying = matched(denies, sources.denies)
    if let deny = denying.first(where: \.certain) {
      return Decision(verdict: .denied, reason: .denyRule, rule: deny.rule)
    }
    guard let fallback else { return denying.first.map { proxied($0.rule) } ?? .notSelected }
    let allowing = matched(allows, sources.allows)
    if let allow = allowing.first(where: \.certain) {
      if let deny = denying.first { return proxied(deny.rule) }
      return Decision(verdict: .allowed, reason: .rule, rule: allow.rule)
    }
    if let allow = allowing.first { return proxied(allow.rule) }
    return Decision(verdict: .denied, reason: .noRule, rule: fallback)
  }
}
