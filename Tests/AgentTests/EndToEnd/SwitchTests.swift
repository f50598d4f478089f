import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// Two sets of two files each. Of a set's files one speaks for the client's egress, one for the server's
  /// ingress, and together they allow exactly one of two ports; any mix of the sets' files allows neither,
  /// and a mix in time would show both or none.
  private struct TwoSets {
    static let ports: [UInt16] = [8081, 8082]
    let node: Node
    private let link: String

    init(_ node: Node) throws {
      self.node = node
      link = "\(node.policies)/current"
      try node.write("workloads.yaml", node.workload("web") + node.workload("api"))
      for (set, port) in Self.ports.enumerated() {
        let directory = "\(node.lab.files)/set-\(set)"
        try Files.makeDirectory(directory, mode: 0o755)
        try Files.replace(
          "\(directory)/a.yaml", with: Array(PolicyText.egress("web", ports: [port]).utf8))
        try Files.replace(
          "\(directory)/b.yaml", with: Array(PolicyText.ingress("api", from: "web", ports: [port]).utf8))
      }
      try choose(0)
    }

    /// As a ConfigMap's ..data is replaced.
    func choose(_ set: Int) throws {
      let aside = "\(node.lab.files)/aside"
      guard symlink("\(node.lab.files)/set-\(set)", aside) == 0, rename(aside, link) == 0 else {
        throw LabError("replace \(link)")
      }
    }
  }

  private struct Pair: Decodable {
    var began: UInt64
    var ended: UInt64
    var seen: [String]

    init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      began = try values.decode(UInt64.self)
      ended = try values.decode(UInt64.self)
      seen = [try values.decode(String.self), try values.decode(String.self)]
    }
  }

  @Test func `two hundred switches of a set of two files never show a mix`() throws {
    try Node.use { node in
      let sets = try TwoSets(node)
      for port in TwoSets.ports { try node.server("api", port) }
      try node.start(policies: ["\(node.policies)/workloads.yaml", "\(node.policies)/current"])
      let first = try node.status().generation
      let flows = "\(node.lab.files)/flows.json"
      let follower = try node.lab.spawn(
        in: "node",
        [
          "/bin/sh", "-c", "exec \"$0\" flows -o json --run-dir \"$1\" >\"$2\"", Node.binary,
          node.runDirectory,
          flows,
        ])
      let pairs = try node.traffic("web", "pairs", "8081", "8082")
      _ = try eventually("the first verdict") { readText(flows).isEmpty ? nil : true }

      var chosen: [UInt32: Int] = [first: 0]
      var still: [(set: Int, from: UInt64, to: UInt64)] = []
      var since = Clock.monotonic()
      for number in 1...200 {
        usleep(15_000)
        still.append((1 - number % 2, since, Clock.monotonic()))
        try sets.choose(number % 2)
        let answer = try node.reload()
        since = Clock.monotonic()
        try #require(answer.isTaken, "\(answer.status.problems) \(answer.status.failure ?? "")")
        #expect(answer.status.generation == first + UInt32(number))
        chosen[answer.status.generation] = number % 2
      }
      usleep(50_000)
      let seen = try #require(JSON.decode([Pair].self, Array(pairs.finish(seconds: 30).stdout.utf8)))
      let losses = try node.status().losses
      // Of the events a workload gets so many a second.
      #expect(losses.allSatisfy { $0.key == "events" || $0.value == 0 }, "\(losses)")
      usleep(200_000)
      follower.signal(SIGTERM)
      _ = try follower.finish()
      try checkVerdicts(readText(flows), chosen)
      checkPairs(seen, still)
    }
  }

  /// Each verdict names the generation that gave it: within one, one port is allowed and the other denied.
  private func checkVerdicts(_ text: String, _ chosen: [UInt32: Int]) throws {
    var judged: [UInt32: Set<UInt16>] = [:]
    var verdicts = 0
    for line in text.split(separator: "\n") {
      let record = try #require(JSON.decode(VerdictRecord.self, Array(line.utf8)), "\(line)")
      guard record.source == "shop/web", TwoSets.ports.contains(record.port) else { continue }
      let set = try #require(chosen[record.generation], "\(line)")
      let expected = record.port == TwoSets.ports[set] ? "allowed" : "denied"
      #expect(record.verdict == expected, "generation of set \(set): \(line)")
      judged[record.generation, default: []].insert(record.port)
      verdicts += 1
    }
    let both = judged.values.count { $0.count == 2 }
    print("\(chosen.count - 1) switches: \(verdicts) verdicts, \(both) generations were asked for both ports")
    #expect(both >= 150, "too few generations were asked to show anything")
  }

  /// What the client saw between two switches, from a reload's answer to the next file change.
  private func checkPairs(_ pairs: [Pair], _ still: [(set: Int, from: UInt64, to: UInt64)]) {
    var index = 0
    var inside = 0
    for pair in pairs {
      while index < still.count, still[index].to < pair.ended { index += 1 }
      guard index < still.count, still[index].from < pair.began else { continue }
      inside += 1
      let expected = still[index].set == 0 ? ["ok", "EPERM"] : ["EPERM", "ok"]
      #expect(pair.seen == expected)
    }
    print("\(pairs.count) pairs of connects, \(inside) of them between two switches")
    #expect(inside >= 200)
  }

  private func readText(_ path: String) -> String {
    String(decoding: ((try? Files.read(path, limit: 1 << 28)) ?? nil) ?? [], as: UTF8.self)
  }
}
