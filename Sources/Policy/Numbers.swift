/// The small integers that stand for names in the kernel and in proxies. A number keeps its meaning for as long as the
/// programs are attached, also across restarts of the agent, because sockets and counters carry it; so the agent saves
/// this beside its pins. Numbers are given in order and not used again. 0 means nobody.
public struct Numbers: Sendable, Codable, Equatable {
  public private(set) var identities: [String: UInt32] = [:]
  public private(set) var workloads: [String: UInt32] = [:]
  public private(set) var rules: [String: UInt32] = [:]
  public private(set) var targets: [String: UInt32] = [:]
  public private(set) var proxies: [String: UInt32] = [:]

  public init() {}

  /// The number of (namespace, labels, service account).
  public mutating func identity(namespace: String, labels: Labels, serviceAccount: String) -> UInt32 {
    let pairs = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    return Numbers.number(
      "\(namespace)|\(serviceAccount)|\(pairs.joined(separator: ","))", in: &identities)
  }

  public mutating func workload(_ name: Name) -> UInt32 {
    Numbers.number(name.description, in: &workloads)
  }

  public mutating func rule(_ name: RuleName) -> UInt32 {
    Numbers.number(name.description, in: &rules)
  }

  /// The number by which proxies know a destination whose requests they judge.
  public mutating func target(_ name: Name) -> UInt32 { Numbers.number(name.description, in: &targets) }

  public mutating func proxy(_ name: Name) -> UInt32 { Numbers.number(name.description, in: &proxies) }

  private static func number(_ name: String, in table: inout [String: UInt32]) -> UInt32 {
    if let known = table[name] { return known }
    let next = UInt32(table.count + 1)
    table[name] = next
    return next
  }
}
