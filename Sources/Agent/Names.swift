import CDatapath
import Policy

/// The numbers of the kernel half turned back into names, for people and for metrics. Making one costs nothing:
/// what a number means is looked up when somebody asks.
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

  private let known: Known

  init(_ numbers: Numbers = Numbers(), set: PolicySet = PolicySet()) { known = Known(numbers, set) }

  /// `outside` for nobody weir knows; `removed` for a number whose name is lost; `other` for those that a source had no
  /// counters of its own for any more.
  func workload(_ number: UInt32) -> String {
    if number == WEIR_OTHER { return "other" }
    return number == 0 ? "outside" : known.workloads[number] ?? "removed"
  }

  func proxy(_ number: UInt32) -> String? {
    number == 0 ? nil : known.proxies[number] ?? "removed"
  }

  /// nil for no rule.
  func rule(_ number: UInt32) -> Rule? {
    if number == 0 { return nil }
    if let rule = known.found[number] { return rule }
    guard let name = known.rules[number] else {
      return Rule(policy: "removed", path: "", place: nil)
    }
    // Kinds and names hold no spaces: kind, namespace/name, path.
    let parts = name.split(separator: " ", maxSplits: 2)
    let policy = parts.prefix(2).joined(separator: " ")
    let path = parts.count > 2 ? String(parts[2]) : ""
    let rule = Rule(policy: policy, path: path, place: known.places.place(of: policy, path))
    known.found[number] = rule
    return rule
  }

  /// `other` for those that a pair had no counters of their own for any more; protocols without ports have 0.
  static func port(_ port: UInt16, _ transport: UInt8) -> String {
    let hasPorts = [TransportProtocol.tcp, .udp, .sctp].contains { $0.number == transport }
    return port == 0 && hasPorts ? "other" : "\(port)"
  }

  static func reason(_ number: UInt8) -> String { Reason(rawValue: number)?.word ?? "unknown-\(number)" }

  static func `protocol`(_ number: UInt8) -> String {
    TransportProtocol.allCases.first { $0.number == number }?.rawValue
      ?? (number == 58 ? "ICMP" : String(number))
  }

  static func layer(_ direction: UInt8) -> String {
    UInt32(direction) == WEIR_EGRESS.rawValue ? "egress" : "ingress"
  }

  /// What was looked up so far.
  private final class Known {
    let numbers: Numbers
    let set: PolicySet
    lazy var workloads = names(.workloads)
    lazy var proxies = names(.proxies)
    lazy var rules = names(.rules)
    lazy var places = RulePlaces(set)
    var found: [UInt32: Rule] = [:]

    init(_ numbers: Numbers, _ set: PolicySet) {
      self.numbers = numbers
      self.set = set
    }

    private func names(_ table: Numbers.Table) -> [UInt32: String] {
      let given = numbers.numbers(table)
      var names: [UInt32: String] = [:]
      names.reserveCapacity(given.count)
      for (name, number) in given { names[number] = name }
      return names
    }
  }
}
