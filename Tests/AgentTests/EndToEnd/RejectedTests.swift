import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// web may reach api on 8081 and not on 8082.
  private func onePortIsOpen(_ node: Node) throws -> Child {
    try node.write("workloads.yaml", node.workload("web") + node.workload("api"))
    try node.write("web.yaml", PolicyText.egress("web", ports: [8081]))
    for port: UInt16 in [8081, 8082] { try node.server("api", port) }
    return try node.client("web")
  }

  private func expectOnePort(_ web: Child, _ comment: Comment) throws {
    #expect(try web.ask("connect 127.0.0.1 8081") == "ok", comment)
    #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM", comment)
  }

  @Test func `an invalid file changes nothing, and status, metric and log name it`() throws {
    try Node.use { node in
      let web = try onePortIsOpen(node)
      let first = try node.start().generation
      try expectOnePort(web, "at first")

      // It would open 8082 too, were it not for the misspelt field beside it.
      let wrong = PolicyText.egress("web", ports: [8081, 8082]).replacing("policyTypes", "policyTipes")
      try node.write("web.yaml", wrong)
      let status = try eventually("the file to be seen") {
        let status = try node.status()
        return status.filesRejected > 0 ? status : nil
      }
      #expect(status.filesRejected == 1 && !status.inForce && status.generation == first)
      let problem = try #require(status.problems.first)
      #expect(problem.file == "\(node.policies)/web.yaml")
      #expect(problem.line == 6 && problem.column == 3 && problem.field == "spec.policyTipes", "\(problem)")
      #expect(try node.scrape().contains("\nweir_files_rejected 1\n"))
      let said = "event=file-rejected file=\(node.policies)/web.yaml line=6 column=3 field=spec.policyTipes "
      #expect(node.logText.contains(said), "\(node.logText)")
      let answer = try node.weir("status", "--run-dir", node.runDirectory)
      #expect(
        answer.status == 1 && answer.stdout.contains("\(node.policies)/web.yaml:6:3: spec.policyTipes: "))
      #expect(try !node.reload().isTaken)
      try expectOnePort(web, "while a file is wrong")
      // A right file beside a wrong one is not taken either.
      try node.write("more.yaml", PolicyText.ingress("api", from: "nobody", ports: [1]))
      #expect(try node.reload().status.generation == first)
      try expectOnePort(web, "while a file is wrong")
      node.remove("more.yaml")

      try node.write("web.yaml", PolicyText.egress("web", ports: [8082]))
      let fixed = try node.reload()
      #expect(fixed.isTaken && fixed.status.inForce && fixed.status.generation == first + 1)
      #expect(try node.scrape().contains("\nweir_files_rejected 0\n"))
      #expect(try web.ask("connect 127.0.0.1 8081") == "EPERM")
      #expect(try web.ask("connect 127.0.0.1 8082") == "ok")
    }
  }

  @Test func `a policy directory that goes away leaves the last set in force`() throws {
    try Node.use { node in
      let web = try onePortIsOpen(node)
      let first = try node.start().generation
      #expect(rename(node.policies, node.policies + "-away") == 0)
      let status = try eventually("it to be seen") {
        let status = try node.status()
        return status.problems.isEmpty ? nil : status
      }
      #expect(status.problems.map(\.file) == [node.policies] && status.generation == first)
      try expectOnePort(web, "while the directory is gone")
      #expect(rename(node.policies + "-away", node.policies) == 0)
      _ = try eventually("it to be back") { try node.status().inForce ? true : nil }
      #expect(try node.status().generation == first)
      try expectOnePort(web, "when it is back")
    }
  }

  @Test func `a file that cannot be read leaves the last set in force`() throws {
    try Node.use { node in
      let web = try onePortIsOpen(node)
      // Root reads everything, unless it gives that up.
      let first = try node.start(
        around: ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
      ).generation
      #expect(chmod("\(node.policies)/web.yaml", 0) == 0)
      let answer = try node.reload()
      #expect(!answer.isTaken && answer.status.generation == first)
      let problem = try #require(answer.status.problems.first)
      #expect(
        problem.file == "\(node.policies)/web.yaml" && problem.message.contains("no permission to read it"),
        "\(problem)")
      try expectOnePort(web, "while the file cannot be read")
      #expect(chmod("\(node.policies)/web.yaml", 0o600) == 0)
      #expect(try node.reload().isTaken)
    }
  }

  @Test func `a first set that is wrong judges nobody, and the agent says it is not ready`() throws {
    try Node.use { node in
      let web = try onePortIsOpen(node)
      try node.write("web.yaml", "kind: [")
      let status = try node.start()
      #expect(status.generation == 0 && !status.inForce && status.filesRejected == 1)
      let ready = try node.lab.run(
        in: "node",
        [
          "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*",
          "http://\(node.metrics)/readyz",
        ])
      #expect(ready.stdout == "503")
      #expect(try web.ask("connect 127.0.0.1 8082") == "ok")
      try node.write("web.yaml", PolicyText.egress("web", ports: [8081]))
      #expect(try node.reload().isTaken)
      try expectOnePort(web, "once the set is right")
    }
  }
}

extension String {
  /// The standard library has this on collections, not on text.
  fileprivate func replacing(_ word: String, _ other: String) -> String {
    split(separator: word, omittingEmptySubsequences: false).joined(separator: other)
  }
}
