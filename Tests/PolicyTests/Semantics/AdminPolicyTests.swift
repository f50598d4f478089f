import Testing

@testable import Policy

/// A sentence for each rule of ClusterNetworkPolicy v1alpha2 (and of the kinds it came from).
@Suite struct SemanticsAdminPolicyTests {
  /// Three houses, each a server with named ports, on two nodes; one Pod on a node's network.
  static var houses: World {
    var world = World()
    for (number, house) in ["gryffindor", "slytherin", "hufflepuff"].enumerated() {
      world.namespace(house, ["house": house])
      world.pod(
        "\(house)/server", ["app": "server"], at: [v4(10, 0, UInt32(number), 1)], on: "n1",
        ports: [
          NamedPort(name: "web", port: 80, protocol: .tcp), NamedPort(name: "dns", port: 53, protocol: .udp),
        ])
    }
    world.node("n1", ["zone": "a"], at: [v4(192, 168, 0, 1)])
    world.node("n2", ["zone": "b", "role": "control-plane"], at: [v4(192, 168, 0, 2)])
    world.pod("gryffindor/agent", ["app": "agent"], at: [v4(192, 168, 0, 2)], on: "n2", hostNetwork: true)
    return world
  }

  static let gryffindor = PeerSelector(namespaces: labels(["house": "gryffindor"]), pods: nil)
  static let slytherin = Peer.selector(PeerSelector(namespaces: labels(["house": "slytherin"]), pods: nil))
  static let everybody = Peer.selector(PeerSelector(namespaces: .everything, pods: nil))

  static func named(_ name: String, _ path: String) -> RuleName {
    RuleName(kind: "ClusterNetworkPolicy", namespace: "", name: name, rule: path)
  }

  static let fromSlytherin = flow("slytherin/server", "gryffindor/server")

