import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

/// What runs a command with these capabilities, as uid 0, and no others.
func withOnly(_ capabilities: String...) -> [String] {
  ["setpriv", "--bounding-set=-all," + capabilities.map { "+\($0)" }.joined(separator: ","), "--inh-caps=-all"]
}

extension EndToEnd {
  /// The fields of /proc/PID/task/TID/status of each thread.
  private func threads(of pid: pid_t) -> [[String: String]] {
    Files.names(in: "/proc/\(pid)/task").map { thread in
      var fields: [String: String] = [:]
      for line in (readFile("/proc/\(pid)/task/\(thread)/status") ?? "").split(separator: "\n") {
        let parts = line.split(separator: "\t", maxSplits: 1)
        if parts.count == 2 { fields[String(parts[0].dropLast())] = String(parts[1]) }
      }
      return fields
    }
  }

  private static let none = "0000000000000000"
  /// CAP_BPF, bit 39, alone.
  private static let bpf = "0000008000000000"

  @Test func `an agent started as root keeps CAP_BPF, gets no new privileges and has its system calls filtered`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web"))
      let started = try node.start()
      let threads = threads(of: started.pid)
      #expect(!threads.isEmpty)
      for thread in threads {
        for set in ["CapEff", "CapPrm", "CapBnd"] { #expect(thread[set] == Self.bpf, "\(set)") }
        for set in ["CapInh", "CapAmb"] { #expect(thread[set] == Self.none, "\(set)") }
        #expect(thread["NoNewPrivs"] == "1" && thread["Seccomp"] == "2")
      }
      let said = try #require(try node.status().privileges)
      #expect(said.capabilities == ["CAP_BPF"] && said.bounding == ["CAP_BPF"])
      #expect(said.noNewPrivileges && said.seccomp)
      let text = try node.weir("status", "--run-dir", node.runDirectory).stdout
      #expect(text.contains("CAP_BPF, no new ones, system calls filtered\n"), "\(text)")
    }
  }

