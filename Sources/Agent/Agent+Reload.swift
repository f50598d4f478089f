import CDatapath
import Datapath
import Policy
import Proxies

/// What came of one reading of the files.
enum Outcome: String, CaseIterable {
  /// A new generation is in force.
  case installed
  /// The files mean what is in force already.
  case unchanged
  /// A file is wrong; the last good set stays in force, whole.
  case rejected
  /// The files are right, but the kernel or a proxy would not have them; the last good set stays in force.
  case failed
}

extension Agent {
  /// A set that is right on its own, and where its cgroups are.
  struct Candidate {
    var set: PolicySet
    var located: CgroupTree.Located
    var files: Int
    var objects: Int
  }

  /// What this agent put in force.
  struct InForce {
    var candidate: Candidate
    var presence: Presence
    var entries: Entries
    var rules: [Name: [L7Rule]]
    var generation: UInt32
    /// Nanoseconds since 1970.
    var since: UInt64
  }

  /// Reads every file and puts the set in force, whole or not at all.
  @discardableResult
  func reload(_ cause: String) -> Outcome {
    let outcome = tryReload(cause)
    reloads[outcome, default: 0] += 1
    return outcome
  }

  private func tryReload(_ cause: String) -> Outcome {
    cancelSettling()
    let (reading, gone) = readSources()
    let (located, misplaced) = tree.locate(reading.set)
    let wasRight = problems.isEmpty && failure == nil
    problems = gone + reading.problems + misplaced
    failure = nil
    if !problems.isEmpty {
      reportProblems(cause)
      return .rejected
    }
    let candidate = Candidate(
      set: reading.set, located: located, files: reading.files, objects: reading.objects)
    do {
      let former = inForce?.generation
      try apply(candidate, presence: CgroupTree.presence(of: located), cause: cause)
      if inForce?.generation != former { return .installed }
      // Every file event would say this; it is news only to who asked, or after an error.
      if !wasRight || cause == "SIGHUP" {
        log.info("unchanged", ["cause": cause, "generation": keptGeneration])
      }
      return .unchanged
    } catch {
      fail(error)
      log.error("not-in-force", ["cause": cause, "error": error, "generation_kept": keptGeneration])
      return .failed
    }
  }

  /// Compiles, tells the proxies, switches the kernel. Throws with everything as it was.
  func apply(_ candidate: Candidate, presence: Presence, cause: String) throws(Failure) {
    let began = Clock.monotonic()
    var numbers = self.numbers
    let tables: Tables
    do { tables = try compile(candidate.set, presence: presence, numbers: &numbers) } catch {
      throw Failure("compile: \(error)")
    }
    let entries = Entries(tables)
    var rules: [Name: [L7Rule]] = [:]
    for name in candidate.set.proxies.keys { rules[name] = tables.l7[name] ?? [] }

    let kernel: UInt32
    do { kernel = try datapath.generation() } catch { throw Failure(error) }
    if numbers != self.numbers { try NumbersFile(path: configuration.numbers).save(numbers) }
    let names = Names(numbers, set: candidate.set)
    if var same = inForce, same.generation == kernel, same.rules == rules, same.entries.isSame(as: entries) {
      same.candidate = candidate
      same.presence = presence
      remember(same, numbers, names)
      return
    }

    let generation = kernel + 1
    let rollout = try ProxyRollout(rules, generation: generation, runDirectory: configuration.runDirectory)
    var proxies: Set<UInt32> = []
    do throws(Failure) {
      try rollout.confirm()
      proxies = try attachProxies(candidate, presence, &numbers)
      do { try datapath.install(entries, generation: generation, audit: configuration.audit) } catch {
        throw Failure(error)
      }
    } catch {
      rollout.takeBack()
      throw error
    }
    let since = Clock.wall()
    remember(
      InForce(
        candidate: candidate, presence: presence, entries: entries, rules: rules, generation: generation,
        since: since), numbers, names)
    let (enrolled, revoked) = settleOpenConnections(keeping: proxies)
    log.info(
      "generation-in-force",
      [
        "generation": generation, "cause": cause, "files": candidate.files, "objects": candidate.objects,
        "workloads": presence.workloads.count, "proxies": presence.proxies.count, "enrolled": enrolled,
        "revoked": revoked, "audit": configuration.audit, "took_ms": (Clock.monotonic() - began) / 1_000_000,
      ])
  }

