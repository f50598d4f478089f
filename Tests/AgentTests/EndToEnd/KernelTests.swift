import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// What the agent says of the kernel it runs on. Kernels that lack something are simulated by a copy of the
  /// binary in whose BPF object the name of what is asked for is one that no kernel has.
  @Suite struct KernelFeatures {
    /// Options for `spawnAgent` that run the copy in place of the binary.
    private func crippled(_ node: Node, _ name: String, _ nobodys: String) throws -> [String] {
      let copy = node.lab.files + "/weir"
      let script = """
        import os, sys
        source, copy, name, other = sys.argv[1:]
        data = open(source, "rb").read()
        assert name.encode() in data and len(name) == len(other)
        open(copy, "wb").write(data.replace(name.encode(), other.encode()))
        os.chmod(copy, 0o755)
        """
      let made = try node.lab.run(in: "node", seconds: 30, ["python3", "-c", script, Node.binary, copy, name, nobodys])
      try #require(made.status == 0, "\(made.stderr)")
      return ["/bin/sh", "-c", "shift; exec \"$0\" \"$@\"", copy]
    }

    private func checkSaid(_ node: Node, _ status: Status) throws {
      let text = try node.weir("status", "--run-dir", node.runDirectory).stdout
      for sentence in status.missing {
        #expect(text.contains(sentence))
        #expect(node.logText.contains(sentence))
      }
      #expect(text.contains("kernel lacks") == !status.missing.isEmpty)
    }

    @Test func `what this kernel refuses is in the status and in the log, each with its cost`() throws {
      try Node.use { node in
        try node.write("web.yaml", node.workload("web"))
        let status: Status
        do { status = try node.start() } catch {  // for whoever runs this on many kernels
          Attachment.record(Array(node.logText.utf8), named: "refusal.txt")
          throw error
        }
        try checkSaid(node, status)
        for name in ["tcp_destroy_sock", "tcp_retransmit_skb"] {
          let isMissing = status.missing.contains { $0.hasPrefix(name + " is missing: ") }
          #expect(status.programs.contains { $0.name == name } != isMissing, "\(name)")
        }
        Attachment.record(Array(JSON.text(status).utf8), named: "kernel.json")
      }
    }

    @Test(arguments: [
      ("tp_btf/tcp_destroy_sock", "tp_btz/tcp_destroy_sock", "tcp_destroy_sock is missing: closed connections"),
      ("iter/udp", "iter/udz", "enrol_udp is missing: UDP sockets"),
    ])
    func `a kernel without one of the features that can be done without is enforced on`(
      name: String, nobodys: String, sentence: String
    ) throws {
      try Node.use { node in
        try node.write("web.yaml", node.workload("web") + PolicyText.egress("web", ports: [8081]))
        let status = try node.start(around: crippled(node, name, nobodys))
        #expect(status.missing.contains { $0.hasPrefix(sentence) }, "\(status.missing)")
        try checkSaid(node, status)
        #expect(status.inForce)
        try node.server("web", 8081)
        let web = try node.client("web")
        #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
      }
    }

    @Test func `a kernel that cannot end a connection drops its packets`() throws {
      try Node.use { node in
        try node.write("web.yaml", node.workload("web") + PolicyText.egress("web", ports: [8082]))
        let status = try node.start(around: crippled(node, "bpf_sock_destroy", "bpf_sock_destroz"))
        #expect(status.missing.contains { $0.hasPrefix("revoke_tcp_even is missing: open connections") })
        try checkSaid(node, status)
        try node.write("web.yaml", node.workload("web") + node.workload("db") + PolicyText.egress("web", ports: [8082]))
        _ = try node.reload()
        try node.server("db", 8082)
        let web = try node.client("web")
        #expect(try web.ask("connect 127.0.0.1 8082") == "ok")
        #expect(try web.ask("send before") == "before")
        try node.write("web.yaml", node.workload("web") + node.workload("db") + PolicyText.egress("web", ports: [8083]))
        #expect(try node.reload().isTaken)
        #expect(try web.ask("send after") == "TIMEOUT")
        #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
      }
    }

    /// In a mount namespace of its own, so that only the agent misses it.
    @Test func `without type information, cgroup2 or bpffs it does not start, and says which`() throws {
      try Node.use { node in
        try node.write("web.yaml", node.workload("web"))
        let cases = [
          ("mount -t tmpfs none /sys/kernel/btf", "kernel: no /sys/kernel/btf/vmlinux: nothing can be enforced; "),
          ("mount -t tmpfs none /sys/fs/bpf", "bpffs \(node.lab.directory): is not on a bpf file system; "),
          (
            "while grep -q ' - cgroup2 ' /proc/self/mountinfo; do umount -l \"$(awk '/ - cgroup2 /{print $5; exit}' "
              + "/proc/self/mountinfo)\"; done",
            "find the mount of cgroup2: ENOENT (mount it: "
          ),
        ]
        for (cripple, says) in cases {
          let answer = try node.lab.run(
            in: "node",
            ["unshare", "-m", "/bin/sh", "-c", "\(cripple); exec \"$@\"", "sh", Node.binary] + node.arguments)
          #expect(answer.status == 2, "\(cripple)")
          #expect(answer.stderr.hasPrefix("weir agent: " + says), "\(answer.stderr)")
          #expect(answer.stderr.split(separator: "\n").count == 1, "\(answer.stderr)")
          #expect(access(node.lab.directory, F_OK) != 0, "\(cripple): something is pinned")
        }
      }
    }

    @Test func `a kernel without one of those that enforcement needs is refused, by name, and left as it was`() throws {
      try Node.use { node in
        try node.write("web.yaml", node.workload("web") + PolicyText.egress("web", ports: [8081]))
        let around = try crippled(node, "cgroup/connect4", "cgrouz/connect4")
        let ended = try node.spawnAgent(around: around).finish()
        #expect(ended.status == 2)
        #expect(node.logText.contains("load program connect4: "), "\(node.logText)")
        #expect(node.logText.contains("and enforcement needs it; boot Linux 6.1 or newer"), "\(node.logText)")
        #expect(node.logText.split(separator: "\n").count == 1, "\(node.logText)")
        #expect(try Lab.attached(node.root) == 0)
      }
    }
  }
}
