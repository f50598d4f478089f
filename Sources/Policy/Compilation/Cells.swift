import CDatapath

/// The address space, cut where the set of ipBlocks that contain an address changes. A cell is one such set;
/// 0 is none.
struct Cells {
  struct Entry {
    var prefix: CIDR
    var cell: Int
  }

  /// One for each prefix that changes the set, less specific before more specific.
  private(set) var entries: [Entry] = []
  /// The atoms of the ipBlocks that contain the addresses of a cell; cell 0 has none.
  private(set) var blocks: [Bits] = [Bits()]
  private var numbers: [Bits: Int] = [Bits(): 0]
  private var starts: [(address: UInt128, cell: Int)] = []

  /// - Parameter questions: atoms about addresses: in one of the blocks, in none of the exceptions.
  init(_ questions: [(atom: Int, blocks: [CIDR], except: [CIDR])]) {
    var opening: [CIDR: [Int]] = [:]
    var closing: [CIDR: [Int]] = [:]
    for (atom, blocks, except) in questions {
      for block in blocks where !except.contains(where: { $0.contains(block) }) {
        opening[block, default: []].append(atom)
        // In the kernel's one trie IPv4 lies inside the IPv6 prefixes of ::ffff:0:0/96, but ::/0 is not about IPv4.
        if !block.isV4, CIDR.everyV4.base.bits & CIDR.mask(block.prefix) == block.base.bits {
          closing[.everyV4, default: []].append(atom)
        }
      }
      for except in except { closing[except, default: []].append(atom) }
    }
    let prefixes = Set(opening.keys).union(closing.keys).sorted {
      ($0.base.bits, $0.prefix) < ($1.base.bits, $1.prefix)
    }
    // A prefix begins with what the one around it holds: sorted this way, those around it are a stack.
    var around: [(prefix: CIDR, set: Bits)] = []
    for prefix in prefixes {
      while let last = around.last, !Self.encloses(last.prefix, prefix) { around.removeLast() }
      let outer = around.last?.set ?? Bits()
      var set = outer
      for atom in closing[prefix] ?? [] { set.remove(atom) }
      for atom in opening[prefix] ?? [] { set.insert(atom) }
      around.append((prefix, set))
      if set != outer { add(prefix, set) }
    }
    cut()
  }

  /// The cell of one address: of the innermost prefix that holds it.
  func cell(of address: IPAddress) -> Int {
    var low = 0
    var high = starts.count
    while low < high {
      let middle = (low + high) / 2
      if starts[middle].address <= address.bits { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? 0 : starts[low - 1].cell
  }

  /// The address space as intervals, each from its start up to the next.
  private mutating func cut() {
    var around: [(end: UInt128, cell: Int)] = []
    /// Returns to what lies around the prefixes that end before an address.
    func leave(before address: UInt128?) {
      while let last = around.last, address.map({ last.end < $0 }) ?? true {
        around.removeLast()
        if last.end < .max { start(last.end + 1, around.last?.cell ?? 0) }
      }
    }
    func start(_ address: UInt128, _ cell: Int) {
      if starts.last?.address == address { starts.removeLast() }
      starts.append((address, cell))
    }
    for entry in entries {
      let base = entry.prefix.base.bits
      leave(before: base)
      start(base, entry.cell)
      around.append((base | ~CIDR.mask(entry.prefix.prefix), entry.cell))
    }
    leave(before: nil)
  }

  private mutating func add(_ prefix: CIDR, _ set: Bits) {
    let cell = numbers[set] ?? blocks.count
    if cell == blocks.count {
      numbers[set] = cell
      blocks.append(set)
    }
    entries.append(Entry(prefix: prefix, cell: cell))
  }

  /// As the kernel's trie sees it, in bits alone.
  private static func encloses(_ outer: CIDR, _ inner: CIDR) -> Bool {
    outer.prefix <= inner.prefix && inner.base.bits & CIDR.mask(outer.prefix) == outer.base.bits
  }
}

/// A set of small numbers. Trailing zero words are never kept, so that equal sets are equal.
struct Bits: Hashable {
  private var words: [UInt64] = []

  func contains(_ bit: Int) -> Bool {
    bit >> 6 < words.count && words[bit >> 6] & (1 << UInt64(bit & 63)) != 0
  }

  var isEmpty: Bool { words.isEmpty }

  mutating func insert(_ bit: Int) {
    while words.count <= bit >> 6 { words.append(0) }
    words[bit >> 6] |= 1 << UInt64(bit & 63)
  }

  mutating func remove(_ bit: Int) {
    guard bit >> 6 < words.count else { return }
    words[bit >> 6] &= ~(1 << UInt64(bit & 63))
    while words.last == 0 { words.removeLast() }
  }

  func union(_ other: Bits) -> Bits {
    var (long, short) = words.count >= other.words.count ? (self, other) : (other, self)
    for index in short.words.indices { long.words[index] |= short.words[index] }
    short = long
    return short
  }

  /// The numbers that are in exactly one of the two, ascending.
  func differences(from other: Bits) -> [Int] {
    var found: [Int] = []
    for index in 0..<max(words.count, other.words.count) {
      let mine = index < words.count ? words[index] : 0
      let theirs = index < other.words.count ? other.words[index] : 0
      var rest = mine ^ theirs
      while rest != 0 {
        found.append(index << 6 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
    return found
  }

  var members: [Int] { differences(from: Bits()) }
}
