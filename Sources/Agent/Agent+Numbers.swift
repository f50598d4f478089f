import CDatapath
import Datapath
import Policy

extension Agent {
  /// Seconds between two looks at what is not used any more.
  static let secondsBetweenLooks = 60

  /// Takes numbers and counters back from workloads, identities and rules that are gone: what was unused at two looks in a
  /// row. In between a sweep ended the connections that carried it, and a scrape saw its last counts. Without this, a node
  /// whose workloads come and go would run out of both.
  func releaseNumbers() {
    // While an older set is in force or files are wrong, what is unused today may be wanted back.
    guard let inForce, problems.isEmpty, failure == nil else { return }
    let found = unused(inForce)
    defer { unusedLately = found }
    var gone = found
    for (table, names) in found { gone[table] = names.intersection(unusedLately[table] ?? []) }
    if gone.values.allSatisfy(\.isEmpty) { return }
    do throws(DatapathError) {
      try datapath.forget(workloads: released(gone, .workloads), rules: released(gone, .rules))
    } catch {
      return log.error("counters-not-removed", ["error": Failure(error)])
    }
    var numbers = numbers
    for (table, names) in gone {
      let resting = released(gone, table)
      numbers.release(names, from: table)
      numbers.reuse(table, except: resting)
    }
    do throws(Failure) {
      try numbersFile.save(&numbers)
      self.numbers = numbers
      names = Names(numbers, set: inForce.candidate.set)
      log.info(
        "names-released",
        ["workloads": gone[.workloads]?.count ?? 0, "identities": gone[.identities]?.count ?? 0,
          "rules": gone[.rules]?.count ?? 0])
    } catch {
      log.error("names-not-released", ["error": error])
    }
  }

  private func released(_ gone: [Numbers.Table: Set<String>], _ table: Numbers.Table) -> Set<UInt32> {
    let known = numbers.numbers(table)
    return Set((gone[table] ?? []).compactMap { known[$0] })
  }

  /// The names that neither the set in force nor its tables have.
  private func unused(_ inForce: InForce) -> [Numbers.Table: Set<String>] {
    let set = inForce.candidate.set
    let endpoints = set.endpoints.values
    let canaries = [Agent.canaryNames.source, Agent.canaryNames.destination]
    var rules: Set<UInt32> = []
    var targets: Set<UInt32> = []
    for (_, ruling) in inForce.entries.ports {
      rules.insert(ruling.rule)
      rules.insert(ruling.shadow)
      targets.insert(UInt32(ruling.target))
    }
    for (_, entry) in inForce.entries.workloads { targets.insert(UInt32(entry.target)) }
    func without(_ table: Numbers.Table, names used: Set<String>) -> Set<String> {
      Set(numbers.numbers(table).keys).subtracting(used)
    }
    func without(_ table: Numbers.Table, numbers used: Set<UInt32>) -> Set<String> {
      Set(numbers.numbers(table).lazy.filter { !used.contains($0.value) }.map(\.key))
    }
    return [
      .workloads: without(.workloads, names: Set((endpoints.map(\.name) + canaries).map(\.description))),
      .identities: without(
        .identities, names: Set(endpoints.map { Numbers.identity($0.name.namespace, $0.labels, $0.serviceAccount) })),
      .proxies: without(.proxies, names: Set(set.proxies.keys.map(\.description))),
      .rules: without(.rules, numbers: rules),
      .targets: without(.targets, numbers: targets),
    ]
  }
}
