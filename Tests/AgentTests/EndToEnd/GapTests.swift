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

  @Test func `a program that somebody takes off is attached again within a second or two, and said once`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web") + PolicyText.egress("web", ports: [8081]))
      try node.server("web", 8082)
      try node.start()
      let attached = try Lab.attached(node.root)
      for program in ["connect4", "sock_create", "sock_ops"] { detach(node, program) }
      _ = try eventually("the programs") { try Lab.attached(node.root) == attached ? true : nil }
      let status = try eventually("no gap") { () -> Status? in
        let status = try node.status()
        return status.gaps.isEmpty && status.inForce ? status : nil
      }
      #expect(status.programs.allSatisfy { $0.effective })
      for program in ["connect4", "sock_create", "sock_ops"] {
        let line = "event=program-missing program=\(program) why=\"was detached from \(node.root)\""
        #expect(node.logText.components(of: line) == 1, "\(program)")
      }
      #expect(node.logText.contains("event=mended programs=connect4,sock_create,sock_ops"))
      #expect(try Scrape(node.scrape()).value("weir_programs_missing") == 0)
    }
  }

  @Test func `a packet program that is taken off is said, and the next start attaches it`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web") + PolicyText.egress("web", ports: [8081]))
      try node.start()
      detach(node, "egress")
      let why = "attach egress to \(node.root): EPERM (needs CAP_NET_ADMIN, and no program attached above that forbids others)"
      let status = try eventually("the reason") { () -> Status? in
        let status = try node.status()
        return status.gaps.first?.why.contains("not put back") == true ? status : nil
      }
      #expect(!status.inForce && status.gaps.map(\.program) == ["egress"])
      #expect(status.gaps.first?.why == "was detached from \(node.root); not put back: \(why); start the agent again")
      usleep(2_200_000)
      #expect(node.logText.components(of: "event=not-mended") == 1)
      #expect(node.logText.components(of: "event=program-missing") == 1)
      node.killAgent()
      #expect(try node.start().inForce)
      #expect(try node.status().gaps.isEmpty)
    }
  }

  @Test func `under a service manager the agent ends, to be started again with what it takes`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web") + PolicyText.egress("web", ports: [8081]))
      try node.start(around: ["env", "NOTIFY_SOCKET=@weir-nobody-listens"])
      detach(node, "ingress")
      #expect(try node.agent?.finish(seconds: 10).status == 2)
      let line = "weir agent: ends to be started again, for a running agent cannot put a program back: attach ingress to "
      #expect(node.logText.contains(line), "\(node.logText)")
      node.killAgent()
      #expect(try node.start(around: ["env", "NOTIFY_SOCKET=@weir-nobody-listens"]).inForce)
      #expect(try node.status().gaps.isEmpty)
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
      #expect(answer.stdout.contains("not in force: 9 programs missing"), "\(answer.stdout)")
      #expect(try Scrape(node.scrape()).value("weir_programs_missing") == 9)
      let ready = try readiness(node)
      #expect(ready.status == "503" && ready.text.contains("its cgroup \(node.root) is gone"), "\(ready)")

      for path in ["", "/shop", "/shop/web", "/shop/api"] { #expect(mkdir(node.root + path, 0o755) == 0) }
      _ = try eventually("what can be attached without CAP_NET_ADMIN") {
        try node.status().gaps.filter { !$0.runs }.map(\.program) == ["egress", "ingress"] ? true : nil
      }
      node.killAgent()
      #expect(try node.start().inForce)
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
