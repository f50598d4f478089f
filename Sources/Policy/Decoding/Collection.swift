import Synchronization

/// The files of a reading, looked at together. What did not change since the reading before costs next to
/// nothing: sets share their storage, and only names, policies and claims of other files are touched.
struct Collection {
  /// Of the last reading, in its order, right and wrong.
  private var sources: [FileReading] = []
  /// Those whose objects are in `set`.
  private var taken: [FileReading] = []
  private var set = PolicySet()
  /// How many files' claims have a hash, of all sources. Two claims of one hash need not be one claim; then
  /// they are looked at, and no more.
  private var claims: [Int: Int32] = [:]
  private var contested = 0

  /// Takes the place of the sources before.
  mutating func join(_ next: [FileReading]) -> Reading {
    let (gone, come) = Collection.difference(sources, next)
    for source in gone { count(source.claims, by: -1) }
    for source in come { count(source.claims, by: 1) }
    let conflicts = contested == 0 ? [:] : Collection.conflicts(next)
    var reading = Reading()
    var right: [FileReading] = []
    right.reserveCapacity(next.count)
    for (index, source) in next.enumerated() {
      let all = source.problems + conflicts[index, default: []].prefix(Findings.limit)
      if all.isEmpty { right.append(source) }
      reading.problems += all
    }
    reading.problems.sort {
      ($0.file, $0.line, $0.column, $0.field) < ($1.file, $1.line, $1.column, $1.field)
    }
    take(right)
    sources = next
    reading.set = set
    reading.files = next.count
    reading.objects = right.reduce(0) { $0 + $1.objects.count }
    return reading
  }

  private mutating func take(_ next: [FileReading]) {
    let (gone, come) = Collection.difference(taken, next)
    let isOrdered = gone.isEmpty && come.isEmpty && zip(taken, next).allSatisfy { $0 === $1 }
    let isSame = set.inventoryStamp != 0 && Collection.haveOneInventory(gone, come)
    let stamp = isSame ? set.inventoryStamp : Collection.nextStamp()
    for source in gone { set.remove(inventoryOf: source.objects) }
    for source in come { set.add(inventoryOf: source.objects) }
    if !isOrdered { set.setPolicies(next.map(\.objects)) }
    set.inventoryStamp = stamp
    taken = next
  }

  private static func haveOneInventory(_ some: [FileReading], _ others: [FileReading]) -> Bool {
    func count(_ files: [FileReading]) -> Int { files.reduce(0) { $0 + $1.objects.inventoryCount } }
    // Nearly always they differ by this, or are both empty.
    guard count(some) == count(others) else { return false }
    var (one, other) = (Objects(), Objects())
    for source in some { one.addInventory(of: source.objects) }
    for source in others { other.addInventory(of: source.objects) }
    return one.hasInventory(of: other)
  }

  /// Never one that was given before in this process.
  private static func nextStamp() -> UInt64 { stamps.wrappingAdd(1, ordering: .relaxed).newValue }
  private static let stamps = Atomic<UInt64>(0)

  private static func difference(_ old: [FileReading], _ new: [FileReading])
    -> (gone: [FileReading], come: [FileReading])
  {
    let before = Set(old.map { ObjectIdentifier($0) })
    let after = Set(new.map { ObjectIdentifier($0) })
    return (
      old.filter { !after.contains(ObjectIdentifier($0)) },
      new.filter { !before.contains(ObjectIdentifier($0)) }
    )
  }
}

// MARK: - Claims

extension Collection {
  private mutating func count(_ list: [Claim], by step: Int32) {
    for claim in list {
      let hash = claim.key.hashValue
      let former = claims[hash, default: 0]
      let now = former + step
      claims[hash] = now == 0 ? nil : now
      if former == 1 && now == 2 { contested += 1 }
      if former == 2 && now == 1 { contested -= 1 }
    }
  }

  /// What is claimed twice, by the index of the source that claims it second, in the sources' order. Also the
  /// claims of files that are wrong already, so that one run tells everything.
  private static func conflicts(_ sources: [FileReading]) -> [Int: [Problem]] {
    var first: [Claim.Key: Claim] = [:]
    var conflicts: [Int: [Problem]] = [:]
    for (index, source) in sources.enumerated() {
      for claim in source.claims {
        if let other = first[claim.key] {
          conflicts[index, default: []].append(claim.conflict(with: other))
        } else {
          first[claim.key] = claim
        }
      }
    }
    return conflicts
  }
}
