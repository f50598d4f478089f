import CDatapath
import Datapath
import Policy

/// One run of probes: chooses them, asks the canary one after another from the event loop, and tells what came of it.
final class Verification {
  struct Wish {
    /// How many flows; nil: every one.
    var samples: Int?
    var seed: UInt64
    /// Tried first, if they still can be.
    var again: [Probe] = []
  }

  struct Outcome {
    var generation: UInt32 = 0
    var counts: [ProbeResult.Kind: Int] = [:]
    /// What is not as intended.
    var findings: [(probe: Probe, result: ProbeResult)] = []
    /// As intended, of those that were asked for again.
    var recovered: [Probe] = []
    /// Why the run could not be made, or not to its end.
    var failure: String?
  }

  private unowned let agent: Agent
  private let canary: Canary
  private let wish: Wish
  private let done: (Outcome) -> Void
  private var outcome = Outcome()
  private var attempt = 0
  private var choice: ProbeChoice?

  /// How long choosing may hold up the loop at once.
  private static let slice: UInt64 = 5_000_000
  /// For what is expected to be silence, and to make sure that a difference is none of time.
  private static let patience = (first: 250, second: 1000)
  /// After so many findings the next ones are believed at once.
  private static let confirmed = 4

  init(_ agent: Agent, _ canary: Canary, _ wish: Wish, done: @escaping (Outcome) -> Void) {
    self.agent = agent
    self.canary = canary
    self.wish = wish
    self.done = done
  }

  /// A generation that comes in between makes it begin again.
  func begin() {
    attempt += 1
    if attempt > 5 { return end("five generations came while it was being tried; try again when the policies are at rest") }
    guard case .ready(let v6) = canary.state else { return end(canary.why ?? "the canary is not ready") }
    guard let inForce = agent.inForce, inForce.generation == agent.keptGeneration else {
      return end("no generation of the files is in force")
    }
    outcome = Outcome()
    outcome.generation = inForce.generation
    let space = ProbeSpace(inForce, v6: v6, withNobody: agent.isHomeOutside)
    choice = ProbeChoice(space, Evaluator(inForce.candidate.set), wish) { [audit = agent.configuration.audit] name in
      audit || inForce.presence.subtreeOf[name].flatMap { inForce.candidate.set.subtrees[$0]?.audit } ?? false
    }
    next()
  }

  private func next() {
    let until = Clock.monotonic() + Verification.slice
    switch choice?.next(until: until) {
    case nil, .end?: end(nil)
    case .later?: agent.loop.after(milliseconds: 0) { [weak self] in self?.next() }
    case .probe(let probe, let intent)?: ask(probe, intent, milliseconds: Verification.patience.first)
    }
  }

  private func ask(_ probe: Probe, _ intent: Intent, milliseconds: Int) {
    let rows: WorkloadsInForce
    let cgroups: (source: UInt64, destination: UInt64)
    do throws(DatapathError) {
      guard let table = try agent.datapath.workloadsInForce(), let found = canary.cgroups() else {
        return end("the canary's cgroups \(canary.source) and \(canary.destination) cannot be made")
      }
      if table.generation != outcome.generation { return begin() }
      (rows, cgroups) = (table, found)
      if let missing = try put(probe, into: rows, cgroups) {
        let actual = "the kernel has no row for \(missing)"
        return take(probe, intent, ProbeResult(probe, intent, actual: actual, .different))
      }
    } catch {
      return end("\(Failure(error))")
    }
    let ask = CanaryAsk(
      fromWorkload: probe.from != nil, isUDP: probe.protocol == .udp, isV6: probe.isV6, port: probe.port,
      milliseconds: milliseconds)
    canary.ask(ask.text, milliseconds: milliseconds + 5000) { [weak self] text in
      for cgroup in [cgroups.source, cgroups.destination] {
        do throws(DatapathError) { try rows.remove(cgroup) } catch {
          self?.agent.log.error("canary-not-taken-out", ["cgroup": cgroup, "error": Failure(error)])
        }
      }
      self?.hear(text, probe, intent, isLast: milliseconds == Verification.patience.second)
    }
  }

  /// Makes the two cgroups those of the probe's workloads, under the canary's own numbers. Answers whose row there is
  /// none of.
  private func put(
    _ probe: Probe, into rows: WorkloadsInForce, _ cgroups: (source: UInt64, destination: UInt64)
  ) throws(DatapathError) -> Name? {
    for (name, cgroup, number) in [
      (probe.from, cgroups.source, agent.canaryNumbers.source),
      (probe.to, cgroups.destination, agent.canaryNumbers.destination),
    ] {
      guard let name else { continue }
      guard let id = agent.inForce?.presence.workloads[name], var row = try rows.row(id) else { return name }
      row.workload = number
      try rows.set(cgroup, row)
    }
    return nil
  }

  private func hear(_ text: String?, _ probe: Probe, _ intent: Intent, isLast: Bool) {
    guard let answer = text.flatMap({ CanaryAnswer($0) }) else { return end(canary.why ?? "the canary did not answer") }
    forget()
    if agent.keptGeneration != outcome.generation || agent.inForce?.generation != outcome.generation { return begin() }
    let result = ProbeResult(probe, intent, answer)
    if result.result == .different && !isLast && outcome.findings.count < Verification.confirmed {
      return ask(probe, intent, milliseconds: Verification.patience.second)
    }
    take(probe, intent, result)
  }

  private func take(_ probe: Probe, _ intent: Intent, _ result: ProbeResult) {
    outcome.counts[result.result, default: 0] += 1
    if result.result == .asIntended {
      if wish.again.contains(probe) { outcome.recovered.append(probe) }
    } else {
      outcome.findings.append((probe, result))
    }
    agent.loop.after(milliseconds: 0) { [weak self] in self?.next() }
  }

  /// What the probes' sockets counted is nobody's traffic, and takes nobody's share.
  private func forget() {
    let numbers = agent.canaryNumbers
    do throws(DatapathError) {
      try agent.datapath.forget(workloads: [numbers.source, numbers.destination], rules: [])
    } catch {
      agent.log.error("canary-counters-not-removed", ["error": Failure(error)])
    }
  }

  private func end(_ failure: String?) {
    outcome.failure = failure
    // Sockets that close late count once more.
    agent.loop.after(milliseconds: 1000) { [self] in forget() }
    canary.ask("rest", milliseconds: 5000) { [done, outcome] _ in done(outcome) }
  }
}

extension Canary {
  var why: String? {
    switch state {
    case .starting: "the canary is not ready yet; try again in a moment"
    case .ready: nil
    case .unavailable(let why): why
    }
  }
}
