import CDatapath
import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  private func oneOpenPort(_ node: Node) throws -> Child {
    try node.write(
      "all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081]))
    for port: UInt16 in [8081, 8082] { try node.server("api", port) }
    return try node.client("web")
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func `a stop leaves enforcement on, the next start adopts it, detach ends it`(signal: Int32) throws {
    try Node.use { node in
      let web = try oneOpenPort(node)
      let first = try node.start()
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
      let attached = try Lab.attached(node.root)

      #expect(try node.stopAgent(signal) == 0)
      #expect(!Files.exists("\(node.runDirectory)/weir.sock"))
      #expect(node.logText.contains("event=stopped enforcement=stays"))
      #expect(try Lab.attached(node.root) == attached)
      #expect(!names(in: "\(node.lab.directory)/v\(WEIR_LAYOUT)/links").isEmpty)
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok", "while no agent runs")
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM", "while no agent runs")
      let orphan = try node.weir("status", "--run-dir", node.runDirectory, "--bpffs", node.lab.directory)
      #expect(orphan.status == 2 && orphan.stderr.contains("enforcement continues from the pins"))

      let second = try node.start()
      #expect(second.pid != first.pid && second.inForce)
      func links(_ status: Status) -> [String: UInt32] {
        // The kernel has no way to replace a tracepoint's program in place.
        let replaceable = status.programs.filter { !$0.hook.hasPrefix("tp_btf/") }
        return Dictionary(uniqueKeysWithValues: replaceable.map { ($0.name, $0.linkId) })
      }
      #expect(!links(first).isEmpty && links(second) == links(first))
      #expect(try Lab.attached(node.root) == attached)
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM", "after the second start")

      #expect(try node.stopAgent(signal) == 0)
      try node.detach()
      #expect(try Lab.attached(node.root) == 0)
      #expect(access(node.lab.directory, F_OK) != 0)
      #expect(try web.ask("connect 127.0.0.1 8082") == "ok", "without the programs")
    }
  }

  @Test func `SIGHUP reads the files again`() throws {
    try Node.use { node in
      let web = try oneOpenPort(node)
      let first = try node.start()
      node.agent?.signal(SIGHUP)
      _ = try eventually("the reading") { node.logText.contains("event=unchanged cause=SIGHUP") ? true : nil }
      #expect(try node.status().generation == first.generation)

      // Inside a directory that is a link's target no watch is needed to see it: the signal alone asks.
      try node.write("all.yaml", "")
      node.agent?.signal(SIGHUP)
      _ = try eventually("the new generation") {
        try node.status().generation > first.generation ? true : nil
      }
      #expect(try web.ask("connect 127.0.0.1 8082") == "ok")
    }
  }
}
