import Policy
import Testing

@testable import Agent

struct NamesTests {
  private func place(_ line: Int) -> Place { Place(file: "a.yaml", line: line, column: 1) }

  private func expect(_ rule: RuleName, in set: PolicySet, at line: Int?) {
    var numbers = Numbers()
    _ = numbers.rule(RuleName(kind: "NetworkPolicy", namespace: "x", name: "before", rule: ""))
    let number = numbers.rule(rule)
    let found = Names(numbers, set: set).rule(number)
    #expect(found?.full == rule.description)
    #expect(found?.place?.line == line, "\(rule)")
  }

  @Test func `a rule's number leads to its place, for every kind`() {
    var set = PolicySet()
    set.networkPolicies = [
      NetworkPolicy(
        name: Name("shop", "n"), podSelector: .everything,
        ingress: (0..<12).map {
          NetworkPolicy.Rule(
            peers: [.entity(.all), .entity(.all)], ports: [], peerPlaces: [place(100 + $0), place(200 + $0)],
            place: place(10 + $0))
        }, egress: [], isolatesIngress: true, isolatesEgress: false, place: place(1))
    ]
    set.adminPolicies = [
      AdminPolicy(
        kind: .baselineAdminNetworkPolicy, name: Name("", "default"), tier: .baseline, priority: 0,
        subject: PeerSelector(namespaces: nil, pods: nil), ingress: [],
        egress: [
          AdminPolicy.Rule(action: .deny, peers: [.entity(.all)], ports: nil, peerPlaces: [place(31)], place: place(30))
        ], place: place(29))
    ]
    set.ciliumPolicies = [0, 1].map { spec in
      CiliumPolicy(
        kind: .networkPolicy, name: Name("shop", "c"), prefix: "specs[\(spec)].", subject: .nodes(.everything),
        ingressDeny: [
          CiliumPolicy.Rule(
            peers: [CiliumPolicy.NamedPeer(.entity(.all), path: "fromEntities[0]", place: place(52 + 10 * spec))],
            ports: [CiliumPolicy.Ports(ports: [], requests: nil, path: "toPorts[0]", place: place(53 + 10 * spec))],
            place: place(51 + 10 * spec))
        ], isolatesIngress: true, isolatesEgress: false, place: place(50 + 10 * spec))
    }
    set.authorizationPolicies = [
      AuthorizationPolicy(
        name: Name("shop", "a"), selector: nil, action: .allow,
        rules: [AuthorizationPolicy.Rule(from: [], to: [], place: place(71))], place: place(70))
    ]
    func rule(_ kind: String, _ namespace: String, _ name: String, _ path: String) -> RuleName {
      RuleName(kind: kind, namespace: namespace, name: name, rule: path)
    }
    expect(rule("NetworkPolicy", "shop", "n", ""), in: set, at: 1)
    expect(rule("NetworkPolicy", "shop", "n", "ingress[1]"), in: set, at: 11)
    expect(rule("NetworkPolicy", "shop", "n", "ingress[11].from[1]"), in: set, at: 211)
    expect(rule("NetworkPolicy", "shop", "n", "ingress[1].from[2]"), in: set, at: nil)
    expect(rule("NetworkPolicy", "shop", "gone", "ingress[1]"), in: set, at: nil)
    expect(rule("BaselineAdminNetworkPolicy", "", "default", "egress[0].to[0]"), in: set, at: 31)
    expect(rule("AdminNetworkPolicy", "", "default", "egress[0].to[0]"), in: set, at: nil)
    expect(rule("CiliumNetworkPolicy", "shop", "c", "specs[1].ingressDeny[0].fromEntities[0]"), in: set, at: 62)
    expect(rule("CiliumNetworkPolicy", "shop", "c", "specs[0].ingressDeny[0].toPorts[0]"), in: set, at: 53)
    expect(rule("CiliumNetworkPolicy", "shop", "c", "specs[0].ingressDeny[0]"), in: set, at: 51)
    expect(rule("AuthorizationPolicy", "shop", "a", "rules[0]"), in: set, at: 71)
  }
}
