/// Who judges requests.
extension Finder {
  mutating func proxies() {
    unproxied()
    contested()
  }

  // MARK: - l7-no-proxy

  private mutating func unproxied() {
    for rule in universe.rules {
      guard let cell = effects.all[rule]?.unproxied else { continue }
      let flow = universe.flow(cell)
      let policy = policy(rule)
      drafts.append(
        Draft(
          .l7NoProxy, [policy],
          "\(policy.text) is about requests, and no Proxy takes \(flow.to): nothing can judge them, so the "
            + "whole flow is refused",
          .unproxied(flow), fix: "add a Proxy whose `takes` selects \(flow.to), or make it a rule about ports"
        ))
    }
  }

  // MARK: - two-proxies

  /// Told once for each pair of proxies, and where requests matter at all.
  private mutating func contested() {
    guard set.proxies.count > 1 else { return }
    let proxies = set.proxies.values.sorted { $0.name < $1.name }
    var taken: [[Int]] = []
    for proxy in proxies {
      taken.append(
        proxy.takes.map { index.select($0, from: proxy.name.namespace) } ?? Array(index.endpoints.indices))
    }
    for first in proxies.indices {
      for second in proxies.indices where second > first {
        guard let both = Set(taken[first]).intersection(taken[second]).min() else { continue }
        let name = index.endpoints[both].name
        let policies = [proxies[first], proxies[second]].map { proxy in
          Finding.Policy(
            kind: "Proxy", namespace: proxy.name.namespace, name: proxy.name.name, rule: "",
            file: proxy.place.file,
            line: proxy.place.line, column: proxy.place.column)
        }
        guard let from = universe.parties.first(where: { $0 != .endpoint(name) }) else { continue }
        let port = set.endpoints[name]?.ports.first { $0.protocol == .tcp }?.port ?? 80
        let flow = Flow(from: from, to: .endpoint(name), protocol: .tcp, port: port)
        drafts.append(
          Draft(
            .twoProxies, policies,
            "\(policies[0].text) and \(policies[1].text) both take \(name): \(policies[0].name) judges its "
              + "requests, being "
              + "the first by name",
            .verdict(flow, nil, evaluator.verdict(flow, nil)),
            fix: "let `takes` of the two select different destinations"))
      }
    }
  }
}
