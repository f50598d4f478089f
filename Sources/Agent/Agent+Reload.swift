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
    var rules: [Name: ProxyRules]
    var generation: UInt32
    /// Nanoseconds since 1970.
    var since: UInt64
  }

  /// What the steps of a switch took, in nanoseconds.
  struct Times {
    let since: UInt64
    private let began = Clock.monotonic()
    private var last = Clock.monotonic()
    /// Reading what changed in the files, and finding the cgroups.
    var read: UInt64 = 0
    var compile: UInt64 = 0
    /// Saving what new numbers mean.
    var numbers: UInt64 = 0
    /// Until the last proxy agreed.
    var proxies: UInt64 = 0
    /// Building the tables that changed, and the switch.
    var kernel: UInt64 = 0

    init(since: UInt64) { self.since = since }

    /// The time since the step before ended.
    mutating func lap(_ step: WritableKeyPath<Times, UInt64>) {
      let now = Clock.monotonic()
      self[keyPath: step] = now - last
      last = now
    }

    /// From the event on.
    var elapsed: UInt64 { Clock.monotonic() - since }
    /// Without what the event waited for others to come.
    var took: UInt64 { Clock.monotonic() - began }

    /// With one digit behind the point.
    static func milliseconds(_ nanoseconds: UInt64) -> String {
      let tenths = (nanoseconds + 50_000) / 100_000
      return "\(tenths / 10).\(tenths % 10)"
    }
  }

  /// Reads every file and puts the set in force, whole or not at all.
  /// - Parameter since: when the first of the events happened that it is about, on Clock.monotonic; now.
  @discardableResult
  func reload(_ cause: String, since: UInt64 = Clock.monotonic()) -> Outcome {
    let outcome = tryReload(cause, since)
    reloads[outcome, default: 0] += 1
    trimSoon()
    return outcome
  }

  private func tryReload(_ cause: String, _ since: UInt64) -> Outcome {
    cancelSettling()
    var times = Times(since: since)
    let (reading, gone) = readSources()
    let (located, misplaced) = locate(reading.set)
    times.lap(\.read)
    let wasRight = problems.isEmpty && failure == nil
    let vacant = cause == "SIGHUP" || cause == "request" ? [] : sources.filter(isVacant).map {
      Problem(file: $0, message: "is an empty directory of another file system than before; the last good set stays in force")
    }
    problems = gone + vacant + reading.problems + misplaced
    failure = nil
    if !problems.isEmpty {
      reportProblems(cause)
      return .rejected
    }
    lastGoodPlaces = readPlaces
    let candidate = Candidate(
      set: reading.set, located: located, files: reading.files, objects: reading.objects)
    do {
      let former = inForce?.generation
      try apply(candidate, presence: look(located).presence, cause: cause, times: times)
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

  /// Where the set's cgroups are. Asked again only when the inventory changed.
  private func locate(_ set: PolicySet) -> (located: CgroupTree.Located, problems: [Problem]) {
    if let (stamp, subtrees, located) = lastLocated, stamp != 0, stamp == set.inventoryStamp, subtrees == set.subtrees {
      return (located, [])
    }
    let found = tree.locate(set)
    lastLocated = found.problems.isEmpty ? (set.inventoryStamp, set.subtrees, found.located) : nil
    return found
  }

  /// Compiles, tells the proxies, switches the kernel. Throws with everything as it was, but that names which got
  /// numbers keep them.
  func apply(
    _ candidate: Candidate, presence: Presence, cause: String, times: Times = Times(since: Clock.monotonic())
  ) throws(Failure) {
    var times = times
    var numbers = self.numbers
    let tables: Tables
    do { tables = try compiler.compile(candidate.set, presence: presence, numbers: &numbers) } catch {
      throw Failure("compile: \(error)")
    }
    let entries = Entries(tables)
    var rules: [Name: ProxyRules] = [:]
    for name in candidate.set.proxies.keys {
      rules[name] = ProxyRules(enforced: tables.l7[name] ?? [], shadow: tables.shadows[name] ?? [])
    }
    times.lap(\.compile)

    let (kernel, generation): (UInt32, UInt32)
    do { (kernel, generation) = (try datapath.generation(), try datapath.nextGeneration()) } catch { throw Failure(error) }
    try numbersFile.save(&numbers)
    // Also if the rest fails: what is in the file must not be given away again.
    self.numbers = numbers
    times.lap(\.numbers)
    let names = Names(numbers, set: candidate.set)
    if var same = inForce, same.generation == kernel, same.rules == rules, same.entries.isSame(as: entries) {
      same.candidate = candidate
      same.presence = presence
      remember(same, names)
      return
    }

    let rollout = try ProxyRollout(
      rules, audit: configuration.audit, generation: generation, runDirectory: configuration.runDirectory)
    let former = datapath.formerLayouts
    var proxies: Set<UInt32> = []
    do throws(Failure) {
      try rollout.confirm()
      proxies = try attachProxies(candidate, presence, &numbers)
      times.lap(\.proxies)
      do { try datapath.install(entries, generation: generation, audit: configuration.audit) } catch {
        throw Failure(error)
      }
    } catch {
      rollout.takeBack()
      throw error
    }
    let since = Clock.wall()
    times.lap(\.kernel)
    if !former.isEmpty {
      log.info("layout-taken-over", ["from": Agent.text(former), "layout": WEIR_LAYOUT, "generation": generation])
    }
    let event = times.elapsed
    remember(
      InForce(
        candidate: candidate, presence: presence, entries: entries, rules: rules, generation: generation,
        since: since), names)
    let (enrolled, revoked) = settleOpenConnections(keeping: proxies)
    verifySoon()
    log.info(
      "generation-in-force",
      [
        "generation": generation, "cause": cause, "files": candidate.files, "objects": candidate.objects,
        "workloads": presence.workloads.count, "proxies": presence.proxies.count, "enrolled": enrolled,
        "revoked": revoked, "audit": configuration.audit, "event_ms": Times.milliseconds(event),
        "read_ms": Times.milliseconds(times.read), "compile_ms": Times.milliseconds(times.compile),
        "numbers_ms": Times.milliseconds(times.numbers), "proxies_ms": Times.milliseconds(times.proxies),
        "kernel_ms": Times.milliseconds(times.kernel), "took_ms": Times.milliseconds(times.took),
      ])
  }

  /// The generation the kernel goes on with.
  var keptGeneration: UInt32 { (try? datapath.generation()) ?? 0 }

  private func remember(_ now: InForce, _ names: Names) {
    inForce = now
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
  /// flows are judged already, and so is each packet; it is said, and tried again.
  func settleOpenConnections(keeping proxies: Set<UInt32>) -> (enrolled: Int, revoked: Int) {
    unsettled = nil
    func attempt(_ step: String, _ body: () throws(DatapathError) -> Int) -> Int {
      do { return try body() } catch {
        unsettled = (proxies, Clock.monotonic())
        log.error("incomplete", ["step": step, "error": Failure(error)])
        return 0
      }
    }
    // First what is not allowed any more: of ten thousand connections the last is to be gone soon.
    var revoked = attempt("revoke", datapath.revoke)
    let enrolled = attempt("enrol", datapath.enrol)
    if enrolled > 0 { revoked += attempt("revoke", datapath.revoke) }
    _ = attempt("keep-proxies") { () throws(DatapathError) in
      try datapath.keepProxies(proxies)
      return 0
    }
    return (enrolled, revoked)
  }

  static func text(_ layouts: [UInt32]) -> String { layouts.map(String.init).joined(separator: ",") }

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
}
