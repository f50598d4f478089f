import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// What a loop of `traffic.py` counted: target to outcome to how many.
  typealias Counts = [String: [String: Int]]

  @Test func `killing the agent forty times lets nothing through and breaks nothing`() throws {
    try Node.use { node in
      try node.write(
        "all.yaml",
        node.workload("web") + node.workload("api") + node.workload("db")
          + PolicyText.egress("web", ports: [8081, 8083])
          + PolicyText.ingress("db", from: "api", ports: [8083]))
      for address in ["127.0.0.1", "::1"] {
        try node.server("api", 8081, at: address)
        try node.server("api", 8082, at: address)
      }
      try node.server("db", 8083)
      try node.start()
      let loop = try node.traffic(
        "web", "loop", "8081", "allowed=127.0.0.1:8081", "allowed6=::1:8081", "egress=127.0.0.1:8082",
        "egress6=::1:8082", "ingress=127.0.0.1:8083")
      var kills = 0
      for round in 0..<20 {
        node.killAgent()
        // One that is killed somewhere in its start, a little later each time, and one that gets through.
        try node.spawnAgent()
        usleep(UInt32(round) * 25_000)
        node.killAgent()
        usleep(20_000)
        try node.start()
        kills += 2
      }
      let counts = try #require(JSON.decode(Counts.self, Array(loop.finish(seconds: 30).stdout.utf8)))
      print("\(kills) kills of the agent: \(counts)")
      #expect(kills >= 20)
      for (target, outcome) in [
        ("allowed", "ok"), ("allowed6", "ok"), ("egress", "EPERM"), ("egress6", "EPERM"),
        ("ingress", "EACCES"), ("kept", "ok"),
      ] {
        let seen = try #require(counts[target])
        #expect(Array(seen.keys) == [outcome], "\(target): \(seen)")
        #expect(seen[outcome] ?? 0 >= 1000, "\(target): \(seen)")
      }
      let status = try node.status()
      #expect(status.inForce)
      // Of the events a workload gets so many a second.
      #expect(status.losses.allSatisfy { $0.key == "events" || $0.value == 0 }, "\(status.losses)")

      node.killAgent()
      try node.detach()
      let web = try node.client("web")
      #expect(try web.ask("connect 127.0.0.1 8082") == "ok", "without the programs")
      #expect(try web.ask("connect 127.0.0.1 8083") == "ok", "without the programs")
    }
  }
}
