import Datapath
import Policy

/// The last run of probes, in `GET /status`.
struct VerifyStatus: Codable {
  /// Why no flow can be tried; absent where flows can be.
  var unavailable: String?
  /// Of the last run; absent before the first.
  var generation: UInt32?
  var at: String?
  var probes: Int
  /// Of these, questions that could not be asked.
  var failed: Int
  /// Why the last run did not come to its end.
  var failure: String?
  /// Found by any run, and not seen to be right since.
  var differences: [ProbeResult]
}

/// The last line but the findings' of `POST /verify`.
struct VerifySummary: Codable {
  var generation: UInt32
  var probes: Int
  var asIntended: Int
  var different: Int
  /// Questions that could not be asked.
  var failed: Int
  var seed: UInt64
  /// Why the run could not be made, or not to its end.
  var failure: String?
  /// What the kernel does not run.
  var gaps: [Gap]
}

extension Agent {
  func verifyStatus() -> VerifyStatus {
    let why = configuration.verify ? verifying.canary.map(\.why) ?? "the canary cannot be started" : "turned off with --no-verify"
    return VerifyStatus(
      unavailable: why, generation: verifying.last?.outcome.generation,
      at: verifying.last.map { Clock.timestamp($0.at) },
      probes: verifying.last?.outcome.counts.values.reduce(0, +) ?? 0,
      failed: verifying.last?.outcome.counts[.failed] ?? 0, failure: verifying.last?.outcome.failure,
      differences: verifying.differences.map(\.result))
  }

  /// nil while nothing was found.
  var verifyComplaint: String? {
    verifying.differences.first.map { "verify: \($0.result.sentence)" }
  }

  /// `?all=1`, `?samples=N`, `?seed=N`. The summary comes first, then a line for each finding.
  func verifyOnRequest(_ query: (String) -> String?) -> HTTPResponse {
    guard configuration.verify else { return .text(409, "the agent runs with --no-verify") }
    guard verifying.canary != nil else { return .text(409, "the canary cannot be started") }
    let samples = query("samples").map { Int($0) } ?? 48
    guard let samples, samples > 0, samples <= 100_000 else { return .text(400, "samples: write a number above 0") }
    let seed = query("seed").map { UInt64($0) } ?? Clock.wall()
    guard let seed else { return .text(400, "seed: write a number") }
    let wish = Verification.Wish(
      samples: query("all") == nil ? samples : nil, seed: seed, again: verifying.differences.map(\.probe))
    let follower = Follower()
    let isTaken = verify(wish) { [unowned self] outcome in
      follower.push(JSON.text(summary(outcome, seed)))
      for (_, result) in outcome.findings.prefix(VerifySummary.shown) { follower.push(JSON.text(result)) }
      follower.finish()
    }
    return isTaken ? .stream(follower) : .text(503, "\(Verifying.maximumQueue) runs wait already")
  }

  private func summary(_ outcome: Verification.Outcome, _ seed: UInt64) -> VerifySummary {
    func count(_ kind: ProbeResult.Kind) -> Int { outcome.counts[kind] ?? 0 }
    return VerifySummary(
      generation: outcome.generation, probes: outcome.counts.values.reduce(0, +), asIntended: count(.asIntended),
      different: count(.different), failed: count(.failed), seed: seed, failure: outcome.failure,
      gaps: findGaps().filter { !$0.runs })
  }
}

extension VerifySummary {
  /// Findings that are told one by one.
  static let shown = 200
}