  /// The generation the kernel goes on with.
  var keptGeneration: UInt32 { (try? datapath.generation()) ?? 0 }

  private func remember(_ now: InForce, _ numbers: Numbers, _ names: Names) {
    inForce = now
    self.numbers = numbers
    self.names = names
  }

  /// Before the switch: rules that send flows to a proxy need the proxy's side first.
  private func attachProxies(_ candidate: Candidate, _ presence: Presence, _ numbers: inout Numbers)
    throws(Failure) -> Set<UInt32>
  {
    var attached: Set<UInt32> = []
    for name in presence.proxies.keys.sorted() {
      guard let directory = candidate.located.proxies[name] else { continue }
      let number = numbers.proxy(name)
      do { try datapath.attach(proxy: number, cgroup: directory) } catch { throw Failure(error) }
      attached.insert(number)
    }
    return attached
  }

  /// After the switch: what was open before is judged by the new tables. A failure here undoes nothing, new
  /// flows are judged already; it is said.
  private func settleOpenConnections(keeping proxies: Set<UInt32>) -> (enrolled: Int, revoked: Int) {
    func attempt(_ step: String, _ body: () throws(DatapathError) -> Int) -> Int {
      do { return try body() } catch {
        log.error("incomplete", ["step": step, "error": Failure(error)])
        return 0
      }
    }
    let enrolled = attempt("enrol", datapath.enrol)
    let revoked = attempt("revoke", datapath.revoke)
    _ = attempt("keep-proxies") { () throws(DatapathError) in
      try datapath.keepProxies(proxies)
      return 0
    }
    return (enrolled, revoked)
  }

  private func reportProblems(_ cause: String) {
    // A hostile file may have thousands; the status has them all.
    for problem in problems.prefix(20) {
      log.error(
        "file-rejected",
        [
          "file": problem.file, "line": problem.line, "column": problem.column, "field": problem.field,
          "message": problem.message,
        ])
    }
    log.error(
      "files-rejected",
      [
        "cause": cause, "files": Set(problems.map(\.file)).count, "problems": problems.count,
        "generation_kept": keptGeneration,
      ])
  }
}

extension Entries {
  init(_ tables: Tables) {
    self.init()
    workloads = tables.workloads
    addresses = tables.addresses
    cells = tables.cells
    identities = tables.identities
    proxies = tables.proxies
    pairs = tables.pairs
    ports = tables.ports
  }

  /// Entry by entry, byte by byte: the shared header has no holes, and compile's order is deterministic.
  func isSame(as other: Entries) -> Bool {
    Entries.same(workloads, other.workloads) && Entries.same(addresses, other.addresses)
      && Entries.same(cells, other.cells) && Entries.same(identities, other.identities)
      && Entries.same(proxies, other.proxies) && Entries.same(pairs, other.pairs)
      && Entries.same(ports, other.ports)
  }

  private static func same<Key, Value>(_ a: [(key: Key, value: Value)], _ b: [(key: Key, value: Value)])
    -> Bool
  {
    a.count == b.count
      && zip(a, b).allSatisfy { x, y in
        Entries.bytesEqual(x.key, y.key) && Entries.bytesEqual(x.value, y.value)
      }
  }

  private static func bytesEqual<T>(_ a: T, _ b: T) -> Bool {
    withUnsafeBytes(of: a) { x in withUnsafeBytes(of: b) { y in x.elementsEqual(y) } }
  }
}
