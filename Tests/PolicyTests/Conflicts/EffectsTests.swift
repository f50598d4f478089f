import Testing

@testable import Policy

/// What the finder says of a rule's effect is what every single flow says.
@Suite struct EffectsTests {
  /// The rules that make a difference to some flow or request: everybody to everybody, at every port where
  /// something may change, without any of the finder's classes.
  struct BruteForce {
    let universe: Universe
    let evaluator: Evaluator
    let set: PolicySet
    var parties: [Party]
    let requests: [Request]

    init(_ set: PolicySet) {
      universe = Universe(set)
      evaluator = Evaluator(set)
      self.set = PolicySet(orderedAs: evaluator)
      parties = universe.parties
      var matches: [RequestMatch] = []
      for policy in set.authorizationPolicies {
        for rule in policy.rules {
          matches += rule.to.map(\.request)
          for case .operation(let operation) in rule.when { matches.append(operation.request) }
        }
      }
      for policy in set.ciliumPolicies {
        for rule in policy.ingress + policy.egress { matches += rule.ports.flatMap { $0.requests ?? [] } }
      }
      requests = RequestSpace(matches, limit: 60).requests
    }

    func isEffective(_ rule: RuleReference) -> String? {
      let without = Evaluator(set.without(rule, of: evaluator))
      let pieces: [(TransportProtocol, UInt16)] =
        RandomWorld.ports.flatMap { port in
          [(.tcp, port), (.udp, port), (.sctp, port)] + (port < 256 ? [(.icmp, port)] : [])
        } + [(.tcp, 2), (.udp, 2)]
      for from in parties {
        for to in parties where from != to {
          for (transport, port) in pieces where port > 0 || transport == .icmp {
            let flow = Flow(from: from, to: to, protocol: transport, port: port)
            let (a, b) = (evaluator.verdict(flow, nil), without.verdict(flow, nil))
            if a != b { return "\(flow): \(a) \(b)" }
            guard a == .proxied else { continue }
            for request in requests where evaluator.verdict(flow, request) != without.verdict(flow, request) {
              return "\(flow) \(request)"
            }
          }
        }
      }
      return nil
    }
  }

  static func set(seed: UInt64) -> PolicySet {
    var set = RandomWorld(seed: seed).world.set
    // weir does not judge a node's own processes.
    set.ciliumPolicies.removeAll { if case .nodes = $0.subject { true } else { false } }
    set.joined = seed % 5 == 0
    return set
  }

  @Test func `a rule that the finder says has an effect changes the verdict of the flow it names`() {
    var count = 0
    for seed in 0..<UInt64(40) {
      let effects = Effects(Universe(Self.set(seed: seed)))
      let evaluator = effects.universe.evaluator
      var witnesses = Witnesses(evaluator)
      for (rule, effect) in effects.all where effect.isEffective {
        guard let cell = effect.matched else { continue }
        let flow = effects.universe.flow(cell)
        count += 1
        #expect(
          witnesses.witness(.effect(flow, cell.request, of: rule)) != nil,
          "seed \(seed): \(evaluator.name(rule)) \(flow) \(String(describing: cell.request))")
      }
    }
    #expect(count > 80)
  }

  @Test func `a rule that the finder says has no effect changes no verdict at all`() {
    var idle = 0
    for seed in [UInt64(3), 8] {
      let set = Self.set(seed: seed)
      let force = BruteForce(set)
      let effects = Effects(force.universe)
      for rule in force.universe.rules where !(effects.all[rule]?.isEffective ?? false) {
        idle += 1
        if let found = force.isEffective(rule) {
          Issue.record("seed \(seed): \(force.evaluator.name(rule)) has an effect: \(found)")
        }
      }
    }
    #expect(idle > 2)
  }

  /// Each block is a peer; the entry is what is named, placed and deleted.
  @Test func `an entry of networks is one rule, however many blocks it has`() throws {
    let text = """
      apiVersion: policy.networking.k8s.io/v1alpha2
      kind: ClusterNetworkPolicy
      metadata: {name: a}
      spec:
        tier: Admin
        priority: 1
        subject: {namespaces: {}}
        egress:
        - action: Deny
          to:
          - networks: [10.0.0.0/8, 11.0.0.0/8]
          - networks: [12.0.0.0/8]
      """
    let evaluator = Evaluator(Reading(texts: [("t.yaml", text)]).set)
    let rules = Universe(evaluator.set).rules
    #expect(rules.map { evaluator.name($0).rule } == ["egress[0].to[0]", "egress[0].to[1]"])
    #expect(rules.map { evaluator.place($0).line } == [11, 12])
    let left = rules.map { rule in
      PolicySet(orderedAs: evaluator).without(rule, of: evaluator).adminPolicies[0].egress[0].peerIndices
    }
    #expect(left == [[1], [0, 0]])
  }
}
