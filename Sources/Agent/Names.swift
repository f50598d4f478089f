import CDatapath
import Policy

/// The numbers of the kernel half turned back into names, for people and for metrics.
struct Names {
  /// A rule as verdicts name it, in parts.
  struct Rule: Equatable {
    /// `NetworkPolicy shop/default-deny`
    var policy: String
    /// `ingress[0].from[1]`; empty for an object's default deny.
    var path: String
    /// Where it stands in the files in force; nil for one that is no longer there.
    var place: Place?

    var full: String { path.isEmpty ? policy : "\(policy) \(path)" }
  }

  private var workloads: [UInt32: String] = [:]
  private var proxies: [UInt32: String] = [:]
  private var rules: [UInt32: Rule] = [:]

  init(_ numbers: Numbers = Numbers(), set: PolicySet = PolicySet()) {
    let places = Names.places(in: set)
    for (name, number) in numbers.workloads { workloads[number] = name }
    for (name, number) in numbers.proxies { proxies[number] = name }
    for (name, number) in numbers.rules {
      // Kinds and names hold no spaces: kind, namespace/name, path.
      let parts = name.split(separator: " ", maxSplits: 2)
      let policy = parts.prefix(2).joined(separator: " ")
      rules[number] = Rule(policy: policy, path: parts.count > 2 ? String(parts[2]) : "", place: places[name])
    }
  }

  /// `outside` for nobody weir knows; `removed` for a number whose name is lost.
  func workload(_ number: UInt32) -> String { number == 0 ? "outside" : workloads[number] ?? "removed" }

  func proxy(_ number: UInt32) -> String? { number == 0 ? nil : proxies[number] ?? "removed" }

  /// nil for no rule.
  func rule(_ number: UInt32) -> Rule? {
    number == 0 ? nil : rules[number] ?? Rule(policy: "removed", path: "", place: nil)
  }

  static func reason(_ number: UInt8) -> String { Reason(rawValue: number)?.word ?? "unknown-\(number)" }

  static func `protocol`(_ number: UInt8) -> String {
    TransportProtocol.allCases.first { $0.number == number }?.rawValue
      ?? (number == 58 ? "ICMP" : String(number))
  }

  static func layer(_ direction: UInt8) -> String {
    UInt32(direction) == WEIR_EGRESS.rawValue ? "egress" : "ingress"
  }

  /// The place of every rule of a set, under the rule's full name.
  private static func places(in set: PolicySet) -> [String: Place] {
    var places: [String: Place] = [:]
    for policy in set.networkPolicies {
      let name = "NetworkPolicy \(policy.name)"
      places[name] = policy.place
      for (direction, peers, rules) in [("ingress", "from", policy.ingress), ("egress", "to", policy.egress)]
      {
        for (index, rule) in rules.enumerated() {
          places["\(name) \(direction)[\(index)]"] = rule.place
          for (peer, place) in rule.peerPlaces.enumerated() {
            places["\(name) \(direction)[\(index)].\(peers)[\(peer)]"] = place
          }
        }
      }
    }
    for policy in set.authorizationPolicies {
      let name = "AuthorizationPolicy \(policy.name)"
      places[name] = policy.place
      for (index, rule) in policy.rules.enumerated() { places["\(name) rules[\(index)]"] = rule.place }
    }
    return places
  }
}
