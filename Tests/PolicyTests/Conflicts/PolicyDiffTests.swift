import Testing

@testable import Policy

@Suite struct PolicyDiffTests {
  private func set(_ policies: String) -> PolicySet {
    let workloads = ["web", "api", "db"].map { name in
      "apiVersion: weir.dev/v1alpha1\nkind: Workload\nmetadata: {name: \(name), namespace: shop, labels: {app: \(name)}}\n"
        + "spec: {cgroup: shop/\(name), serviceAccountName: \(name)}\n"
    }
    let reading = Reading(texts: [("p.yaml", (workloads + [policies]).joined(separator: "---\n"))])
    #expect(reading.problems.isEmpty, "\(reading.problems)")
    return reading.set
  }

  private func policy(_ name: String, _ rest: String) -> String {
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: \(name), namespace: shop}\nspec:\n\(rest)"
  }

  private func diff(_ old: String, _ new: String) -> PolicyDiff {
    let diff = PolicyDiff(old: set(old), new: set(new))
    #expect(diff.unconfirmed == [])
    return diff
  }

  private let closed = "  podSelector: {matchLabels: {app: db}}\n  ingress: []\n"

  private func allowing(_ ports: String) -> String {
    "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from: [{podSelector: {matchLabels: {app: api}}}]\n"
      + "    ports: \(ports)\n"
  }

  @Test func `a new rule is named with what it opens`() throws {
    let diff = diff(policy("db", closed), policy("db", allowing("[{port: 5432}]")))
    let entry = try #require(diff.opened.first)
    #expect(diff.opened.count == 1 && diff.closed.isEmpty && diff.added.isEmpty && diff.removed.isEmpty)
    #expect(entry.from == ["shop/api"] && entry.to == ["shop/db"] && entry.ports == ["5432/TCP"])
    #expect(entry.before == "denied" && entry.after == "allowed" && !entry.isLost)
    #expect(entry.rule?.text == "NetworkPolicy shop/db ingress[0].from[0]")
  }

  @Test func `a lost rule is named with what it closes`() throws {
    let diff = diff(
      policy("db", allowing("[{port: 5432}, {port: 9187}]")), policy("db", allowing("[{port: 9187}]")))
    let entry = try #require(diff.closed.first)
    #expect(diff.closed.count == 1 && diff.opened.isEmpty)
    #expect(entry.ports == ["5432/TCP"] && entry.isLost)
    #expect(entry.rule?.text == "NetworkPolicy shop/db ingress[0].from[0]")
  }

  @Test func `a new default deny is named with what it closes`() throws {
    let diff = diff(policy("x", "  podSelector: {matchLabels: {app: none}}\n"), policy("db", closed))
    #expect(!diff.closed.isEmpty && diff.opened.isEmpty)
    #expect(
      diff.closed.allSatisfy {
        $0.rule?.text == "NetworkPolicy shop/db" && !$0.isLost && $0.to == ["shop/db"]
      })
  }

  @Test func `requests that are judged otherwise are shown`() throws {
    func requests(_ method: String) -> String {
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: api, namespace: shop}\nspec:\n"
        + "  selector: {matchLabels: {app: api}}\n  rules:\n  - to: [{operation: {methods: [\(method)], paths: [/a]}}]\n"
    }
    let diff = diff(requests("GET"), requests("GET, POST"))
    let entry = try #require(diff.opened.first)
    #expect(diff.closed.isEmpty && entry.to == ["shop/api"])
    let request = try #require(entry.requests?.first)
    #expect(request.method == "POST" && request.path.hasPrefix("/a"))
    #expect(entry.rule?.text == "AuthorizationPolicy shop/api rules[0]")
  }

  @Test(arguments: [
    // Another order of peers and ports.
    (
      "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from: [{podSelector: {matchLabels: {app: api}}}, {ipBlock: {cidr: 192.0.2.0/24}}]\n    ports: [{port: 1}, {port: 2}]\n",
      "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from: [{ipBlock: {cidr: 192.0.2.0/24}}, {podSelector: {matchLabels: {app: api}}}]\n    ports: [{port: 2}, {port: 1}]\n"
    ),
    // A range for its ports, and a block for its halves.
    (
      "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from: [{ipBlock: {cidr: 192.0.2.0/24}}]\n    ports: [{port: 1, endPort: 2}]\n",
      "  podSelector: {matchExpressions: [{key: app, operator: In, values: [db]}]}\n  ingress:\n  - from: [{ipBlock: {cidr: 192.0.2.0/25}}]\n    ports: [{port: 1}, {port: 2}]\n  - from: [{ipBlock: {cidr: 192.0.2.128/25}}]\n    ports: [{port: 1, endPort: 2}]\n"
    ),
  ])
  func `two texts that mean the same have no difference`(old: String, new: String) {
    #expect(diff(policy("db", old), policy("other-name", new)).isEmpty)
  }

  @Test func `a split policy is no difference`() {
    let one = policy(
      "a", "  podSelector: {}\n  ingress:\n  - from: [{podSelector: {}}]\n  - ports: [{port: 80}]\n")
    let two =
      policy("b", "  podSelector: {}\n  ingress:\n  - ports: [{port: 80}]\n") + "---\n"
      + policy("c", "  podSelector: {}\n  ingress:\n  - from: [{podSelector: {}}]\n")
    #expect(diff(one, two).isEmpty)
    #expect(!diff(one, two + "---\n" + policy("d", "  podSelector: {}\n  policyTypes: [Egress]\n")).isEmpty)
  }

  @Test func `endpoints of one side alone are said to be added or removed`() {
    var old = set(policy("db", closed))
    let new = old
    old.endpoints[Name("shop", "web")] = nil
    let diff = PolicyDiff(old: old, new: new)
    #expect(diff.added == ["shop/web"] && diff.removed.isEmpty && diff.opened.isEmpty && diff.closed.isEmpty)
  }

  /// Every flow of a few random sets, before and after a change.
  @Test func `the difference is what single flows say`() {
    for seed in 0..<UInt64(12) {
      let old = EffectsTests.set(seed: seed)
      var new = old
      if seed % 2 == 0, !new.networkPolicies.isEmpty { new.networkPolicies.removeLast() }
      if !new.authorizationPolicies.isEmpty { new.authorizationPolicies.removeFirst() }
      let diff = PolicyDiff(old: old, new: new)
      #expect(diff.unconfirmed == [])
      let (before, after) = (Evaluator(old), Evaluator(new))
      let names = old.endpoints.keys.sorted()
      for from in names {
        for to in names where from != to {
          for port: UInt16 in [1, 79, 80, 443] {
            let flow = Flow(from: .endpoint(from), to: .endpoint(to), protocol: .tcp, port: port)
            let (a, b) = (before.verdict(flow, nil), after.verdict(flow, nil))
            // Proxied flows may differ in no request.
            let differs = a != b && a != .proxied && b != .proxied
            let told = (diff.opened + diff.closed).contains { entry in
              entry.from.contains("\(from)") && entry.to.contains("\(to)") && entry.requests == nil
                && entry.ports.contains { Self.covers($0, port) }
            }
            #expect(!differs || told, "seed \(seed) \(flow): \(a) \(b)")
            #expect(!told || a != b, "seed \(seed) \(flow): \(a) \(b) told")
          }
        }
      }
    }
  }

  private static func covers(_ text: String, _ port: UInt16) -> Bool {
    let parts = text.split(separator: "/")
    guard parts.count == 2, parts[1] == "TCP" else { return false }
    let ends = parts[0].split(separator: "-").compactMap { UInt16($0) }
    guard let low = ends.first, let high = ends.last else { return false }
    return low...high ~= port
  }
}
