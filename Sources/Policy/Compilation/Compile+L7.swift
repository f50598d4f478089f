/// What the tables were made of, as far as requests are concerned.
struct Requesting {
  let subjects: Subjects
  let signatures: Signatures
  let cells: Cells
  let targets: [Name: UInt16]

  /// The atoms of a side that are about addresses cut its peers finer than their identities, which is all that a proxy
  /// sees: these are the cells that make a difference.
  func toldCells(_ side: PreparedSide) -> [Int] {
    cells.blocks.indices.filter { cell in side.atoms.contains(where: cells.blocks[cell].contains) }
  }

  /// The function for a peer that uses an address in one cell.
  func function(_ side: PreparedSide, _ key: Classes.Key) -> PortsFunction {
    let signature = signatures.all[key.signature]
    return Answers(side, side.view(signature.atoms.union(cells.blocks[key.cell]), signature)).function
  }

  /// The functions by which a side may answer a peer that uses an address in any of the cells, or in none.
  func functions(_ side: PreparedSide, signature: Int, cells told: [Int]) -> [PortsFunction] {
    let signature = signatures.all[signature]
    let views = Set(
      ([0] + told).map { side.view(signature.atoms.union(cells.blocks[$0]), signature) })
    return views.map { Answers(side, $0).function }
  }
}

/// What the proxies are told: for each destination, the requests that each source may make on each port whose
/// flows the tables send to a proxy; and for each function by which a source's own policy asks, what it asks.
extension Compilation {
  /// Sources whose requests are judged alike. The first group has the outside, which has no identity, and
  /// everybody whom the rules do not tell from it.
  private struct Group {
    var steps: RequestSteps
    var identities: Set<UInt32> = []
  }

  mutating func writeRules(_ asking: Requesting, _ pairs: Pairs, _ asked: [Int: UInt16]) {
    for proxy in set.proxies.keys {
      tables.l7[proxy] = []
      tables.shadows[proxy] = []
    }
    let sources = askingSources(asking)
    var known: [Int: [Group]] = [:]
    for (number, local) in locals.enumerated() {
      guard let target = asking.targets[local.endpoint.name], let proxy = set.proxy(for: local.endpoint)
      else { continue }
      let subject = asking.subjects.ofLocal[number]
      let groups = known[subject] ?? groups(number, sources, asking)
      // What sources ask depends on the destination.
      if sources.isEmpty { known[subject] = groups }
      tell(proxy.name, groups, target)
    }
    writeAskedAtSource(pairs, asked)
    tables.l7 = tables.l7.mapValues(Self.withUniqueNames)
    tables.shadows = tables.shadows.mapValues(Self.withUniqueNames)
  }

  private mutating func tell(_ proxy: Name, _ groups: [Group], _ target: UInt16) {
    tables.l7[proxy, default: []] += rules(groups, target, \.drafts)
    tables.shadows[proxy, default: []] += rules(groups, target, \.shadows)
  }

  /// The flows where only the source's policy asks about requests.
  private mutating func writeAskedAtSource(_ pairs: Pairs, _ asked: [Int: UInt16]) {
    let names = Dictionary(uniqueKeysWithValues: set.proxies.keys.map { (numbers.proxies[$0.description] ?? 0, $0) })
    for (position, target) in asked.sorted(by: { $0.key < $1.key }) {
      let function = pairs.functions.all[position]
      guard let decision = function.firstProxied, let proxy = names[UInt32(decision.proxy)] else { continue }
      tell(proxy, [Group(steps: RequestSteps([function]))], target)
    }
  }

  /// A name that comes again gets a number: ` #2`.
  private static func withUniqueNames(_ rules: [L7Rule]) -> [L7Rule] {
    var met: [String: Int] = [:]
    return rules.map { rule in
      var rule = rule
      met[rule.name, default: 0] += 1
      if let count = met[rule.name], count > 1 { rule.name += " #\(count)" }
      return rule
    }
  }

  /// The identities whose own egress policy asks about requests, each with its side.
  private func askingSources(_ asking: Requesting) -> [UInt32: PreparedSide] {
    var found: [UInt32: PreparedSide] = [:]
    for (local, subject) in zip(locals, asking.subjects.ofLocal) {
      let side = asking.subjects.all[subject].egress
      if side.asksForRequests { found[inventory.identities[local.position]] = side }
    }
    return found
  }

