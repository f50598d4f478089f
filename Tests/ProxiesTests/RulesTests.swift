import Policy
import Testing

@testable import Proxies

@Suite struct RulesTests {
  /// The policies of the one filter in a rules text.
  private func policies(_ rules: [L7Rule], generation: UInt32 = 1) throws -> Parsed {
    let response = try Parsed(Envoy.rules(rules, generation: generation))
    #expect(response["version_info"] == .string(String(generation)))
    #expect(response["resources"].elements.count == 1)
    let resource = response["resources"][0]
    #expect(resource["name"] == "l7policy")
    #expect(resource["typed_config"]["rules"]["action"] == "ALLOW")
    return resource["typed_config"]["rules"]["policies"]
  }

  private func blocks(_ policy: Parsed) -> [Parsed] {
    policy["principals"].elements.map { $0["direct_remote_ip"] }
  }

  @Test("Without rules the filter is there and has no policy, which refuses every request")
  func nothing() throws {
    #expect(try policies([]) == [:])
  }

  @Test("An identity is one address in each family: 240.0.0.0/4 | target << 18 | identity, and the IPv6 form")
  func identities() throws {
    // 1023 << 18 | (1 << 18) - 1 fills the 28 bits.
    let policies = try policies([
      rule(name: "small", target: 1, identities: [1]),
      rule(name: "middle", target: 5, identities: [0x1234]),
      rule(name: "largest", target: 1023, identities: [262_143]),
    ])
    let expected: [String: [(String, Int)]] = [
      "small": [("240.4.0.1", 32), ("fd77:6569:7200::1:0:1", 128)],
      "middle": [("240.20.18.52", 32), ("fd77:6569:7200::5:0:1234", 128)],
      "largest": [("255.255.255.255", 32), ("fd77:6569:7200::3ff:3:ffff", 128)],
    ]
    for (name, addresses) in expected {
      #expect(
        blocks(policies[name])
          == addresses.map { ["address_prefix": .string($0.0), "prefix_len": .number($0.1)] })
    }
  }

  @Test("Every source of a target is the target's prefix in each family")
  func everySource() throws {
    let policy = try policies([rule(name: "all", target: 5, identities: nil)])["all"]
    #expect(
      blocks(policy) == [
        ["address_prefix": "240.20.0.0", "prefix_len": 14],
        ["address_prefix": "fd77:6569:7200::5:0:0", "prefix_len": 96],
      ])
  }

  @Test("A number that does not fit allows nobody, least of all the one whose bits it would overlap")
  func overflow() throws {
    let policies = try policies([
      rule(name: "target", target: 1024, identities: nil),
      rule(name: "identity", target: 1, identities: [262_144]),
      rule(name: "one of two", target: 1, identities: [262_144, 2]),
    ])
    #expect(policies.members.keys.sorted() == ["one of two"])
    #expect(blocks(policies["one of two"]).count == 2)
  }

  @Test("A rule for nobody, for no port or for no request is left out: Envoy would refuse the whole file")
  func emptyLists() throws {
    var noPort = rule(name: "no port", target: 1, identities: [1])
    noPort.ports = []
    var noRequest = rule(name: "no request", target: 1, identities: [1])
    noRequest.require = [[]]
    #expect(try policies([rule(name: "nobody", target: 1, identities: []), noPort, noRequest]) == [:])
  }

  @Test("Rules with the same name all stand, under names that still say which rule it is")
  func names() throws {
    let same = rule(name: "AuthorizationPolicy shop/api rules[0]", target: 1, identities: [1])
    var taken = same
    taken.name += " (2)"
    let policies = try policies([same, taken, same])
    #expect(
      policies.members.keys.sorted() == [
        "AuthorizationPolicy shop/api rules[0]", "AuthorizationPolicy shop/api rules[0] (2)",
        "AuthorizationPolicy shop/api rules[0] (3)",
      ])
  }

  @Test("The same rules and generation are the same text")
  func deterministic() {
    let rules = (1...50).map { rule(name: "r\($0)", target: UInt16($0), identities: [UInt32($0), 7]) }
    #expect(Envoy.rules(rules, generation: 9) == Envoy.rules(rules, generation: 9))
    #expect(Envoy.rules(rules, generation: 9) != Envoy.rules(rules, generation: 10))
  }
}

/// A rule that allows every request of its sources.
func rule(name: String, target: UInt16, identities: [UInt32]?) -> L7Rule {
  L7Rule(
    name: name, target: target, identities: identities, ports: nil, require: [], unless: [])
}
