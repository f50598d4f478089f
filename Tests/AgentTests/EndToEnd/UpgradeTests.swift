import CDatapath
import Glibc
import Lab
import Testing

@testable import Agent
@testable import Datapath

extension EndToEnd {
  /// The pins of a weir of another layout, under which web may reach 8081 and nothing else. Answers its generation.
  private func formerWeir(_ node: Node) throws -> UInt32 {
    let cgroup = try node.lab.cgroup("judged/shop/web")
    let id = try #require(Cgroup.id(cgroup))
    var entries = Entries()
    var web = weir_workload()
    (web.workload, web.identity, web.class_, web.kind) = (1, 1, 1, UInt8(WEIR_KIND_WORKLOAD.rawValue))
    entries.workloads.append((id, web))
    entries.pairs.append((weir_pair_key(subject: 1, peer: 0, direction: WEIR_EGRESS.rawValue), 1))
    for (prefix, port, verdict) in [(UInt32(32), UInt16(0), WEIR_DENIED), (64, 8081, WEIR_ALLOWED)] {
      var ruling = weir_ruling()
      ruling.verdict = UInt8(verdict.rawValue)
      ruling.reason = UInt8((verdict == WEIR_ALLOWED ? WEIR_REASON_RULE : WEIR_REASON_NO_RULE).rawValue)
      let key = weir_ports_key(
        prefixlen: prefix, ports: 1, protocol: prefix == 32 ? 0 : 6, pad: 0, port: port.bigEndian)
      entries.ports.append((key, ruling))
    }
    let datapath = try Datapath(directory: node.lab.directory, cgroupRoot: node.root, Build(layout: 990))
    for generation: UInt32 in 1...5 { try datapath.install(entries, generation: generation, audit: false) }
    return 5
  }

  private func rehearse(_ node: Node) throws -> (status: Int32, stdout: String, stderr: String) {
    try node.lab.run(in: "node", [Node.binary] + node.arguments + ["--rehearse"])
  }

  @Test func `another layout enforces its last generation until the files are right, and then is taken over`() throws {
    try Node.use { node in
      try node.write("workloads.yaml", node.workload("web") + node.workload("api"))
      try node.write("web.yaml", "kind: [")
      for port: UInt16 in [8081, 8082] { try node.server("api", port) }
      let former = try formerWeir(node)
      let web = try node.client("web")
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
      let wrong = try rehearse(node)
      #expect(wrong.status == 1 && wrong.stdout.contains("\nworks     no\n"), "\(wrong)")
      #expect(wrong.stdout.contains("/web.yaml:2:1: not YAML"), "\(wrong)")

      let first = try node.start()
      #expect(first.generation == former && !first.inForce && first.formerLayouts == [990])
      #expect(first.programs.count == 11, "the former's, as the kernel has them")
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
      // Killed there, the next goes on the same way.
      node.killAgent()
      try node.write("web.yaml", PolicyText.egress("web", ports: [8082]))
      let right = try rehearse(node)
      #expect(right.status == 0, "\(right)")
      print(right.stdout)
      for words in ["generation 5, layout 990", "with the first generation", "sockets"] {
        #expect(right.stdout.contains(words), "\(right)")
      }
      let second = try node.start()
      #expect(second.generation == former + 1 && second.inForce && second.formerLayouts == nil)
      #expect(names(in: node.lab.directory) == ["v\(WEIR_LAYOUT)"])
      #expect(try web.ask("connect 127.0.0.1 8081") == "EPERM")
      #expect(try web.ask("connect 127.0.0.1 8082") == "ok")
    }
  }

  @Test func `a rehearsal beside a running agent changes nothing`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web") + PolicyText.egress("web", ports: [8081]))
      let first = try node.start()
      let pins = Pins(node.lab.directory)
      let pinned = names(in: pins.maps) + names(in: pins.links) + names(in: pins.notes)
      let answer = try rehearse(node)
      #expect(answer.status == 0, "\(answer)")
      #expect(answer.stdout.contains("replaced at the start"), "\(answer)")
      let data = try node.lab.run(in: "node", [Node.binary] + node.arguments + ["--rehearse", "-o", "json"])
      let report = try #require(JSON.decode(Rehearse.Report.self, Array(data.stdout.utf8)))
      #expect(report.works && report.kernel?.enforcing == [UInt32(WEIR_LAYOUT)] && report.files == 1)
      #expect(report.kernel?.kept.contains("sockets") == true && report.kernel?.empty == [])
      let after = try node.status()
      #expect(after.programs == first.programs && after.generation == first.generation && after.inForce)
      #expect(names(in: pins.maps) + names(in: pins.links) + names(in: pins.notes) == pinned)
      #expect(try Lab.attached(node.root) == 8)
      // Each reason is a line: a set that is wrong, an address that is nobody's here.
      try node.write("all.yaml", "kind: [")
      var arguments = node.arguments + ["--rehearse"]
      if let index = arguments.firstIndex(of: "--metrics") { arguments[index + 1] = "192.0.2.1:9464" }
      let wrong = try node.lab.run(in: "node", [Node.binary] + arguments)
      let reasons = wrong.stdout.split(separator: "\n").drop { !$0.hasPrefix("works") }.dropFirst()
      #expect(wrong.status == 1 && reasons.count == 2 && wrong.stderr.isEmpty, "\(wrong)")
      #expect(reasons.contains { $0.contains("bind metrics address 192.0.2.1:0: EADDRNOTAVAIL") }, "\(wrong)")
      #expect(try node.status().programs == first.programs)
      let usage = try node.lab.run(in: "node", [Node.binary, "agent", "--rehearse"])
      #expect(usage.status == 2)
    }
  }

  @Test func `from one agent's stop to the next one's first generation nothing is let through`() throws {
    try Node.use { node in
      try node.write(
        "all.yaml",
        node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081, 8083]))
      for port: UInt16 in [8081, 8082, 8083] { try node.server("api", port) }
      try node.start()
      let loop = try node.traffic("web", "loop", "8083", "allowed=127.0.0.1:8081", "egress=127.0.0.1:8082")
      var times: [UInt64] = []
      for _ in 0..<5 {
        let began = Clock.monotonic()
        #expect(try node.stopAgent() == 0)
        try node.start()
        #expect(try node.status().inForce)
        times.append((Clock.monotonic() - began) / 1_000_000)
      }
      print("from SIGTERM to the next agent's first generation: \(times.sorted()) ms")
      let counts = try #require(JSON.decode(Counts.self, Array(loop.finish(seconds: 30).stdout.utf8)))
      for (target, outcome) in [("allowed", "ok"), ("egress", "EPERM"), ("kept", "ok")] {
        #expect(counts[target].map { Array($0.keys) } == [outcome], "\(counts)")
      }
    }
  }
}
