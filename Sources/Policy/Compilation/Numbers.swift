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

// MARK: - Tables

extension Numbers {
  public enum Table: String, Sendable, CaseIterable {
    case identities, workloads, rules, targets, proxies
  }

  private subscript(table: Table) -> [String: UInt32] {
    get {
      switch table {
      case .identities: identities
      case .workloads: workloads
      case .rules: rules
      case .targets: targets
      case .proxies: proxies
      }
    }
  }

  public func count(_ table: Table) -> Int { self[table].count }

  /// The names that got their numbers after the first `known`, in the order of their numbers. Without new ones
  /// it costs nothing.
  public func names(_ table: Table, after known: Int = 0) -> [String] {
    let all = self[table]
    guard all.count > known else { return [] }
    var names = [String](repeating: "", count: all.count - known)
    for (name, number) in all where number > known { names[Int(number) - known - 1] = name }
    return names
  }

  /// Gives a name the next number of a table; false where it has one.
  public mutating func add(_ name: String, to table: Table) -> Bool {
    let count = count(table)
    let number =
      switch table {
      case .identities: Numbers.number(name, in: &identities)
      case .workloads: Numbers.number(name, in: &workloads)
      case .rules: Numbers.number(name, in: &rules)
      case .targets: Numbers.number(name, in: &targets)
      case .proxies: Numbers.number(name, in: &proxies)
      }
    return number == count + 1
  }
}
