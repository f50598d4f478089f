import CDatapath

/// The entries that say who is who; each function writes one table.
extension Compiler {
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
        proxy: small)
      tables.workloads.append((cgroup, entry))
    }
    return found
  }

  /// The identity of every endpoint that can be told from the node, by position in the index.
  mutating func numberIdentities() throws(CompileError) -> [UInt32] {
    var found: [UInt32] = []
    for endpoint in index.endpoints { found.append(try identity(of: endpoint)) }
    return found
  }

  private mutating func identity(of endpoint: Endpoint) throws(CompileError) -> UInt32 {
    let number = numbers.identity(
      namespace: endpoint.name.namespace, labels: endpoint.labels,
      serviceAccount: endpoint.serviceAccount)
    guard number < 1 << UInt32(WEIR_IDENTITY_BITS) else {
      throw CompileError(
        "identities: \(endpoint.name) would be number \(number), the limit is "
          + "\(1 << UInt32(WEIR_IDENTITY_BITS) - 1)")
    }
    return number
  }

  /// The workloads of this node whose requests a proxy judges. Others need no target: nobody is redirected
  /// for them.
  mutating func numberTargets(_ subjects: Subjects) throws(CompileError) -> [Name: UInt16] {
    var found: [Name: UInt16] = [:]
    for (local, subject) in zip(locals, subjects.ofLocal) {
      guard subjects.all[subject].authorization?.proxy != nil else { continue }
      let number = numbers.target(local.endpoint.name)
      guard number < 1 << UInt32(WEIR_TARGET_BITS) else {
        throw CompileError(
          "targets: \(local.endpoint.name) would be number \(number), the limit is "
            + "\(1 << UInt32(WEIR_TARGET_BITS) - 1)")
      }
      found[local.endpoint.name] = UInt16(number)
    }
    return found
  }

  /// The class a local workload has by itself: as a subject, and as a peer at an address in cell 0.
  private mutating func ownClass(_ local: Int, _ subjects: Subjects, _ signatures: Signatures) -> UInt32 {
    classes.number(
      Classes.Key(
        subject: subjects.ofLocal[local], signature: signatures.ofEndpoint[locals[local].position]))
  }

  mutating func writeWorkloads(
    _ subjects: Subjects, _ signatures: Signatures, _ identities: [UInt32], _ targets: [Name: UInt16]
  ) {
    for (number, local) in locals.enumerated() {
      let name = local.endpoint.name
      let entry = weir_workload(
        workload: numbers.workload(name), identity: identities[local.position],
        class_: ownClass(number, subjects, signatures), target: targets[name] ?? 0,
        kind: UInt8(WEIR_KIND_WORKLOAD.rawValue), proxy: 0)
      tables.workloads.append((local.cgroup, entry))
    }
  }

  /// One entry for each cell boundary and for each endpoint's address; of several that declare an address,
  /// the first by name has it.
  mutating func writeAddresses(_ signatures: Signatures, _ cells: Cells, _ identities: [UInt32]) {
    var local: [UInt32: weir_workload] = [:]
    for (_, entry) in tables.workloads where entry.workload != 0 { local[entry.workload] = entry }
    var taken: Set<IPAddress> = []
    for (position, endpoint) in index.endpoints.enumerated() {
      for address in endpoint.addresses where taken.insert(address).inserted {
        let workload = numbers.workload(endpoint.name)
        let cell = cells.cell(of: address)
        let key = Classes.Key(signature: signatures.ofEndpoint[position], cell: cell)
        let value = weir_address(
          workload: workload, identity: identities[position], class_: classes.number(key),
          subject: local[workload]?.class_ ?? 0, cell: UInt32(cell),
          target: local[workload]?.target ?? 0, pad: 0)
        tables.addresses.append((weir_address_key(prefixlen: 128, addr: address.wire), value))
      }
    }
    for entry in cells.entries {
      if entry.prefix.prefix == 128, taken.contains(entry.prefix.base) { continue }
      let key = weir_address_key(
        prefixlen: UInt32(entry.prefix.prefix), addr: entry.prefix.base.wire)
      let value = weir_address(
        workload: 0, identity: 0, class_: classes.number(Classes.Key(cell: entry.cell)), subject: 0,
        cell: UInt32(entry.cell), target: 0, pad: 0)
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

  mutating func writeIdentities(_ signatures: Signatures, _ identities: [UInt32]) {
    var members: [UInt32: [Int]] = [:]
    // Workloads of one identity are selected by the same policies; they can differ only in what they call their
    // ports, which is no matter for egress.
    var subjects: [UInt32: UInt32] = [:]
    for (_, entry) in tables.workloads where entry.identity != 0 { subjects[entry.identity] = entry.class_ }
    for (position, identity) in identities.enumerated() {
      members[identity, default: []].append(position)
    }
    for (identity, positions) in members.sorted(by: { $0.key < $1.key }) {
      guard let first = positions.first else { continue }
      // Endpoints of one identity can differ as peers only in what they call their ports, which matters where
      // they serve; a proxy speaks for them where they ask.
      let key = Classes.Key(signature: signatures.ofEndpoint[first])
      let only = positions.count == 1 ? numbers.workload(index.endpoints[first].name) : 0
      let value = weir_identity(
        class_: classes.number(key), subject: subjects[identity] ?? 0, workload: only)
      tables.identities.append((identity, value))
    }
  }
}
