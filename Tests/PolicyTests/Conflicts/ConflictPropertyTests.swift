import Glibc
import Testing

@testable import Policy

@Suite struct ConflictPropertyTests {
  /// SEEDS=3000 for a long run.
  private static let count = getenv("SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 120

  private static func flow(_ witness: Witness) -> Flow? {
    guard let from = witness.from, let to = witness.to, let port = witness.port,
      let source = try? Party(from), let destination = try? Party(to),
      let (transport, number) = try? TransportProtocol.port(port)
    else { return nil }
    return Flow(from: source, to: destination, protocol: transport, port: number)
  }

  @Test func `every finding's witness is confirmed by the naive evaluator`() {
    var met: [Conflict: Int] = [:]
    for seed in 0..<Self.count {
      let conflicts = Conflicts(EffectsTests.set(seed: seed))
      for text in conflicts.unconfirmed { Issue.record("seed \(seed): \(text)") }
      for finding in conflicts.findings { met[finding.id, default: 0] += 1 }
      guard !conflicts.findings.isEmpty else { continue }
      // The witness as printed, of the whole set: what `weir explain` answers.
      let evaluator = Evaluator(EffectsTests.set(seed: seed))
      for finding in conflicts.findings where finding.id != .adminTie {
        guard let witness = finding.witness, let flow = Self.flow(witness) else { continue }
        let request = witness.request.map {
          Request(method: $0.method, path: $0.path, host: $0.host, headers: $0.headers)
        }
        #expect(evaluator.verdict(flow, request).rawValue == witness.with, "seed \(seed): \(finding)")
      }
    }
    for id in [
      Conflict.l7Unreachable, .l7Bypassed, .l7NoProxy, .denyBuriesAllow, .familiesContradict,
      .otherEndRefuses,
    ] {
      #expect(met[id, default: 0] > 0, "\(id.rawValue) does not occur")
    }
  }
}
