import CDatapath
import Datapath
import Policy

/// What the agent knows of its own probes.
struct Verifying {
  var canary: Canary?
  /// Flows under these numbers are probes; 0 where there are none.
  var numbers: (source: UInt32, destination: UInt32) = (0, 0)
  var running: Verification?
  var queue: [Verification.Wish] = []
  var waiting: [(Verification.Outcome) -> Void] = []
  var probes: [ProbeResult.Kind: UInt64] = [:]
  /// Nanoseconds since 1970 of the last run without a finding.
  var lastSuccess: UInt64?
  var last: (outcome: Verification.Outcome, at: UInt64)?
  /// Found, and not seen to be right again since.
  var differences: [(probe: Probe, result: ProbeResult)] = []
  /// Said already.
  var said: Set<String> = []
  var isDue = false
  var rounds: UInt64 = 0

  /// More than this many runs do not wait for each other.
  static let maximumQueue = 4
  static let everyMilliseconds = 30_000
  static let maximumSaid = 10_000
  /// Flows of a run that nobody asked for.
  static let samples = 4

  func isProbe(_ source: UInt32, _ destination: UInt32) -> Bool {
    numbers.source != 0
      && [source, destination].contains { $0 == numbers.source || $0 == numbers.destination }
  }
}

extension Agent {
  /// No endpoint is in no namespace, so these are nobody's names.
  static let canaryNames = (
    source: Name("", "\(Canary.directory)-source"), destination: Name("", "\(Canary.directory)-destination")
  )

  var canaryNumbers: (source: UInt32, destination: UInt32) { verifying.numbers }

  /// A process in the agent's own cgroup is nobody's, and no program at the root sees what it does.
  var isHomeOutside: Bool { tree.own != tree.root && !tree.own.hasPrefix(tree.root + "/") }

  /// - Parameter child: started while the privileges for a network namespace were there; nil where it could not be.
  func startVerifying(_ child: CanaryChild?) {
    guard configuration.verify else { return }
    guard let child else { return log.warn("verify-unavailable", ["why": "the canary cannot be started"]) }
    let names = Agent.canaryNames
    verifying.numbers = (numbers.workload(names.source), numbers.workload(names.destination))
    let canary = Canary(child, root: tree.root, home: tree.own, loop: loop)
    verifying.canary = canary
    loop.every(milliseconds: Verifying.everyMilliseconds) { [unowned self] in verifyOnTimer() }
    canary.settled = { [unowned self] in
      if let why = canary.why {
        log.warn("verify-unavailable", ["why": why])
      } else {
        verifySoon()
      }
    }
  }

  func stopVerifying() {
    verifying.running = nil
    verifying.canary?.stop()
  }

  /// Once after each generation, when those that follow at once have come.
  func verifySoon() {
    guard verifying.canary != nil, !verifying.isDue else { return }
    verifying.isDue = true
    loop.after(milliseconds: 300) { [unowned self] in
      verifying.isDue = false
      verifyOnTimer()
    }
  }

  private func verifyOnTimer() {
    guard let canary = verifying.canary, inForce != nil, verifying.running == nil else { return }
    guard canary.why == nil else { return }
    verifying.rounds += 1
    verify(
      Verification.Wish(
        samples: Verifying.samples, seed: verifying.rounds, again: verifying.differences.prefix(8).map(\.probe))
    ) { _ in }
  }

  /// Answers when the run and those before it are over; false where too many wait already.
  @discardableResult
  func verify(_ wish: Verification.Wish, done: @escaping (Verification.Outcome) -> Void) -> Bool {
    if verifying.queue.count >= Verifying.maximumQueue { return false }
    verifying.queue.append(wish)
    verifying.waiting.append(done)
    if verifying.running == nil { verifyNext() }
    return true
  }

  private func verifyNext() {
    guard let canary = verifying.canary, !verifying.queue.isEmpty else { return }
    let wish = verifying.queue.removeFirst()
    let done = verifying.waiting.removeFirst()
    let run = Verification(self, canary, wish) { [unowned self] outcome in
      take(outcome)
      done(outcome)
      // Not from within the run's own call.
      loop.after(milliseconds: 0) { [unowned self] in
        verifying.running = nil
        verifyNext()
      }
    }
    verifying.running = run
    run.begin()
  }

  private func take(_ outcome: Verification.Outcome) {
    let now = Clock.wall()
    verifying.last = (outcome, now)
    for (kind, count) in outcome.counts { verifying.probes[kind, default: 0] += UInt64(count) }
    // Of another generation nothing is known any more; what was different is tried first.
    let recovered = verifying.differences.filter { known in outcome.recovered.contains(known.probe) }
    verifying.differences.removeAll { known in
      recovered.contains { $0.probe == known.probe } || outcome.findings.contains { $0.probe == known.probe }
        || inForce?.presence.workloads[known.probe.to] == nil
    }
    let found = outcome.findings.filter { $0.result.result == .different }
    verifying.differences += found
    for (_, result) in recovered {
      verifying.said.remove(result.sentence)
      log.info("verify-as-intended", ["flow": "\(result.from) to \(result.to) \(result.port)"])
    }
    if verifying.said.count > Verifying.maximumSaid { verifying.said.removeAll() }
    let new = found.filter { verifying.said.insert($0.result.sentence).inserted }
    if new.count > 20 { log.error("verify-different", ["flows": new.count, "shown": 20]) }
    for (_, result) in new.prefix(20) {
      log.error(
        "verify-different",
        [
          "source": result.from, "destination": result.to, "port": result.port, "address": result.address,
          "intended": result.intended, "rule": result.rule ?? "", "place": result.place ?? "",
          "actual": result.actual, "generation": outcome.generation,
        ])
    }
    for (_, result) in outcome.findings.prefix(5)
    where result.result == .failed && verifying.said.insert(result.actual).inserted {
      log.warn("verify-failed", ["port": result.port, "address": result.address, "error": result.actual])
    }
    let probed = outcome.counts.values.reduce(0, +)
    if outcome.failure == nil && outcome.findings.isEmpty && verifying.differences.isEmpty && probed > 0 {
      verifying.lastSuccess = now
    }
  }

  /// A probe's refusal is no workload's: it is told to nobody.
  func isProbe(_ event: weir_event) -> Bool { verifying.isProbe(event.source, event.destination) }
}
