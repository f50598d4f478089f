import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// What goes wrong around a running agent: what is enforced stays, it is told, and it heals.
  @Suite struct Faults {
    /// web may call 8081 and not 8082; both are there.
    private func start(_ node: Node) throws -> Child {
      try node.write("all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081]))
      for port: UInt16 in [8081, 8082] { try node.server("api", port) }
      try node.start()
      return try node.client("web")
    }

    private func command(_ node: Node, _ words: String...) throws {
      let said = try node.lab.run(in: "node", words)
      guard said.status == 0 else { throw LabError("\(words): \(said.stderr)", code: EIO) }
    }

    private func open8082(_ node: Node) throws {
      try node.write("all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081, 8082]))
    }

    @Test func `a policy directory that is gone, a file or another file system's empty one changes nothing`() throws {
      try Node.use { node in
        let web = try start(node)
        func isKept(_ what: String) throws {
          _ = try eventually("it to be told: \(what)") { try node.status().inForce ? nil : true }
          #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM", "\(what)")
        }
        func isBack() throws { _ = try eventually("the files to count again") { try node.status().inForce ? true : nil } }
        let aside = node.policies + "-aside"
        #expect(rename(node.policies, aside) == 0)
        try isKept("gone")
        #expect(rename(aside, node.policies) == 0)
        try isBack()
        #expect(rename(node.policies, aside) == 0)
        try Files.replace(node.policies, with: Array("no: [policy".utf8))
        try isKept("a file")
        unlink(node.policies)
        #expect(rename(aside, node.policies) == 0)
        try isBack()
        try command(node, "mount", "-t", "tmpfs", "none", node.policies)
        defer { _ = umount2(node.policies, 2) }
        try isKept("an empty file system")
        try open8082(node)
        try isBack()
        #expect(try web.ask("connect 127.0.0.1 8082") == "ok", "a file there counts")
      }
    }

    @Test func `a run directory that was removed is made again, with the socket and the numbers`() throws {
      try Node.use { node in
        let web = try start(node)
        try command(node, "rm", "-r", node.runDirectory)
        let status = try eventually("the agent to answer again") { try? node.status() }
        #expect(status.inForce)
        #expect(Files.exists("\(node.runDirectory)/numbers"))
        #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
        try open8082(node)
        _ = try eventually("the new set") { try web.ask("connect 127.0.0.1 8082") == "ok" ? true : nil }
      }
    }

    @Test func `a log that nobody reads holds nothing up, and says later what is missing`() throws {
      try Node.use { node in
        #expect(mkfifo(node.log, 0o600) == 0)
        let reader = open(node.log, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        #expect(fcntl(reader, 1031, 4096) > 0)  // F_SETPIPE_SZ
        let web = try start(node)
        for _ in 0..<40 { _ = try node.reload() }
        for _ in 0..<60 { node.agent?.signal(SIGHUP); usleep(5000) }
        try open8082(node)
        _ = try eventually("the new set") { try web.ask("connect 127.0.0.1 8082") == "ok" ? true : nil }
        var text = [UInt8](repeating: 0, count: 65536)
        _ = read(reader, &text, text.count)
        _ = try eventually("the missing lines' number") {
          node.agent?.signal(SIGHUP)
          let count = read(reader, &text, text.count)
          return count > 0 && String(decoding: text[..<count], as: UTF8.self).contains("event=log-lines-lost count=") ? true : nil
        }
      }
    }

    @Test func `while the agent is stopped the last generation stands; afterwards it catches up`() throws {
      try Node.use { node in
        let web = try start(node)
        node.agent?.signal(SIGSTOP)
        try open8082(node)
        sleep(2)
        #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
        #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
        node.agent?.signal(SIGCONT)
        _ = try eventually("the new set") { try web.ask("connect 127.0.0.1 8082") == "ok" ? true : nil }
      }
    }

    @Test func `a full disk below the run directory keeps the set in force, and the next try heals it`() throws {
      try Node.use { node in
        try Files.makeDirectory(node.runDirectory)
        try command(node, "mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "none", node.runDirectory)
        defer { _ = umount2(node.runDirectory, 2) }
        let web = try start(node)
        _ = try node.lab.run(in: "node", ["dd", "if=/dev/zero", "of=\(node.runDirectory)/fill", "bs=1k"])
        var text = try node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081, 8082])
        // More names than what is left of the file's last page.
        for number in 0..<200 { text += try node.workload("filler-with-a-long-name-\(number)") }
        try node.write("all.yaml", text)
        let failure = try eventually("it to be told") { try node.status().failure }
        #expect(failure.contains("ENOSPC") || failure.contains("No space"), "\(failure)")
        #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
        #expect(unlink("\(node.runDirectory)/fill") == 0)
        #expect(try node.reload().isTaken)
        #expect(try web.ask("connect 127.0.0.1 8082") == "ok")
      }
    }

    @Test func `a cgroup that is removed and made again is its workload's again`() throws {
      try Node.use { node in
        let web = try start(node)
        let before = try node.status()
        web.kill()
        let path = node.root + "/shop/web"
        _ = try eventually("the cgroup to be empty") { rmdir(path) == 0 ? true : nil }
        _ = try eventually("the workload to be gone") { try node.status().workloads < before.workloads ? true : nil }
        #expect(mkdir(path, 0o755) == 0)
        _ = try eventually("the workload to be back") { try node.status().workloads == before.workloads ? true : nil }
        #expect(try node.client("web").ask("connect 127.0.0.1 8082") == "EPERM")
      }
    }

    @Test func `without cgroup2 the agent refuses in one line`() throws {
      try Node.use { node in
        try node.write("all.yaml", node.workload("web"))
        let mount = try Cgroup.mount()
        let agent = try node.spawnAgent(around: ["unshare", "-m", "sh", "-c", "umount -l \(mount); exec \"$@\"", "sh"])
        #expect(try agent.finish().status == 2)
        #expect(node.logText.contains("cgroup2"))
        #expect(node.logText.split(separator: "\n").count == 1, "\(node.logText)")
      }
    }
  }
}
