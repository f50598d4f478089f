import Testing

@testable import Agent
@testable import Policy

/// The words for endpoints and ports on the command line, and the answer of `weir explain` for people.
struct PolicyFilesTests {
  private static var set: PolicySet {
    var set = PolicySet()
    let place = Place(file: "a.yaml", line: 1, column: 1)
    let address = IPAddress(v4: 0xc0a8_0001)
    set.nodes["worker-1"] = Policy.Node(name: "worker-1", labels: [:], addresses: [address], place: place)
    set.endpoints[Name("shop", "web")] = Endpoint(
      name: Name("shop", "web"), labels: [:], addresses: [IPAddress(v4: 0x0a00_0001)],
      serviceAccount: "default",
      ports: [], cgroup: "web", place: place)
    return set
  }

  @Test(arguments: [
    ("node/worker-1", Party.node("worker-1")), ("ip:192.168.0.1", .node("worker-1")),
    ("shop/web", .endpoint(Name("shop", "web"))), ("ip:10.0.0.1", .endpoint(Name("shop", "web"))),
    ("ip:10.0.0.2", .address(IPAddress(v4: 0x0a00_0002))),
  ])
  func `an address of an endpoint or node is that endpoint or node`(_ text: String, _ party: Party) throws {
    #expect(try PolicyFiles.party(text, in: Self.set, option: "--from") == party)
  }

  @Test(arguments: [
    ("node/worker-2", "--from node/worker-2: no such node in the files; did you mean node/worker-1?"),
    ("node/x", "--from node/x: no such node in the files; give its v1 Node"),
    ("shop/wbe", "--from shop/wbe: no such endpoint in the files; did you mean shop/web?"),
    ("q", "--from q: no such endpoint in the files; write NAMESPACE/NAME, node/NAME or ip:ADDRESS"),
  ])
  func `who is not in the files is told what is`(_ text: String, _ message: String) {
    let error = #expect(throws: Failure.self) {
      try PolicyFiles.party(text, in: Self.set, option: "--from")
    }
    #expect(error?.description == message)
  }

  @Test func `an ICMPv6 type is below 256, a port is not`() throws {
    #expect(try PolicyFiles.port("128/icmpv6") == (.icmpv6, 128))
    #expect(throws: Failure.self) { try PolicyFiles.port("256/ICMPv6") }
    #expect(try PolicyFiles.port("256/tcp") == (.tcp, 256))
  }

  @Test func `people see who lost, and how many more`() {
    func policy(_ name: String, _ rule: String) -> Explanation.Policy {
      Explanation.Policy(
        kind: "NetworkPolicy", namespace: "shop", name: name, rule: rule, file: "a.yaml", line: 3)
    }
    let lost = (0..<10).map { policy("p\($0)", $0 == 0 ? "" : "ingress[0]") }
    let layer = Explanation.Layer(
      layer: "ingress", side: nil, tier: "namespaced", verdict: "allowed", reason: "rule",
      policy: policy("won", "ingress[1]"), considered: lost)
    let text = ExplainText.text(Explanation(verdict: "allowed", layers: [layer]), coloured: false)
    #expect(text.contains("ingress  allowed  rule      NetworkPolicy shop/won ingress[1] (a.yaml:3)\n"))
    #expect(text.contains("                  no match  NetworkPolicy shop/p0 (a.yaml:3)\n"))
    #expect(text.contains("                  lost      NetworkPolicy shop/p7 ingress[0] (a.yaml:3)\n"))
    #expect(!text.contains("p8") && text.contains("and 2 more; -o json names them\n"))
  }
}
