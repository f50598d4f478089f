import Datapath
import Policy

extension Agent {
  /// Who is known, and who is not but should be.
  func workloads() -> [WorkloadStatus] {
    guard let inForce else { return [] }
    // A copy: asking for a number must not give one away.
    var numbers = numbers
    let located = inForce.candidate.located
    let scan = CgroupScan(located, tree, unidentified: true)
    let capabilities = Capabilities(owned: Set(scan.directories.values).union(located.proxies.values))
    let known = inForce.candidate.set.endpoints.values.sorted { $0.name < $1.name }.map { endpoint in
      let identity = numbers.identity(
        namespace: endpoint.name.namespace, labels: endpoint.labels, serviceAccount: endpoint.serviceAccount)
      let id = inForce.presence.workloads[endpoint.name]
      let directory = scan.directories[endpoint.name]
      return WorkloadStatus(
        name: endpoint.name.description, cgroup: directory ?? located.workloads[endpoint.name],
        cgroupId: id, present: id != nil, identity: identity, labels: endpoint.labels,
        serviceAccount: endpoint.serviceAccount, addresses: endpoint.addresses.map(AddressText.of),
        ports: endpoint.ports.map { "\($0.name)=\($0.port)/\($0.protocol.rawValue)" },
        place: "\(endpoint.place.file):\(endpoint.place.line)",
        subtree: inForce.presence.subtreeOf[endpoint.name], looks: nil,
        may: directory.map(capabilities.held) ?? [])
    }
    return known
      + scan.unidentified.map { unknown in
        WorkloadStatus(
          name: WorkloadStatus.unidentified, cgroup: unknown.directory, cgroupId: unknown.id, present: true,
          identity: 0, labels: [:], serviceAccount: "", addresses: [], ports: [], place: "",
          subtree: unknown.subtree, looks: unknown.looks, may: capabilities.held(unknown.directory))
      }
  }

  func subtrees() -> [SubtreeStatus] {
    guard let inForce else { return [] }
    let set = inForce.candidate.set
    let unidentified = sighting.unidentified
    return set.subtrees.values.sorted { $0.name < $1.name }.map { subtree in
      SubtreeStatus(
        name: subtree.name, cgroup: inForce.candidate.located.subtrees[subtree.name] ?? subtree.cgroup,
        present: inForce.presence.subtrees[subtree.name] != nil,
        unidentified: set.answer(toUnidentifiedIn: subtree).rawValue, onFault: subtree.onFault.rawValue,
        audit: subtree.audit, workloads: inForce.presence.subtreeOf.values.count { $0 == subtree.name },
        unknown: unidentified.count { $0.subtree == subtree.name })
    }
  }

  func faults() -> [Fault] { Fault.list((try? datapath.faults()) ?? []).filter { $0.count > 0 } }

  // MARK: What `weir wait` asks

  /// Whether the files are in force as they are.
  func enforced() -> Enforced {
    let generation = keptGeneration
    let missing: String? =
      if let problem = problems.first { "files are rejected, an older set is in force: \(problem)" }
      else if let failure { "the set is not in force: \(failure)" }
      else if inForce == nil || inForce?.generation != generation { "the agent has put nothing in force yet" }
      else if let gap = findGaps().first(where: { !$0.runs }) { "the program \(gap.program) \(gap.why)" }
      else { nil }
    return Enforced(generation: generation, missing: missing)
  }

  /// The same for a workload, by `/enforced/workload/NAMESPACE/NAME` or by its cgroup, `/enforced/cgroup/PATH`; nil for
  /// another path.
  func enforced(_ path: String) -> HTTPResponse? {
    func rest(_ prefix: String) -> String? { path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : nil }
    if let text = rest("/enforced/workload/") {
      let parts = text.split(separator: "/").map(String.init)
      guard parts.count == 2 else { return nil }
      return json(200, enforced(Name(parts[0], parts[1])))
    }
    return rest("/enforced/cgroup/").map { json(200, enforced(in: "/\($0)")) }
  }

  private func enforced(_ name: Name) -> Enforced {
    var answer = enforced()
    answer.workload = name.description
    if answer.missing != nil { return answer }
    if inForce?.candidate.set.endpoints[name] == nil {
      answer.missing = "\(name) is in none of the agent's files"
    } else if inForce?.presence.workloads[name] == nil {
      answer.missing = "the cgroup of \(name) is not there"
    }
    return answer
  }

  private func enforced(in directory: String) -> Enforced {
    let holders = (sighting.scan?.directories ?? [:]).filter { CgroupTree.holds($0.value, directory) }
    let located = inForce?.candidate.located
    let subtree = located?.subtree(of: directory).flatMap { located?.subtrees[$0] } ?? ""
    if let nearest = holders.max(by: { $0.value.utf8.count < $1.value.utf8.count }),
      nearest.value.utf8.count > subtree.utf8.count
    {
      return enforced(nearest.key)
    }
    var answer = enforced()
    answer.missing = answer.missing ?? "\(directory) is no workload's yet"
    return answer
  }
}

/// The answer of `GET /enforced` and of what is below it.
struct Enforced: Codable {
  /// In force.
  var generation: UInt32
  /// What is not as it should be; absent when all is.
  var missing: String?
  /// Whom it is about; absent for the agent itself.
  var workload: String?
}

extension Fault {
  /// From what `Datapath.faults` answers: reason * 2, and one more where it was let through.
  static func list(_ counts: [UInt64]) -> [Fault] {
    counts.enumerated().compactMap { index, count in
      guard let reason = Reason(rawValue: UInt8(index / 2)) else { return nil }
      return Fault(reason: reason.word, outcome: index % 2 == 1 ? "allowed" : "refused", count: count)
    }
  }
}
