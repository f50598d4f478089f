import CDatapath

/// The answers of every subject to every class of peers that it tells from anybody.
struct Pairs {
  private(set) var entries: [(key: weir_pair_key, value: UInt32)] = []
  private(set) var functions = Functions()

  /// Positions of the functions by which an egress side asks about requests.
  private(set) var askedAtSource: Set<Int> = []

  private typealias Answer = (peer: UInt32, function: UInt32)

  private let signatures: Signatures
  private let cells: Cells
  private let keys: [Classes.Key]
  private var withSignature: [Int: [Int]] = [:]
  private var withCell: [Int: [Int]] = [:]
  /// By the atom of blocks.
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
      for direction in [Direction.egress, .ingress] where subject[direction].side.speaks {
        let answers = answers(of: subject[direction])
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
  private mutating func answers(of side: PreparedSide) -> [Answer] {
    var toldSignatures = Set(side.atoms.flatMap { signatures.differing[$0] ?? [] })
    if side.side.direction == .egress, side.asksForRequests { toldSignatures.formUnion(signatures.otherwiseTaken) }
    let toldCells = Set(side.atoms.flatMap { cellsOf[$0] ?? [] })
    var known: [Classes.Key: UInt32] = [:]
    var views: [View: UInt32] = [:]
    func answer(_ key: Classes.Key, _ functions: inout Functions) -> UInt32 {
      if let number = known[key] { return number }
      let signature = signatures.all[key.signature]
      let view = side.view(signature.atoms.union(cells.blocks[key.cell]), signature)
      let number = views[view] ?? functions.number(Answers(side, view).function)
      known[key] = number
      views[view] = number
      return number
    }
    defer {
      if side.side.direction == .egress, side.asksForRequests {
        for number in views.values where functions.all[Int(number) - 1].firstProxied != nil {
          askedAtSource.insert(Int(number) - 1)
        }
      }
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
