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
  /// The numbers of classes, by signature and by cell.
  private var withSignature: [[UInt32]]
  private var withCell: [[UInt32]]
  /// By the atom of blocks.
  private var cellsOf: [Int: [Int]] = [:]

  init(_ subjects: Subjects, _ signatures: Signatures, _ cells: Cells, _ classes: Classes) {
    self.signatures = signatures
    self.cells = cells
    keys = classes.keys
    var withSubject = [[UInt32]](repeating: [], count: subjects.all.count)
    withSignature = [[UInt32]](repeating: [], count: signatures.all.count)
    withCell = [[UInt32]](repeating: [], count: cells.blocks.count)
    for (number, key) in keys.enumerated() {
      withSignature[key.signature].append(UInt32(number))
      withCell[key.cell].append(UInt32(number))
      if key.subject > 0 { withSubject[key.subject].append(UInt32(number)) }
    }
    for (cell, blocks) in cells.blocks.enumerated() {
      for atom in blocks.members { cellsOf[atom, default: []].append(cell) }
    }
    for (subject, members) in zip(subjects.all, withSubject) where !members.isEmpty {
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
    var told = [Bool](repeating: false, count: signatures.all.count)
    for atom in side.atoms { for signature in signatures.differing[atom] ?? [] { told[signature] = true } }
    if side.side.direction == .egress, side.asksForRequests {
      for signature in signatures.otherwiseTaken { told[signature] = true }
    }
    var toldCells = [Bool](repeating: false, count: cells.blocks.count)
    for atom in side.atoms { for cell in cellsOf[atom] ?? [] { toldCells[cell] = true } }
    var views: [View: UInt32] = [:]
    func answer(_ signature: Int, _ cell: Int, _ functions: inout Functions) -> UInt32 {
      let signature = signatures.all[signature]
      let view = side.view(cell == 0 ? signature.atoms : signature.atoms.union(cells.blocks[cell]), signature)
      if let number = views[view] { return number }
      let number = functions.number(Answers(side, view).function)
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
    let generic = answer(0, 0, &functions)
    var found: [Answer] = []
    // What this subject does not tell apart is asked as 0, so that few questions answer for many classes.
    for (signature, isTold) in told.enumerated() where isTold {
      // Cell by cell in runs, for most classes of a signature have none.
      var last: (cell: Int, function: UInt32)?
      for number in withSignature[signature] {
        let cell = toldCells[keys[Int(number)].cell] ? keys[Int(number)].cell : 0
        let function = last?.cell == cell ? last?.function ?? 0 : answer(signature, cell, &functions)
        last = (cell, function)
        if function != generic { found.append((number, function)) }
      }
    }
    for (cell, isTold) in toldCells.enumerated() where isTold {
      let function = answer(0, cell, &functions)
      guard function != generic else { continue }
      for number in withCell[cell] where !told[keys[Int(number)].signature] { found.append((number, function)) }
    }
    return [(0, generic)] + found.sorted { $0.peer < $1.peer }
  }
}
