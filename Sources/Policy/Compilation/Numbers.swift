import CDatapath

/// Which number is which name, for everything that the kernel knows by number. A number keeps its meaning for as long as
/// anything may carry it: sockets and counters do, over generations and over restarts of the agent. A name that is gone
/// everywhere may be released; its number is given away again only where numbers are scarce, and only after a rest.
public struct Numbers: Sendable {
  public enum Table: String, Sendable, CaseIterable {
    case identities, workloads, rules, targets, proxies

    /// The largest number that fits where it is kept.
    var limit: UInt32 {
      switch self {
      case .identities: 1 << UInt32(WEIR_IDENTITY_BITS) - 1
      case .targets: 1 << UInt32(WEIR_TARGET_BITS) - 1
      case .proxies: UInt32(UInt8.max)
      case .workloads, .rules: .max
      }
    }
  }

  /// What happened to a number, for the journal.
  public enum Change: Sendable, Equatable {
    case given(Table, UInt32, String)
    case released(Table, UInt32)
  }

  private struct Column: Sendable {
    var numbers: [String: UInt32] = [:]
    /// The smallest number that no name ever had.
    var next: UInt32 = 1
    /// Rested: to be given away when the fresh ones are used up.
    var free: [UInt32] = []
  }

  private var columns: [Table: Column] = [:]
  /// Since `forgetChanges`, in order.
  public private(set) var changes: [Change] = []
  /// How many times a name got a number.
  public private(set) var given: UInt64 = 0

  public init() {}

  public var identities: [String: UInt32] { numbers(.identities) }
  public var workloads: [String: UInt32] { numbers(.workloads) }
  public var rules: [String: UInt32] { numbers(.rules) }
  public var targets: [String: UInt32] { numbers(.targets) }
  public var proxies: [String: UInt32] { numbers(.proxies) }

  public func numbers(_ table: Table) -> [String: UInt32] { columns[table]?.numbers ?? [:] }

  /// The number of (namespace, labels, service account).
  public mutating func identity(namespace: String, labels: Labels, serviceAccount: String) -> UInt32 {
    number(Numbers.identity(namespace, labels, serviceAccount), in: .identities)
  }

  /// How an identity is named here.
  public static func identity(_ namespace: String, _ labels: Labels, _ serviceAccount: String) -> String {
    let pairs = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    return "\(namespace)|\(serviceAccount)|\(pairs.joined(separator: ","))"
  }

  public mutating func workload(_ name: Name) -> UInt32 { number(name.description, in: .workloads) }

  public mutating func rule(_ name: RuleName) -> UInt32 { number(name.description, in: .rules) }

  /// The number by which proxies know a destination whose requests they judge.
  public mutating func target(_ name: Name) -> UInt32 { number(name.description, in: .targets) }

  public mutating func proxy(_ name: Name) -> UInt32 { number(name.description, in: .proxies) }

  private mutating func number(_ name: String, in table: Table) -> UInt32 {
    if let known = columns[table]?.numbers[name] { return known }
    var column = columns[table] ?? Column()
    columns[table] = nil  // so that it is changed in place
    let number = column.next > table.limit ? column.free.popLast() ?? column.next : column.next
    if number == column.next { column.next += 1 }
    column.numbers[name] = number
    columns[table] = column
    given += 1
    changes.append(.given(table, number, name))
    return number
  }

  /// The changes are where they will be found again.
  public mutating func forgetChanges() { changes = [] }
}

extension Numbers: Equatable {
  /// The same names with the same numbers, and the same numbers left.
  public static func == (a: Numbers, b: Numbers) -> Bool {
    Table.allCases.allSatisfy { table in
      a.numbers(table) == b.numbers(table) && (a.columns[table]?.next ?? 1) == (b.columns[table]?.next ?? 1)
    }
  }
}

// MARK: - Release

extension Numbers {
  /// Forgets names; their numbers mean nobody until they are given away again.
  public mutating func release(_ names: some Sequence<String>, from table: Table) {
    for name in names {
      guard let number = columns[table]?.numbers.removeValue(forKey: name) else { continue }
      changes.append(.released(table, number))
    }
  }

  /// Lets numbers of released names be given away again, where more than half of a table's numbers were used.
  /// - Parameter resting: released lately; something may still carry them.
  public mutating func reuse(_ table: Table, except resting: Set<UInt32>) {
    guard let column = columns[table], table.limit < .max, column.next > table.limit / 2 else { return }
    let used = Set(column.numbers.values)
    // The last is taken first.
    columns[table]?.free = (1..<column.next).reversed().filter { !used.contains($0) && !resting.contains($0) }
  }
}

// MARK: - The journal

extension Numbers {
  /// All there is, as changes that make it.
  public var history: [Change] {
    Table.allCases.flatMap { table -> [Change] in
      guard let column = columns[table] else { return [] }
      let names = column.numbers.sorted { $0.value < $1.value }
      let last = column.next - 1
      let released = last > 0 && names.last?.value != last ? [Change.released(table, last)] : []
      return names.map { .given(table, $0.value, $0.key) } + released
    }
  }

  /// What a journal tells: each table's names, and the largest number that was ever given away.
  public init(_ names: [Table: [UInt32: String]], last: [Table: UInt32]) {
    for table in Table.allCases {
      var column = Column(next: max(last[table] ?? 0, names[table]?.keys.max() ?? 0) + 1)
      for (number, name) in names[table] ?? [:] { column.numbers[name] = number }
      columns[table] = column
      given += UInt64(column.numbers.count)
    }
  }
}
