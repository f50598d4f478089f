import CDatapath

/// The entries that say who is who; each function writes one table.
extension Compilation {
  /// Also the workloads entries of the proxies that are here. Returns every proxy's number.
  mutating func writeProxies() throws(CompileError) -> [Name: UInt8] {
    var found: [Name: UInt8] = [:]
    for proxy in set.proxies.values.sorted(by: { $0.name < $1.name }) {
      let number = numbers.proxy(proxy.name)
      guard let small = UInt8(exactly: number) else {
        throw CompileError(
          "proxies: Proxy \(proxy.name) would be number \(number), the limit is \(UInt8.max)")
      }
      found[proxy.name] = small
      let none = weir_addr(word: (0, 0, 0, 0))
      let value = weir_proxy(
        addr4: proxy.addresses.first(where: \.isV4)?.wire ?? none,
        addr6: proxy.addresses.first { !$0.isV4 }?.wire ?? none, port: proxy.port.bigEndian, pad: 0)
      tables.proxies.append((number, value))
      guard let cgroup = presence.proxies[proxy.name] else { continue }
      let entry = weir_workload(
        workload: 0, identity: 0, class_: 0, target: 0, kind: UInt8(WEIR_KIND_PROXY.rawValue),
        proxy: small, flags: 0, pad: (0, 0, 0))
      tables.workloads.append((cgroup, entry))
    }
    return found
  }

  /// By position in the index the proxy that takes an endpoint; last the one that takes what is no endpoint.
  func takers(_ proxies: [Name: UInt8]) -> [UInt8?] {
    let everywhere = set.proxies.values.filter { $0.takes == nil }.map(\.name).min()
    return inventory.index.endpoints.map { set.proxy(for: $0).flatMap { proxies[$0.name] } }
      + [everywhere.flatMap { proxies[$0] }]
  }

  /// The workloads of this node whose requests a proxy judges. Others need no target: nobody is redirected
  /// for them.
  mutating func numberTargets(_ subjects: Subjects) throws(CompileError) -> [Name: UInt16] {
    var found: [Name: UInt16] = [:]
    for (local, subject) in zip(locals, subjects.ofLocal) {
      let side = subjects.all[subject].ingress
      guard side.side.proxy != nil, side.asksForRequests else { continue }
      let number = numbers.target(local.endpoint.name)
      found[local.endpoint.name] = try small(number, local.endpoint.name.description)
    }
    return found
  }

  private func small(_ target: UInt32, _ owner: String) throws(CompileError) -> UInt16 {
    guard target < 1 << UInt32(WEIR_TARGET_BITS) else {
      throw CompileError(
        "targets: \(owner) would be number \(target), the limit is \(1 << UInt32(WEIR_TARGET_BITS) - 1)")
    }
    return UInt16(target)
  }

  /// By position in the functions: the target of those by which a source's own policy asks about requests. A target
  /// is named by all that it stands for: what asks otherwise tomorrow is another, and connections that are open under the
  /// old one find no rule.
  mutating func numberRequests(_ pairs: Pairs) throws(CompileError) -> [Int: UInt16] {
    var found: [Int: UInt16] = [:]
    for (position, function) in pairs.functions.all.enumerated() where pairs.askedAtSource.contains(position) {
      guard let decision = function.firstProxied, let rule = decision.rule else { continue }
      let policy = evaluator.name(rule)
      let owner = "\(policy.kind) \(Name(policy.namespace, policy.name))"
      let asked = RequestSteps([function]).drafts.map { draft, ports in
        "\(evaluator.name(draft.rule)) \(ports) \(draft.require) \(draft.unless)"
      }
      let digest = Compilation.digest("\(decision.proxy) \(asked)")
      found[position] = try small(numbers.target(Name("", "\(owner) asks \(digest)")), owner)
    }
    return found
  }

  /// FNV-1a, 64 bits: the same in every process.
  private static func digest(_ text: String) -> String {
    let hash = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return String(hash, radix: 16)
  }

  /// The class a local workload has by itself: as a subject, and as a peer at an address in cell 0.
  private mutating func ownClass(_ local: Int, _ subjects: Subjects, _ signatures: Signatures) -> UInt32 {
    classes.number(
      Classes.Key(
        subject: subjects.ofLocal[local], signature: signatures.ofEndpoint[locals[local].position]))
  }

  mutating func writeWorkloads(
    _ subjects: Subjects, _ signatures: Signatures, _ targets: [Name: UInt16]
  ) {
    for (number, local) in locals.enumerated() {
      let name = local.endpoint.name
      let entry = weir_workload(
        workload: inventory.workloads[local.position], identity: inventory.identities[local.position],
        class_: ownClass(number, subjects, signatures), target: targets[name] ?? 0,
        kind: UInt8(WEIR_KIND_WORKLOAD.rawValue), proxy: 0,
        flags: presence.subtreeOf[name].flatMap { set.subtrees[$0] }?.flags ?? 0, pad: (0, 0, 0))
      tables.workloads.append((local.cgroup, entry))
    }
  }

