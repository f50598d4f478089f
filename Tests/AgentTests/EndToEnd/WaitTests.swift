import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  private typealias Answer = (status: Int32, stdout: String, stderr: String)

  /// web is a pod in a Subtree, and not there yet.
  private func webIsExpected(_ node: Node) throws -> String {
    let driver = Pods.Driver.systemd
    try node.write(
      "pods.yaml",
      Pods.subtree("pods", driver.top) + Pods.text("web", app: "web", uid: Pods.uid(1))
        + PolicyText.egress("web", ports: [8081]))
    return "\(driver.parent)/\(driver.directory(Pods.uid(1)))"
  }

  private func wait(_ node: Node, _ words: String...) throws -> Child {
    try node.lab.spawn(in: "node", [Node.binary, "wait", "--run-dir", node.runDirectory] + words)
  }

  @Test func `a wait ends when the workload is enforced, also one that began before the agent`() throws {
    try Node.use { node in
      let pod = try webIsExpected(node)
      let (early, agent) = (try wait(node, "shop/web", "--timeout", "20s"), try wait(node, "node", "--timeout", "20s"))
      usleep(200_000)
      let generation = try node.start().generation
      #expect(try agent.finish().status == 0, "the agent's set is in force")
      usleep(200_000)
      _ = try node.lab.cgroup("judged/\(pod)")
      let answer = try early.finish()
      #expect(answer.status == 0 && answer.stdout.isEmpty && answer.stderr.isEmpty, "\(answer)")
      #expect(try node.status().generation > generation)
      #expect(try wait(node, "shop/web", "--generation", "\(generation + 1)").finish().status == 0)
      let json = try wait(node, "shop/web", "-o", "json").finish()
      #expect(JSON.decode(Enforced.self, Array(json.stdout.utf8))?.workload == "shop/web", "\(json)")
    }
  }

  @Test func `a wait that is over says in one line what is missing`() throws {
    try Node.use { node in
      _ = try webIsExpected(node)
      func missing(_ words: String..., comment: Comment? = nil) throws -> String {
        let answer = try node.lab.run(
          in: "node", [Node.binary, "wait", "--timeout", "200ms", "--run-dir", node.runDirectory] + words)
        #expect(answer.status == 1 && answer.stderr.split(separator: "\n").count == 1, "\(answer)")
        return answer.stderr
      }
      let silence = "weir wait: no agent is running (nobody listens at \(node.runDirectory)/weir.sock)\n"
      #expect(try missing("shop/web") == silence)
      let generation = try node.start().generation
      #expect(try missing("shop/db") == "weir wait: shop/db is in none of the agent's files\n")
      #expect(try missing("shop/web") == "weir wait: the cgroup of shop/web is not there\n")
      #expect(
        try missing("node", "--generation", "7000")
          == "weir wait: generation 7000 is wanted, \(generation) is in force\n")
      try node.write("wrong.yaml", "kind: Wrong\n")
      #expect(try !node.reload().isTaken)
      #expect(try missing("node").hasPrefix("weir wait: files are rejected, an older set is in force: "))
      node.remove("wrong.yaml")
      _ = try node.reload()
      #expect(try wait(node).finish().status == 0)
      node.killAgent()
      #expect(try missing("node") == silence, "its socket is left, and nobody listens")
      #expect(try wait(node, "a", "b").finish().status == 2)
    }
  }

  @Test func `a process waits for the workload that it is in itself`() throws {
    try Node.use { node in
      let pod = try webIsExpected(node)
      try node.start()
      let command = [Node.binary, "wait", "--self", "--timeout", "5s", "-o", "json", "--run-dir", node.runDirectory]
      let inside = try node.lab.run(in: "judged/\(pod)/container", command)
      #expect(inside.status == 0, "\(inside)")
      #expect(JSON.decode(Enforced.self, Array(inside.stdout.utf8))?.workload == "shop/web")
      let other = "judged/\(Pods.Driver.systemd.parent)/\(Pods.Driver.systemd.directory(Pods.uid(2)))"
      let stranger = try node.lab.run(
        in: other, [Node.binary, "wait", "--self", "--timeout", "1s", "--run-dir", node.runDirectory])
      #expect(stranger.status == 1)
      #expect(stranger.stderr == "weir wait: \(node.lab.root)/\(other) is no workload's yet\n")
    }
  }

  @Test func `who is not root is told so in one line`() throws {
    try Node.use { node in
      _ = try webIsExpected(node)
      try node.start()
      chmod(node.lab.files, 0o755)
      chmod(node.runDirectory, 0o755)
      let answer = try node.lab.run(
        in: "node", ["setpriv", "--reuid", "65534", "--clear-groups", Node.binary, "wait", "--run-dir", node.runDirectory])
      #expect(answer.status == 2)
      #expect(answer.stderr == "weir wait: \(node.runDirectory)/weir.sock: only root may ask the agent; run as root\n")
    }
  }
}
