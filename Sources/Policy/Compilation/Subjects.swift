/// A workload of the set whose cgroup is on this node.
struct Local {
  var endpoint: Endpoint
  /// In the index.
  var position: Int
  var cgroup: UInt64
}

/// The workloads of this node as subjects: those that the same policies select in the same way are one.
struct Subjects {
  /// By number; 0 is the subject that nothing selects.
  private(set) var all: [Subject] = []
  /// As many as the locals given, in their order.
  private(set) var ofLocal: [Int] = []
  /// What the rules of these subjects ask of peers. Policies that select nobody here ask nothing.
  private(set) var atoms = Atoms()

  /// - Parameter evaluator: for its policies, in their order.
  /// - Parameter proxies: nil: as if a proxy took every endpoint.
  init(_ locals: [Local], of evaluator: Evaluator, proxies: [Name: UInt8]?) {
    var lowering = Lowering(evaluator)
    let keys = lowering.keys(of: locals, proxies: proxies)
    var known: [Lowering.Key: Int] = [Lowering.Key(): 0]
    all.append(lowering.subject(Lowering.Key()))
    for key in keys {
      let number = known[key] ?? all.count
      if number == all.count {
        known[key] = number
        all.append(lowering.subject(key))
      }
      ofLocal.append(number)
    }
    atoms = lowering.atoms
  }
}
