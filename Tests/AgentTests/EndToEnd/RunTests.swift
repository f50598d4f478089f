import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  private func runWeb(_ node: Node, _ command: [String]) throws -> Child {
    try node.lab.spawn(
      in: "node",
      [
        Node.binary, "run", "--run-dir", node.runDirectory, "--name", "shop/web", "--label", "app=web", "--",
      ] + command)
  }

  private func workloadFile(_ node: Node) -> String { "\(node.runDirectory)/workloads/shop_web.yaml" }

  private func expectTidy(_ node: Node, _ comment: Comment) {
    #expect(!Files.exists("\(node.root)/shop/web"), comment)
    #expect(!Files.exists(workloadFile(node)), comment)
  }

  @Test(
    arguments: [(["true"], 0), (["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -9 $$"], 137)]
      as [([String], Int32)])
  func `a run ends with its command's status and leaves nothing`(command: [String], status: Int32) throws {
    try Node.use { node in
      try node.write("web.yaml", PolicyText.egress("web", ports: [8081]))
      try node.start()
      let answer = try runWeb(node, command).finish()
      #expect(answer.status == status, "\(answer.stderr)")
      expectTidy(node, "after \(command)")
      #expect(try node.status().workloads == 0)
    }
  }

  @Test func `a command that is not there is one line, and leaves nothing`() throws {
    try Node.use { node in
      try node.write("web.yaml", PolicyText.egress("web", ports: [8081]))
      try node.start()
      let answer = try runWeb(node, ["/nonexistent/program"]).finish()
      #expect(answer.status == 2)
      #expect(answer.stderr == "weir run: start /nonexistent/program: ENOENT\n")
      expectTidy(node, "after a command that is not there")
    }
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP])
  func `a signal goes on to the command`(signal: Int32) throws {
    try Node.use { node in
      try node.write("web.yaml", PolicyText.egress("web", ports: [8081]))
      try node.start()
      let run = try runWeb(
        node,
        [
          "python3", "-c",
          "import signal, sys; signal.signal(\(signal), lambda *_: sys.exit(9)); "
            + "print('ready', flush=True); signal.pause()",
        ])
      #expect(try run.line() == "ready")
      #expect(Files.exists(workloadFile(node)))
      run.signal(signal)
      #expect(try run.finish().status == 9)
      expectTidy(node, "after signal \(signal)")
    }
  }

  @Test func `the command is judged from its first connect on`() throws {
    try Node.use { node in
      try node.write("web.yaml", node.workload("api") + PolicyText.egress("web", ports: [8081]))
      for port: UInt16 in [8081, 8082] { try node.server("api", port) }
      try node.start()
      let first =
        "import socket, errno, sys; s = socket.socket(); e = s.connect_ex(('127.0.0.1', int(sys.argv[1]))); "
        + "print(errno.errorcode.get(e, 'ok'))"
      for _ in 0..<5 {
        #expect(try runWeb(node, ["python3", "-c", first, "8082"]).finish().stdout == "EPERM\n")
        #expect(try runWeb(node, ["python3", "-c", first, "8081"]).finish().stdout == "ok\n")
      }
      node.killAgent()
      let answer = try runWeb(node, ["python3", "-c", first, "8082"]).finish()
      #expect(answer.status == 2 && answer.stdout.isEmpty, "without an agent nothing is started")
      expectTidy(node, "without an agent")
    }
  }

  @Test func `the agent tidies up after a run that was killed`() throws {
    try Node.use { node in
      try node.write("web.yaml", PolicyText.egress("web", ports: [8081]))
      try node.start()
      let run = try runWeb(node, ["sh", "-c", "echo ready; exec sleep 1000"])
      #expect(try run.line() == "ready")
      run.kill()
      usleep(100_000)
      #expect(Files.exists(workloadFile(node)), "its command still runs, and is still judged")
      for process in Cgroup.processes("\(node.root)/shop/web") { kill(process, SIGKILL) }
      _ = try eventually("the agent to tidy up") { Files.exists(workloadFile(node)) ? nil : true }
      expectTidy(node, "after the agent's round")
      let status = try eventually("the new generation") {
        let status = try node.status()
        return status.workloads == 0 ? status : nil
      }
      #expect(status.inForce)
    }
  }
}