  mutating func writeSubtrees() {
    for (name, cgroup) in presence.subtrees.sorted(by: { $0.key < $1.key }) {
      guard let subtree = set.subtrees[name] else { continue }
      let admits = set.answer(toUnidentifiedIn: subtree) == .allow
      let entry = weir_workload(
        workload: 0, identity: 0, class_: 0, target: 0, kind: UInt8(WEIR_KIND_SUBTREE.rawValue), proxy: 0,
        flags: subtree.flags | (admits ? UInt8(WEIR_FLAG_ADMIT.rawValue) : 0), pad: (0, 0, 0))
      tables.workloads.append((cgroup, entry))
    }
    // A Pod on the host's network is the node's, whose own processes nobody judges: it is known, and let alone.
    for (name, cgroup) in presence.workloads.sorted(by: { $0.key < $1.key })
    where presence.subtreeOf[name] != nil && set.endpoints[name]?.hostNetwork == true {
      let entry = weir_workload(
        workload: 0, identity: 0, class_: 0, target: 0, kind: UInt8(WEIR_KIND_SUBTREE.rawValue), proxy: 0,
        flags: UInt8(WEIR_FLAG_ADMIT.rawValue), pad: (0, 0, 0))
      tables.workloads.append((cgroup, entry))
    }
  }

  /// One entry for each cell boundary, each endpoint's address and each node's.
  mutating func writeAddresses(_ signatures: Signatures, _ cells: Cells) {
    var local: [UInt32: weir_workload] = [:]
    for (_, entry) in tables.workloads where entry.workload != 0 { local[entry.workload] = entry }
    tables.addresses.reserveCapacity(inventory.owners.count + cells.entries.count)
    var single: Set<IPAddress> = []
    for entry in cells.entries where entry.prefix.prefix == 128 { single.insert(entry.prefix.base) }
    var taken: Set<IPAddress> = []
    for owner in inventory.owners {
      let cell = cells.cell(of: owner.address)
      if single.contains(owner.address) { taken.insert(owner.address) }
      let signature = owner.isNode ? signatures.ofNode[owner.position] : signatures.ofEndpoint[owner.position]
      var value = weir_address(
        workload: 0, identity: 0, class_: classes.number(Classes.Key(signature: signature, cell: cell)), subject: 0,
        cell: UInt32(cell), target: 0, flags: 0, pad: 0)
      if !owner.isNode {
        value.workload = inventory.workloads[owner.position]
        value.identity = inventory.identities[owner.position]
        if let here = local[value.workload] {
          (value.subject, value.target, value.flags) = (here.class_, here.target, here.flags)
        }
      }
      tables.addresses.append((weir_address_key(prefixlen: 128, addr: owner.address.wire), value))
    }
    for entry in cells.entries {
      if entry.prefix.prefix == 128, taken.contains(entry.prefix.base) { continue }
      let key = weir_address_key(
        prefixlen: UInt32(entry.prefix.prefix), addr: entry.prefix.base.wire)
      let value = weir_address(
        workload: 0, identity: 0, class_: classes.number(Classes.Key(cell: entry.cell)), subject: 0,
        cell: UInt32(entry.cell), target: 0, flags: 0, pad: 0)
      tables.addresses.append((key, value))
    }
  }

  mutating func writeCells(_ subjects: Subjects, _ signatures: Signatures, _ cells: Cells) {
    var done: Set<UInt32> = []
    for number in locals.indices {
      let own = ownClass(number, subjects, signatures)
      guard done.insert(own).inserted else { continue }
      for cell in cells.blocks.indices.dropFirst() {
        let key = Classes.Key(signature: signatures.ofEndpoint[locals[number].position], cell: cell)
        tables.cells.append((weir_cell_key(class_: own, cell: UInt32(cell)), classes.number(key)))
      }
    }
  }

  mutating func writeIdentities(_ signatures: Signatures) {
    // Workloads of one identity are selected by the same policies; they can differ only in what they call their
    // ports, which is no matter for egress.
    var subjects: [UInt32: UInt32] = [:]
    // A proxy speaks for all workloads of an identity alike: what only some of their Subtrees ask for holds for none.
    var flags: [UInt32: UInt8] = [:]
    for (_, entry) in tables.workloads where entry.identity != 0 {
      subjects[entry.identity] = entry.class_
      flags[entry.identity] = (flags[entry.identity] ?? entry.flags) & entry.flags
    }
    for (identity, first, isOnly) in inventory.holders {
      // Endpoints of one identity can differ as peers only in what they call their ports, which matters where
      // they serve; a proxy speaks for them where they ask.
      let key = Classes.Key(signature: signatures.ofEndpoint[first])
      let only = isOnly ? inventory.workloads[first] : 0
      let value = weir_identity(
        class_: classes.number(key), subject: subjects[identity] ?? 0, workload: only,
        flags: flags[identity] ?? 0, pad: (0, 0, 0))
      tables.identities.append((identity, value))
    }
  }
}

extension Subtree {
  /// weir_flag of it and of its workloads.
  fileprivate var flags: UInt8 {
    UInt8((audit ? WEIR_FLAG_AUDIT.rawValue : 0) | (onFault == .allow ? WEIR_FLAG_FAIL_OPEN.rawValue : 0))
  }
}
