import CDatapath

/// Numbers for what rules can tell apart: who selects a workload, who it is as a peer, and the cell of its
/// address.
struct Classes {
  struct Key: Hashable {
    /// 0 where only the peer is meant.
    var subject = 0
    var signature = 0
    var cell = 0
  }

  /// By number. 0 is a peer that no rule can tell from anybody.
  private(set) var keys = [Key()]
  private var numbers = [Key(): UInt32(0)]

  mutating func number(_ key: Key) -> UInt32 {
    if let known = numbers[key] { return known }
    let number = UInt32(keys.count)
    numbers[key] = number
    keys.append(key)
    return number
  }
}

/// The functions of all pairs, each kept once.
struct Functions {
  private(set) var all: [PortsFunction] = []
  private var numbers: [PortsFunction: UInt32] = [:]

  /// From 1, in the order they are met.
  mutating func number(_ function: PortsFunction) -> UInt32 {
    if let known = numbers[function] { return known }
    all.append(function)
    let number = UInt32(all.count)
    numbers[function] = number
    return number
  }
}

/// The answers of every subject to every class of peers that it tells from anybody.
struct Pairs {
  private(set) var entries: [(key: weir_pair_key, value: UInt32)] = []
  private(set) var functions = Functions()

  private typealias Answer = (peer: UInt32, function: UInt32)

  private let signatures: Signatures
  private let cells: Cells
  private let keys: [Classes.Key]
  private var withSignature: [Int: [Int]] = [:]
  private var withCell: [Int: [Int]] = [:]
  /// By the atom of an ipBlock.
  private var cellsOf: [Int: [Int]] = [:]

  init(_ subjects: Subjects, _ signatures: Signatures, _ cells: Cells, _ classes: Classes) {
    self.signatures = signatures
    self.cells = cells
    keys = classes.keys
    var withSubject: [Int: [UInt32]] = [:]
    for (number, key) in keys.enumerated() {
      withSignature[key.signature, default: []].append(number)
      withCell[key.cell, default: []].append(number)
      if key.subject > 0 { withSubject[key.subject, default: []].append(UInt32(number)) }
    }
    for (cell, blocks) in cells.blocks.enumerated() {
      for atom in blocks.members { cellsOf[atom, default: []].append(cell) }
    }
    for (number, subject) in subjects.all.enumerated() {
      guard let members = withSubject[number] else { continue }
      for direction in [Direction.egress, .ingress] where subject.speaks(direction) {
        let answers = answers(of: subject, direction)
        for member in members {
          for (peer, function) in answers {
            let key = weir_pair_key(subject: member, peer: peer, direction: direction.rawValue)
            entries.append((key, function))
          }
        }
      }
    }
  }

  /// The generic peer's function first, then those of the classes that get another.
  private mutating func answers(of subject: Subject, _ direction: Direction) -> [Answer] {
    let atoms = subject.atoms(direction)
    let toldSignatures = Set(atoms.flatMap { signatures.differing[$0] ?? [] })
    let toldCells = Set(atoms.flatMap { cellsOf[$0] ?? [] })
    var known: [Classes.Key: UInt32] = [:]
    var views: [Subject.View: UInt32] = [:]
    func answer(_ key: Classes.Key, _ functions: inout Functions) -> UInt32 {
      if let number = known[key] { return number }
      let signature = signatures.all[key.signature]
      let view = subject.view(
        direction, atoms: signature.atoms.union(cells.blocks[key.cell]), ports: signature.ports)
      let number = views[view] ?? functions.number(subject.function(direction, view))
      known[key] = number
      views[view] = number
      return number
    }
    let generic = answer(Classes.Key(), &functions)
    var found: [Answer] = []
    // What this subject does not tell apart is asked as 0, so that few questions answer for many classes.
    for signature in toldSignatures.sorted() {
      for number in withSignature[signature] ?? [] {
        let cell = toldCells.contains(keys[number].cell) ? keys[number].cell : 0
        let function = answer(Classes.Key(signature: signature, cell: cell), &functions)
        if function != generic { found.append((UInt32(number), function)) }
      }
    }
    for cell in toldCells.sorted() {
      let function = answer(Classes.Key(cell: cell), &functions)
      guard function != generic else { continue }
      for number in withCell[cell] ?? [] where !toldSignatures.contains(keys[number].signature) {
        found.append((UInt32(number), function))
      }
    }
    return [(0, generic)] + found.sorted { $0.peer < $1.peer }
  }
}