  @Test func `a Deny rule drops what it selects and names rule and peer`() {
    var world = Self.houses
    world.admin(
      "deny", subject: Self.gryffindor,
      ingress: [adminRule(.deny, [block(v4(1, 0, 0, 0), 8), Self.slytherin])])
    #expect(
      world.evaluator.ingress(Self.fromSlytherin)
        == Ruling(
          verdict: .denied, reason: .denyRule, rule: Self.named("deny", "ingress[0].from[1]"),
          place: place(32),
          tier: .admin))
    #expect(world.evaluator.ingress(flow("hufflepuff/server", "gryffindor/server")) == .notSelected)
  }

  @Test func `the rule at the top of a policy takes precedence`() {
    var world = Self.houses
    world.admin(
      "two", subject: Self.gryffindor,
      ingress: [adminRule(.accept, [Self.slytherin], ports: [port(80)]), adminRule(.deny, [Self.slytherin])])
    #expect(world.evaluator.ingress(Self.fromSlytherin).tier == .admin)
    #expect(world.evaluator.ingress(Self.fromSlytherin).verdict == .allowed)
    #expect(world.evaluator.ingress(flow("slytherin/server", "gryffindor/server", 81)).verdict == .denied)
  }

  @Test func `policies with lower priority values are checked first`() {
    var world = Self.houses
    world.admin("late", priority: 60, subject: Self.gryffindor, ingress: [adminRule(.deny, [Self.slytherin])])
    world.admin(
      "soon", priority: 50, subject: Self.gryffindor, ingress: [adminRule(.accept, [Self.slytherin])])
    #expect(world.evaluator.ingress(Self.fromSlytherin).rule?.name == "soon")
    world.admin("first", priority: 0, subject: Self.gryffindor, ingress: [adminRule(.deny, [Self.slytherin])])
    #expect(world.evaluator.ingress(Self.fromSlytherin).rule?.name == "first")
  }

  @Test func `of equal priority the first by name decides`() {
    var world = Self.houses
    world.admin("b", subject: Self.gryffindor, ingress: [adminRule(.deny, [Self.slytherin])])
    world.admin("a", subject: Self.gryffindor, ingress: [adminRule(.accept, [Self.slytherin])])
    #expect(world.evaluator.ingress(Self.fromSlytherin).rule?.name == "a")
  }

  @Test func `Accept is final, no NetworkPolicy is processed further`() {
    var world = Self.houses
    world.network("gryffindor/none", ingress: [])
    #expect(world.evaluator.ingress(Self.fromSlytherin).verdict == .denied)
    world.admin("accept", subject: Self.gryffindor, ingress: [adminRule(.accept, [Self.slytherin])])
    #expect(world.evaluator.ingress(Self.fromSlytherin).verdict == .allowed)
  }

  @Test func `Accept on egress leaves the destination's ingress rules to apply`() {
    var world = Self.houses
    world.admin("accept", egress: [adminRule(.accept, [Self.everybody])])
    world.network("gryffindor/none", ingress: [])
    #expect(world.evaluator.egress(Self.fromSlytherin).verdict == .allowed)
    #expect(world.evaluator.verdict(Self.fromSlytherin) == .denied)
  }

  @Test func `Pass skips the rest of the tier and leaves the next to decide`() {
    var world = Self.houses
    world.admin("deny", priority: 2, subject: Self.gryffindor, ingress: [adminRule(.deny, [Self.slytherin])])
    world.admin(
      "pass", priority: 1, subject: Self.gryffindor,
      ingress: [adminRule(.pass, [Self.slytherin]), adminRule(.deny, [Self.everybody])])
    #expect(world.evaluator.ingress(Self.fromSlytherin) == .notSelected)
    #expect(world.evaluator.ingress(flow("hufflepuff/server", "gryffindor/server")).tier == .admin)
    world.network("gryffindor/none", ingress: [])
    #expect(world.evaluator.ingress(Self.fromSlytherin).tier == .namespaced)
  }

  @Test func `the Baseline tier decides only where no NetworkPolicy selects`() {
    var world = Self.houses
    world.admin("base", tier: .baseline, ingress: [adminRule(.deny, [Self.slytherin])])
    let denied = world.evaluator.ingress(Self.fromSlytherin)
    #expect(denied.verdict == .denied && denied.tier == .baseline)
    world.network("gryffindor/open", ingress: [rule([everywhere()])])
    #expect(world.evaluator.ingress(Self.fromSlytherin).tier == .namespaced)
    #expect(world.evaluator.ingress(Self.fromSlytherin).verdict == .allowed)
    #expect(world.evaluator.ingress(flow("slytherin/server", "hufflepuff/server")).verdict == .denied)
  }

  @Test func `a Baseline rule applies to what the Admin tier passes`() {
    var world = Self.houses
    world.admin("pass", ingress: [adminRule(.pass, [Self.slytherin])])
    world.admin("base", tier: .baseline, ingress: [adminRule(.deny, [Self.everybody])])
    #expect(world.evaluator.ingress(Self.fromSlytherin).tier == .baseline)
  }

  @Test func `a policy without rules for a direction does not affect it`() {
    var world = Self.houses
    world.admin("out", subject: Self.gryffindor, egress: [adminRule(.deny, [Self.everybody])])
    #expect(world.evaluator.ingress(Self.fromSlytherin) == .notSelected)
    #expect(world.evaluator.egress(flow("gryffindor/server", "slytherin/server")).verdict == .denied)
  }

  @Test func `host-networked Pods are neither subjects nor peers by their labels`() {
    var world = Self.houses
    world.admin(
      "all", ingress: [adminRule(.deny, [Self.everybody])], egress: [adminRule(.deny, [Self.everybody])])
    #expect(world.evaluator.ingress(flow("slytherin/server", "gryffindor/agent")) == .notSelected)
    #expect(world.evaluator.egress(flow("gryffindor/agent", to: v4(8, 8, 8, 8))) == .notSelected)
    #expect(world.evaluator.ingress(flow("gryffindor/agent", "slytherin/server")) == .notSelected)
    #expect(world.evaluator.ingress(Self.fromSlytherin).verdict == .denied)
  }

  @Test func `networks match endpoints and nodes by address, too`() {
    var world = Self.houses
    world.admin(
      "net", egress: [adminRule(.deny, [block(v4(10, 0, 1, 0), 24), block(v4(192, 168, 0, 1), 32)])])
    let evaluator = world.evaluator
    #expect(evaluator.egress(flow("gryffindor/server", "slytherin/server")).verdict == .denied)
    #expect(evaluator.egress(flow("gryffindor/server", "hufflepuff/server")).verdict == .allowed)
    #expect(evaluator.egress(flow(from: at("gryffindor/server"), to: .node("n1"))).verdict == .denied)
    #expect(evaluator.egress(flow(from: at("gryffindor/server"), to: .node("n2"))).verdict == .allowed)
    #expect(evaluator.egress(flow("gryffindor/server", to: v4(10, 0, 1, 9))).verdict == .denied)
  }

  @Test func `nodes are selected by their labels, with the Pods on their network`() {
    var world = Self.houses
    world.admin("nodes", egress: [adminRule(.deny, [.nodes(labels(["role": "control-plane"]))])])
    let evaluator = world.evaluator
    #expect(evaluator.egress(flow(from: at("gryffindor/server"), to: .node("n2"))).verdict == .denied)
    #expect(evaluator.egress(flow("gryffindor/server", "gryffindor/agent")).verdict == .denied)
    #expect(evaluator.egress(flow(from: at("gryffindor/server"), to: .node("n1"))).verdict == .allowed)
    #expect(evaluator.egress(flow("gryffindor/server", "slytherin/server")).verdict == .allowed)
  }

  @Test func `an empty nodes selector selects all nodes and nobody else`() {
    var world = Self.houses
    world.admin("nodes", egress: [adminRule(.deny, [.nodes(.everything)])])
    let evaluator = world.evaluator
    #expect(evaluator.egress(flow(from: at("gryffindor/server"), to: .node("n1"))).verdict == .denied)
    #expect(evaluator.egress(flow("gryffindor/server", to: v4(8, 8, 8, 8))).verdict == .allowed)
  }

  @Test func `without protocols every port of every protocol matches`() {
    var world = Self.houses
    world.admin("all", subject: Self.gryffindor, ingress: [adminRule(.deny, [Self.slytherin])])
    for transport in TransportProtocol.allCases {
      #expect(
        world.evaluator.ingress(flow("slytherin/server", "gryffindor/server", 8, transport)).verdict
          == .denied)
    }
  }

  @Test func `port ranges hold both their ends, for their protocol`() {
    var world = Self.houses
    world.admin("range", ingress: [adminRule(.deny, [Self.slytherin], ports: [port(8080, to: 9090, .sctp)])])
    let verdicts = [8079, 8080, 9090, 9091].map {
      world.evaluator.ingress(flow("slytherin/server", "gryffindor/server", $0, .sctp)).verdict
    }
    #expect(verdicts == [.allowed, .denied, .denied, .allowed])
    #expect(
      world.evaluator.ingress(flow("slytherin/server", "gryffindor/server", 8080, .tcp)) == .notSelected)
  }

  @Test func `a named port is the serving endpoint's, whatever its protocol`() {
    var world = Self.houses
    let named = [
      PortMatch(protocol: nil, number: .named("dns")), PortMatch(protocol: nil, number: .named("web")),
    ]
    world.admin("in", subject: Self.gryffindor, ingress: [adminRule(.deny, [Self.slytherin], ports: named)])
    world.admin("out", subject: Self.gryffindor, egress: [adminRule(.deny, [Self.everybody], ports: named)])
    let evaluator = world.evaluator
    #expect(evaluator.ingress(flow("slytherin/server", "gryffindor/server", 53, .udp)).verdict == .denied)
    #expect(evaluator.ingress(flow("slytherin/server", "gryffindor/server", 53, .tcp)).verdict == .allowed)
    #expect(evaluator.egress(flow("gryffindor/server", "hufflepuff/server", 80)).verdict == .denied)
    #expect(evaluator.egress(flow("gryffindor/server", "hufflepuff/server", 81)).verdict == .allowed)
  }

  @Test func `a workload reaches itself whatever the Admin tier says`() {
    var world = Self.houses
    world.admin(
      "all", ingress: [adminRule(.deny, [Self.everybody])], egress: [adminRule(.deny, [Self.everybody])])
    #expect(world.evaluator.ingress(flow("slytherin/server", "slytherin/server")).reason == .`self`)
    #expect(world.evaluator.verdict(flow("slytherin/server", "gryffindor/server")) == .denied)
  }
}