  @Test func `what is kept and what is filtered follows the settings`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web"))
      node.options = ["--enter-namespaces", "--no-seccomp"]
      let said = try #require(try node.start().privileges)
      #expect(said.capabilities == ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_BPF"])
      #expect(said.noNewPrivileges && !said.seccomp)
      let refused = try node.lab.run(
        in: "node", withOnly("bpf", "net_admin", "perfmon", "sys_admin") + [Node.binary] + node.arguments)
      #expect(
        refused.stderr == "weir agent: --enter-namespaces: EPERM: CAP_SYS_PTRACE is missing; grant CAP_SYS_ADMIN and "
          + "CAP_SYS_PTRACE, or leave it out\n")
      #expect(refused.status == 2)
    }
  }

  @Test func `three capabilities are enough to start, and a proxy that comes later gets its programs without them`() throws {
    try Node.use { node in
      let policy = PolicyText.egress("web", ports: [8081])
      try node.write("all.yaml", node.workload("web") + node.workload("api") + policy)
      for port: UInt16 in [8081, 8082] { try node.server("api", port) }
      let first = try node.start(around: withOnly("bpf", "net_admin", "perfmon"))
      #expect(first.inForce && first.programs.allSatisfy(\.effective))
      #expect(first.maps.contains { $0.name == "pairs" }, "the generation's tables are shown")
      let held = try #require(threads(of: first.pid).first)
      #expect(held["CapPrm"] == Self.bpf && held["CapEff"] == Self.bpf && held["NoNewPrivs"] == "1")
      let web = try node.client("web")
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok")

      _ = try node.lab.cgroup("judged/shop/envoy")
      try node.write(
        "proxy.yaml",
        """
        apiVersion: weir.dev/v1alpha1
        kind: Proxy
        metadata: {name: envoy, namespace: shop}
        spec: {type: Envoy, cgroup: shop/envoy, listen: {addresses: ["127.0.0.1"], port: 15006}}
        """)
      let second = try node.reload()
      #expect(second.isTaken && second.status.generation == first.generation + 1, "\(second.status.failure ?? "")")
      let added = Set(second.status.programs.map(\.name)).subtracting(first.programs.map(\.name))
      #expect(added == ["bind4", "bind6", "getpeername4", "getpeername6", "getsockopt", "setsockopt"])

      // The connection that was open is ended, by an iterator that this process started without CAP_PERFMON.
      try node.write("all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8083]))
      #expect(try node.reload().isTaken)
      let resets = try node.resets()
      #expect(node.logText.contains("revoked=\(resets ? 1 : 0)"))
      #expect(resets == ["ECONNABORTED", "ECONNRESET", "EPIPE"].contains(try web.ask("send x")))
      #expect(try node.scrape().contains("weir_generation 3\n"))
    }
  }

  @Test func `without any capability all goes on but a new generation`() throws {
    try Node.use { node in
      try node.write(
        "all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081]))
      for port: UInt16 in [8081, 8082] { try node.server("api", port) }
      var configuration = Configuration(policies: [node.policies], cgroupRoot: node.root)
      configuration.bpffs = node.lab.directory
      configuration.runDirectory = node.runDirectory
      configuration.metrics = "127.0.0.1:0"
      let socket = configuration.socket
      try Bare.run(configuration) {
        let before = try node.status()
        #expect(before.inForce && before.privileges?.capabilities == [])
        #expect(before.programs.allSatisfy(\.effective) && before.maps.contains { $0.name == "refusals" })
        let web = try node.client("web")
        #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
        #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
        _ = try eventually("the event") {
          try node.status().refusals.contains { $0.port == 8082 } ? true : nil
        }
        #expect(try UnixConnection.exchange(socket, "GET", "/workloads", milliseconds: 5000).status == 200)

        try node.write("all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8082]))
        let after = try node.reload()
        #expect(!after.isTaken && after.status.generation == before.generation && !after.status.inForce)
        let said = try #require(after.status.failure)
        #expect(said.hasPrefix("create table ") && said.hasSuffix(
          ": EPERM (a new generation needs CAP_BPF; the generation in force stays)"), "\(said)")
        #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM", "the old generation is in force")
        #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
      }
    }
  }

  @Test(arguments: [true, false])
  func `in another network namespace a forbidden connection is reset if it may be entered, and starved if not`(
    enters: Bool
  ) throws {
    try Node.use { node in
      if enters { node.options = ["--enter-namespaces"] }
      let inventory = try node.workload("web") + node.workload("api")
      try node.write("all.yaml", inventory + PolicyText.egress("web", ports: [8081]))
      try node.start()
      let there = try node.lab.namespace()
      try node.lab.server(in: "judged/shop/api", netns: there, at: "127.0.0.1", 8081)
      let web = try node.lab.client(in: "judged/shop/web", netns: there)
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
      #expect(try web.ask("send x") == "x")
      try node.write("all.yaml", inventory + PolicyText.egress("web", ports: []))
      #expect(try node.reload().isTaken)
      let resets = try enters && node.resets()
      #expect(node.logText.contains("revoked=\(resets ? 1 : 0)"))
      let answer = try web.ask("send y")
      #expect(resets ? ["ECONNABORTED", "ECONNRESET", "EPIPE"].contains(answer) : answer == "TIMEOUT", "\(answer)")
      // Where nothing can be ended, no namespace is entered for it.
      let isLeftOut = try !enters && node.resets()
      if isLeftOut { _ = try eventually("it to be said") { node.logText.contains("namespaces-not-entered") ? true : nil } }
      // Not again with the next look.
      try node.write("all.yaml", inventory + PolicyText.egress("web", ports: [8082]))
      #expect(try node.reload().isTaken)
      usleep(1_200_000)
      #expect(try node.status().namespacesNotEntered == (isLeftOut ? 1 : 0))
      let said = node.logText.split(separator: "\n").count { $0.contains("event=namespaces-not-entered namespaces=1") }
      #expect(said == (isLeftOut ? 1 : 0))
    }
  }

  @Test func `only root and the agent's user are answered on the status socket`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web"))
      try node.start()
      let socket = "\(node.runDirectory)/weir.sock"
      func curl(as user: String) throws -> String {
        try node.lab.run(
          in: "node",
          [
            "setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups", "curl", "-s", "-o", "/dev/null", "-w",
            "%{http_code}", "--unix-socket", socket, "http://weir/status",
          ]
        ).stdout
      }
      #expect(try curl(as: "65534") == "000", "the mode alone keeps others out")
      chmod(node.runDirectory, 0o755)
      chmod(socket, 0o666)
      #expect(try curl(as: "0") == "200")
      #expect(try curl(as: "65534") == "403")
      #expect(try curl(as: "65534") == "403")
      #expect(try curl(as: "0") == "200", "afterwards")
      #expect(node.logText.split(separator: "\n").count { $0.contains("event=stranger-refused uid=65534") } == 1)
      #expect(try node.scrape().contains("weir_status_requests_refused_total 2\n"))
    }
  }
}

/// An agent in this process, on a thread of its own, that gives up every capability after its first generation.
private enum Bare {
  static func run(_ configuration: Configuration, _ body: () throws -> Void) throws {
    let stop = Flag()
    let thread = Flag()
    var handle = pthread_t()
    let context = Unmanaged.passRetained(Context(configuration: configuration, stop: stop, ended: thread))
    let code = pthread_create(
      &handle, nil,
      { context in
        if let context { Unmanaged<Context>.fromOpaque(context).takeRetainedValue().run() }
        return nil
      }, context.toOpaque())
    guard code == 0 else { throw LabError("start a thread", code: code) }
    defer {
      stop.raise()
      pthread_join(handle, nil)
    }
    _ = try eventually("the agent to answer") {
      // On a slow machine it may listen for long before it is done with the first generation, and answers.
      let answer = try? UnixConnection.exchange(configuration.socket, "GET", "/status", milliseconds: 5000)
      return thread.isUp || answer?.status == 200 ? true : nil
    }
    try body()
  }

  private final class Context {
    let configuration: Configuration
    let stop: Flag
    let ended: Flag

    init(configuration: Configuration, stop: Flag, ended: Flag) {
      (self.configuration, self.stop, self.ended) = (configuration, stop, ended)
    }

    func run() {
      defer { ended.raise() }
      do {
        let agent = try Agent(configuration)
        agent.reload("start")
        try Privileges.keep([])
        agent.isConfined = true  // and more than that; a filter would be for all threads of the tests
        agent.loop.every(milliseconds: 20) { [stop, loop = agent.loop] in if stop.isUp { loop.stop() } }
        agent.loop.run()
      } catch {
        // Nothing recorded on a thread of one's own is any test's.
        print("the agent ended: \(error)")
      }
    }
  }
}