  private func groups(_ number: Int, _ sources: [UInt32: PreparedSide], _ asking: Requesting) -> [Group] {
    let side = asking.subjects.all[asking.subjects.ofLocal[number]].ingress
    let told = asking.toldCells(side)
    let differing = Set(side.atoms.flatMap { asking.signatures.differing[$0] ?? [] })
    /// Who may come under one identity: each signature with the cells of the addresses that are declared.
    struct Comers: Hashable {
      var signatures: Set<Int> = []
      var declared: Set<Classes.Key> = []
    }
    var known: [Comers: RequestSteps] = [:]
    func steps(_ comers: Comers) -> RequestSteps {
      if let steps = known[comers] { return steps }
      let found = RequestSteps(
        comers.signatures.sorted().flatMap { asking.functions(side, signature: $0, cells: told) },
        refusing: comers.declared.map { asking.function(side, $0) })
      known[comers] = found
      return found
    }
    func add(_ signature: Int, _ addresses: [IPAddress], to comers: inout Comers) {
      let signature = differing.contains(signature) ? signature : 0
      comers.signatures.insert(signature)
      for address in addresses {
        let cell = asking.cells.cell(of: address)
        comers.declared.insert(Classes.Key(signature: signature, cell: told.contains(cell) ? cell : 0))
      }
    }
    var comers: [UInt32: Comers] = [:]
    for (position, identity) in inventory.identities.enumerated() {
      let signature = asking.signatures.ofEndpoint[position]
      guard differing.contains(signature) || !told.isEmpty || sources[identity] != nil else { continue }
      add(signature, told.isEmpty ? [] : inventory.index.endpoints[position].addresses, to: &comers[identity, default: Comers()])
    }
    var byIdentity = comers.mapValues(steps)
    // A process of no workload may be this node's, with its address.
    var outside = Comers(signatures: [0])
    for (position, node) in inventory.index.nodes.enumerated() {
      let signature = asking.signatures.ofNode[position]
      if differing.contains(signature) || !told.isEmpty { add(signature, node.addresses, to: &outside) }
    }
    let here = asking.signatures.ofEndpoint[locals[number].position]
    for (identity, source) in sources {
      let own = RequestSteps(
        asking.functions(source, signature: here, cells: asking.toldCells(source)))
      byIdentity[identity] = byIdentity[identity]?.and(own)
    }
    var groups = [Group(steps: steps(outside))]
    var numbers = [groups[0].steps: 0]
    for (identity, steps) in byIdentity.sorted(by: { $0.key < $1.key }) {
      let group = numbers[steps] ?? groups.count
      if group == groups.count {
        numbers[steps] = group
        groups.append(Group(steps: steps))
      }
      groups[group].identities.insert(identity)
    }
    // The rest of the first group has no number of its own: whoever is in no other group.
    groups[0].identities = Set(inventory.identities).subtracting(groups.dropFirst().flatMap(\.identities))
    return groups
  }

  private func rules(
    _ groups: [Group], _ target: UInt16,
    _ drafts: (RequestSteps) -> [(draft: RequestSteps.Draft, ports: [ClosedRange<UInt16>])]
  ) -> [L7Rule] {
    struct Key: Hashable {
      var draft: RequestSteps.Draft
      var ports: [ClosedRange<UInt16>]
    }
    // Draft and ports -> the groups that get it, in the order of the groups.
    var order: [Key] = []
    var members: [Key: [Int]] = [:]
    for (number, group) in groups.enumerated() {
      for (draft, ports) in drafts(group.steps) {
        let key = Key(draft: draft, ports: ports)
        if members[key] == nil { order.append(key) }
        members[key, default: []].append(number)
      }
    }
    return order.map { key in
      let numbers = members[key] ?? []
      let everybody = numbers.count == groups.count
      // 0 stands for the outside: a process of no workload is turned to the proxy, too.
      let outside: Set<UInt32> = numbers.contains(0) && !everybody ? [0] : []
      let identities = everybody ? [] : numbers.reduce(into: outside) { $0.formUnion(groups[$1].identities) }
      return L7Rule(
        name: evaluator.name(key.draft.rule).description, target: target,
        identities: everybody ? nil : identities.sorted(),
        ports: key.ports == [0...UInt16.max] ? nil : key.ports, require: key.draft.require,
        unless: key.draft.unless)
    }.filter { $0.identities != [] }
  }
}
