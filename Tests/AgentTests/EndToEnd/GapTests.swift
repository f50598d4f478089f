import CDatapath
import CLibbpf
import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// Takes a program off as anybody with the privileges can.
  private func detach(_ node: Node, _ program: String) {
    let link = bpf_obj_get("\(node.lab.directory)/v\(WEIR_LAYOUT)/links/\(program)")
    #expect(link >= 0 && bpf_link_detach(link) == 0)
    close(link)
  }

  private func readiness(_ node: Node) throws -> (status: String, text: String) {
    let answer = try node.lab.run(
      in: "node", ["curl", "-s", "--noproxy", "*", "-w", "%{http_code}", "http://\(node.metrics)/readyz"])
    return (String(answer.stdout.suffix(3)), String(answer.stdout.dropLast(3)))
  }

  /// ingress and egress take CAP_NET_ADMIN, which a running agent has not: it ends by itself, as one that a service manager
  /// starts again.
  private func expectRestart(_ node: Node) throws {
    #expect(try node.stopAgent(0) == 2, "no signal: it ends by itself")
    #expect(node.logText.contains("CAP_NET_ADMIN was given up after the start; start it again\n"))
    try node.start()
  }

  @Test func `a program that somebody takes off is attached again within a second or two, and said once`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web") + PolicyText.egress("web", ports: [8081]))
      try node.server("web", 8082)
      try node.start()
      let attached = try Lab.attached(node.root)
      for program in ["connect4", "egress", "sock_create"] { detach(node, program) }
      try expectRestart(node)
      _ = try eventually("the programs") { try Lab.attached(node.root) == attached ? true : nil }
      let status = try eventually("no gap") { () -> Status? in
        let status = try node.status()
        return status.gaps.isEmpty && status.inForce ? status : nil
      }
      #expect(status.programs.allSatisfy { $0.effective })
      for program in ["connect4", "egress", "sock_create"] {
        let line = "event=program-missing program=\(program) why=\"was detached from \(node.root)\""
        #expect(node.logText.components(of: line) == 1, "\(program)")
      }
      #expect(node.logText.contains("event=mended programs=connect4,sock_create"))
      #expect(try Scrape(node.scrape()).value("weir_programs_missing") == 0)
    }
  }

  @Test func `a cgroup root that is gone is said until it is back, and then judged again`() throws {
    try Node.use { node in
      try node.write(
        "all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081]))
      try node.start()
      for path in ["shop/web", "shop/api", "shop"] { #expect(rmdir("\(node.root)/\(path)") == 0) }
      _ = try eventually("the root to go") {
        for name in names(in: "\(node.root)/weir-canary", directories: true) {
          rmdir("\(node.root)/weir-canary/\(name)")
        }
        rmdir("\(node.root)/weir-canary")
        return rmdir(node.root) == 0 ? true : nil
      }
      let status = try node.status()
      #expect(!status.inForce)
      #expect(Set(status.gaps.filter { !$0.runs }.map(\.why)) == ["its cgroup \(node.root) is gone"])
      let answer = try node.weir("status", "--run-dir", node.runDirectory)
      #expect(answer.status == 1)
      #expect(answer.stdout.contains("not in force: 8 programs missing"), "\(answer.stdout)")
      #expect(try Scrape(node.scrape()).value("weir_programs_missing") == 8)
      let ready = try readiness(node)
      #expect(ready.status == "503" && ready.text.contains("its cgroup \(node.root) is gone"), "\(ready)")

      for path in ["", "/shop", "/shop/web", "/shop/api"] { #expect(mkdir(node.root + path, 0o755) == 0) }
      try expectRestart(node)
      _ = try eventually("the root to be judged") { try node.status().inForce ? true : nil }
      try node.server("api", 8082)
      let web = try node.client("web")
      _ = try eventually("the workload to be known") {
        try web.ask("connect 127.0.0.1 8082") == "EPERM" ? true : nil
      }
      #expect(try readiness(node).status == "200")
      #expect(try node.weir("status", "--run-dir", node.runDirectory).status == 0)
    }
  }

  @Test func `with its pins gone the agent enforces, says that this would not outlive it, and pins again`() throws {
    try Node.use { node in
      let point = "\(node.lab.files)/bpf"
      #expect(mkdir(point, 0o700) == 0)
      try #require(mount("bpf", point, "bpf", 0, nil) == 0)
      defer { while umount2(point, Int32(MNT_DETACH)) == 0 {} }
      try node.write(
        "all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081]))
      try node.server("api", 8082)
      node.bpffs = "\(point)/weir"
      try node.start()
      #expect(umount2(point, Int32(MNT_DETACH)) == 0)
      let status = try node.status()
      #expect(status.inForce && status.gaps.map(\.program) == ["pins"])
      let answer = try node.weir("status", "--run-dir", node.runDirectory)
      #expect(answer.status == 1)
      #expect(answer.stdout.contains("enforcement would end with the agent"), "\(answer.stdout)")
      let web = try node.client("web")
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
      #expect(try Scrape(node.scrape()).value("weir_pins_missing") == 1)

      try #require(mount("bpf", point, "bpf", 0, nil) == 0)
      _ = try eventually("the pins") { try node.status().gaps.isEmpty ? true : nil }
      #expect(try node.weir("status", "--run-dir", node.runDirectory).status == 0)
      node.killAgent()
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM", "while no agent runs")
      #expect(try node.weir("detach", "--bpffs", "\(point)/weir").status == 0)
      #expect(try web.ask("connect 127.0.0.1 8082") == "ok", "without the programs")
    }
  }
}

extension String {
  /// How often a text stands in it.
  fileprivate func components(of text: String) -> Int {
    var count = 0
    var rest = self[...]
    while let range = rest.firstRange(of: text) {
      count += 1
      rest = rest[range.upperBound...]
    }
    return count
  }
}
