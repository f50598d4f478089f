import Lab
import Policy
import Testing

@testable import Agent

extension EndToEnd {
  /// The last link of the chain: random files of every kind, the real agent, real connections.
  @Suite struct Families {
    private struct Dice: RandomNumberGenerator {
      var state: UInt64
      mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
      }
      mutating func one(_ words: [String]) -> String { words.randomElement(using: &self) ?? "" }
    }

    private static let apps = ["a", "b", "c", "d"]
    /// Each workload serves two ports of its own, for all share one address.
    private static func ports(_ app: String) -> [UInt16] {
      let first = UInt16(7100 + 10 * (apps.firstIndex(of: app) ?? 0))
      return [first, first + 1]
    }
    private static let everyPort = apps.flatMap(ports)

    private static func policy(_ number: Int, _ dice: inout Dice) -> String {
      let own = dice.one(apps)
      let other = dice.one(apps)
      let port = everyPort.randomElement(using: &dice) ?? 0
      let direction = dice.one(["ingress", "egress"])
      let pods = "{matchLabels: {app: \(other)}}"
      let action = dice.one(["Accept", "Deny", "Pass"])
      let tier = action == "Pass" ? "Admin" : dice.one(["Admin", "Baseline"])
      let head = "metadata: {name: p\(number), namespace: shop}\nspec:\n"
      let cluster = "metadata: {name: p\(number)}\nspec:\n"
      switch Int.random(in: 0...3, using: &dice) {
      case 0:
        let peers = dice.one(["podSelector: \(pods)", "ipBlock: {cidr: 127.0.0.0/8}", "podSelector: {}"])
        return """
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          \(head)  podSelector: {matchLabels: {app: \(own)}}
            policyTypes: [\(direction == "ingress" ? "Ingress" : "Egress")]
            \(direction): [{\(direction == "ingress" ? "from" : "to"): [{\(peers)}], ports: [{port: \(port), endPort: 7200}]}]

          """
      case 1:
        return """
          apiVersion: policy.networking.k8s.io/v1alpha2
          kind: ClusterNetworkPolicy
          \(cluster)  tier: \(tier)
            priority: \(Int.random(in: 0...3, using: &dice))
            subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: \(own)}}}}
            \(direction):
            - action: \(action)
              \(direction == "ingress" ? "from" : "to"): [{pods: {namespaceSelector: {}, podSelector: \(pods)}}]
              \(dice.one(["", "protocols: [{tcp: {destinationPort: {number: \(port)}}}]"]))

          """
      case 2:
        let deny = dice.one(["", "Deny"])
        let peers = dice.one(["Endpoints: [\(pods)]", "Entities: [cluster]", "Entities: [world]"])
        return """
          apiVersion: cilium.io/v2
          kind: CiliumNetworkPolicy
          \(head)  endpointSelector: {matchLabels: {app: \(own)}}
            enableDefaultDeny: {\(direction): \(dice.one(["true", "false"]))}
            \(direction)\(deny):
            - \(direction == "ingress" ? "from" : "to")\(peers)
              toPorts: [{ports: [{port: "\(port)", protocol: \(dice.one(["TCP", "ANY", "UDP"]))}]}]

          """
      default:
        return """
          apiVersion: security.istio.io/v1
          kind: AuthorizationPolicy
          \(head)  selector: {matchLabels: {app: \(own)}}
            action: \(dice.one(["ALLOW", "DENY", "AUDIT"]))
            rules:
            - from: [{source: {principals: ["*/sa/\(other)"]}}]
              to: [{operation: {notPorts: ["\(port)"]}}]

          """
      }
    }

    @Test func `an AUDIT rule that matches is reported, whoever else has no opinion`() throws {
      try Node.use { node in
        let audit = """
          apiVersion: security.istio.io/v1
          kind: AuthorizationPolicy
          metadata: {name: audit, namespace: shop}
          spec: {selector: {matchLabels: {app: a}}, action: AUDIT, rules: [{from: [{source: {principals: ["*/sa/b"]}}]}]}

          """
        try node.write("0.yaml", try node.workload("a") + node.workload("b") + node.workload("c") + audit)
        try #require(try node.start().inForce)
        try node.server("a", 7100)
        for app in ["c", "b"] {
          let client = try node.client(app)
          #expect(try client.ask("connect 127.0.0.1 7100") == "ok")
        }
        let line = try eventually("the report") {
          node.logText.split(separator: "\n").first { $0.contains("event=audited") }
        }
        #expect(line.contains("shop/b") && line.contains("audit-rule"), "and not for c: \(line)")
      }
    }

    @Test func `the kernel's verdicts are the evaluator's, for random files of every kind`() throws {
      try Node.use { node in
        try node.write("0.yaml", Self.apps.map { try node.workload($0) }.joined())
        try #require(try node.start().inForce)
        for app in Self.apps { for port in Self.ports(app) { try node.server(app, port) } }
        let clients = try Self.apps.map { ($0, try node.client($0)) }
        var answers: [String: Int] = [:]
        for seed in UInt64(1)...25 {
          var dice = Dice(state: seed)
          let policies = (0..<Int.random(in: 2...7, using: &dice)).map { Self.policy($0, &dice) }
          try node.write("1.yaml", policies.joined(separator: "---\n"))
          let reading = Reading(paths: [node.policies])
          try #require(reading.problems.isEmpty, "seed \(seed): \(reading.problems)")
          try #require(try node.reload().isTaken)
          let evaluator = Evaluator(reading.set)
          for (from, client) in clients {
            for to in Self.apps where to != from {
              for port in Self.ports(to) {
                var flow = Flow(
                  from: .endpoint(Name("shop", from)), to: .endpoint(Name("shop", to)), protocol: .tcp, port: port)
                flow.fromAddress = IPAddress(v4: 0x7f00_0001)
                flow.toAddress = flow.fromAddress
                let want =
                  evaluator.egress(flow).verdict == .denied
                  ? "EPERM" : evaluator.ingress(flow).verdict == .denied ? "EACCES" : "ok"
                let got = try client.ask("connect 127.0.0.1 \(port)")
                answers[got, default: 0] += 1
                #expect(got == want, "seed \(seed): \(from) to \(to) \(port)\n\(policies.joined())")
              }
            }
          }
        }
        print("\(answers) connections of random sets answered as the evaluator says")
        for answer in ["ok", "EPERM", "EACCES"] { #expect(answers[answer, default: 0] > 30, "\(answers)") }
      }
    }
  }
}
