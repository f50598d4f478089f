import CDatapath
import CLibbpf
import Glibc
import Lab
import Policy
import Testing

@testable import Agent
@testable import Datapath

/// The tables of the generation in force as anybody with the privileges can change them, behind the agent's back.
struct Saboteur {
  let maps: String
  let slot: UInt32

  init(_ node: Node) throws {
    maps = "\(node.lab.directory)/v\(WEIR_LAYOUT)/maps"
    slot = try node.status().generation % UInt32(WEIR_SLOTS)
  }

  private func outer(_ name: String) throws -> Descriptor {
    try Descriptor.adopt(bpf_obj_get("\(maps)/\(name)"), "open", name)
  }

  func table(_ name: String) throws -> Descriptor {
    let outer = try outer(name)
    return try #require(try Tables.inner(of: Map(outer, name: name), slot: slot))
  }

  /// Changes every entry; answers those before.
  func change<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String, _ key: Key.Type, _ value: Value.Type, _ body: (inout Value) -> Void
  ) throws -> [(Key, Value)] {
    let inner = try table(name)
    let map = try Map(inner, name: name)
    let before = try map.entries(Key.self, Value.self)
    for (key, var value) in before {
      body(&value)
      try map.set(key, value)
    }
    return before
  }

  func restore<Key: BitwiseCopyable, Value: BitwiseCopyable>(_ name: String, _ entries: [(Key, Value)]) throws {
    let inner = try table(name)
    let map = try Map(inner, name: name)
    for (key, value) in entries { try map.set(key, value) }
  }

  /// Takes a table out of its slot; answers it.
  func take(_ name: String) throws -> Descriptor {
    let inner = try table(name)
    let outer = try outer(name)
    var slot = slot
    #expect(bpf_map_delete_elem(outer.raw, &slot) == 0)
    return withExtendedLifetime(outer) { inner }
  }

  func put(_ table: Descriptor, back name: String) throws {
    let outer = try outer(name)
    var (slot, raw) = (slot, table.raw)
    #expect(bpf_map_update_elem(outer.raw, &slot, &raw, UInt64(BPF_ANY)) == 0)
    withExtendedLifetime((outer, table)) {}
  }
}

extension EndToEnd {
  private static let policies =
    PolicyText.egress("web", ports: [8081, 8083]) + PolicyText.ingress("db", from: "api", ports: [8083])

  private func judged(_ node: Node) throws {
    try node.write(
      "all.yaml", node.workload("web") + node.workload("api") + node.workload("db") + Self.policies)
    try node.start()
    _ = try eventually("the canary") { try verify(node, "--samples", "1").status == 2 ? nil : true }
  }

  private func verify(_ node: Node, _ words: String...) throws -> (status: Int32, stdout: String, stderr: String) {
    try node.lab.run(
      in: "node", seconds: 60, [Node.binary, "verify", "--run-dir", node.runDirectory] + words)
  }

  private func readyz(_ node: Node) throws -> String {
    try node.lab.run(in: "node", ["curl", "-s", "--noproxy", "*", "http://\(node.metrics)/readyz"]).stdout
  }

  /// What is broken is found by every flow that it concerns, told everywhere, and forgotten when it is undone.
  private func expectFound(
    _ node: Node, _ what: String, says: String, sabotage: () throws -> Void, undo: () throws -> Void
  ) throws {
    #expect(try verify(node, "--all").status == 0, "before \(what)")
    try sabotage()
    let found = try verify(node, "--all")
    #expect(found.status == 1, "\(what): \(found.stdout) \(found.stderr)")
    #expect(found.stdout.contains(says), "\(what): \(found.stdout)")
    #expect(found.stdout.contains(" different (--seed "), "\(what): \(found.stdout)")
    #expect(try readyz(node).hasPrefix("verify: "), "\(what)")
    let status = try node.weir("status", "--run-dir", node.runDirectory)
    #expect(status.status == 1 && status.stdout.contains("different: "), "\(what): \(status.stdout)")
    let said = node.logText.split(separator: "\n").filter { $0.contains("event=verify-different") }
    #expect(!said.isEmpty, "\(what)")
    _ = try verify(node, "--samples", "1")
    let again = node.logText.split(separator: "\n").filter { $0.contains("event=verify-different") }
    #expect(again.count == said.count, "\(what): each once")
    try undo()
    let fine = try verify(node, "--all")
    #expect(fine.status == 0, "after \(what): \(fine.stdout) \(fine.stderr)")
    #expect(try readyz(node).hasPrefix("generation "), "after \(what)")
  }

  @Test func `weir verify tries flows of every outcome and finds them as intended`() throws {
    try Node.use { node in
      try judged(node)
      let answer = try verify(node, "--all", "-o", "json")
      #expect(answer.status == 0, "\(answer.stdout) \(answer.stderr)")
      let all = try verify(node, "--all")
      let generation = try node.status().generation
      #expect(all.stdout.hasPrefix("verified ") && all.stdout.hasSuffix(" as intended\n"), "\(all.stdout)")
      #expect(all.stdout.contains("flows of generation \(generation): "))
      let count = try #require(Int(all.stdout.split(separator: " ")[1]))
      // Three classes among themselves and one who is nobody, four ports, two families.
      #expect(count >= 72, "\(all.stdout)")
      print(all.stdout)
      let sample = try verify(node, "--samples", "8", "--seed", "1")
      #expect(sample.stdout == "verified 8 flows of generation \(generation): 8 as intended\n")

      let scrape = try Scrape(node.scrape())
      #expect(try scrape.value("weir_verify_probes_total", ["result": "as-intended"]) ?? 0 >= Double(count))
      #expect(try scrape.value("weir_verify_probes_total", ["result": "different"]) == 0)
      #expect(try scrape.value("weir_verify_last_success_timestamp_seconds") ?? 0 > 1_600_000_000)
      for metric in ["weir_refused_total", "weir_connections_opened_total"] {
        #expect(scrape.all(metric).isEmpty, "a probe is nobody's traffic: \(scrape.all(metric))")
      }
      #expect(try node.status().refusals.isEmpty)
      _ = try eventually("the counters to be gone") {
        let fills = try node.status().maps.filter { ["connections", "refusals"].contains($0.name) }
        return fills.allSatisfy { $0.entries == 0 } ? true : nil
      }
      let usage = bpf_obj_get("\(node.lab.directory)/v\(WEIR_LAYOUT)/maps/usage")
      defer { close(usage) }
      var (everybody, row) = (WEIR_EVERYBODY, weir_usage())
      #expect(bpf_map_lookup_elem(usage, &everybody, &row) == 0)
      #expect(row.entries.1 == 0 && row.entries.2 == 0, "and nobody's share: \(row.entries)")
      let text = try node.weir("status", "--run-dir", node.runDirectory).stdout
      #expect(text.contains(" flows of generation \(generation) as intended, at 20"), "\(text)")
    }
  }

  @Test func `verify finds rulings that somebody turned around`() throws {
    try Node.use { node in
      try judged(node)
      let saboteur = try Saboteur(node)
      var before: [(weir_ports_key, weir_ruling)] = []
      try expectFound(
        node, "turned rulings", says: "denied-egress",
        sabotage: {
          before = try saboteur.change("ports", weir_ports_key.self, weir_ruling.self) { ruling in
            ruling.verdict = UInt8((ruling.verdict == UInt8(WEIR_DENIED.rawValue) ? WEIR_ALLOWED : WEIR_DENIED).rawValue)
          }
        }, undo: { try saboteur.restore("ports", before) })
    }
  }

  @Test func `verify finds a workload that the kernel takes for another, and one that it has no row for`() throws {
    try Node.use { node in
      try judged(node)
      let saboteur = try Saboteur(node)
      let rows = try saboteur.change("workloads", UInt64.self, weir_workload.self) { _ in }
      let web = try #require(Cgroup.id("\(node.root)/shop/web"))
      let api = try #require(rows.first { $0.0 == Cgroup.id("\(node.root)/shop/api") }?.1)
      try expectFound(
        node, "another's class", says: "shop/web",
        sabotage: {
          let own = rows.filter { $0.0 == web }.map { ($0.0, api) }
          try saboteur.restore("workloads", own)
        }, undo: { try saboteur.restore("workloads", rows) })
      try expectFound(
        node, "no row", says: "the kernel has no row for shop/web",
        sabotage: {
          let inner = try saboteur.table("workloads")
          try Map(inner, name: "workloads").remove(web)
        }, undo: { try saboteur.restore("workloads", rows) })
    }
  }

  @Test func `verify finds a table that is gone`() throws {
    try Node.use { node in
      try judged(node)
      let saboteur = try Saboteur(node)
      var table: Descriptor?
      try expectFound(
        node, "a table", says: "denied-egress", sabotage: { table = try saboteur.take("pairs") },
        undo: { try saboteur.put(try #require(table), back: "pairs") })
    }
  }

  @Test func `verify finds somebody else's program that overrides the answer`() throws {
    try Node.use { node in
      try judged(node)
      // r1 = 0; bpf_set_retval; r0 = 1; exit
      let code: [UInt64] = [0x0000_0000_0000_01b7, 0x0000_00bb_0000_0085, 0x0000_0001_0000_00b7, 0x95]
      var options = bpf_prog_load_opts()
      options.sz = MemoryLayout<bpf_prog_load_opts>.size
      options.expected_attach_type = BPF_CGROUP_INET4_CONNECT
      let program = code.withUnsafeBytes { bytes in
        bpf_prog_load(
          BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "stranger", "GPL",
          bytes.baseAddress?.assumingMemoryBound(to: bpf_insn.self), code.count, &options)
      }
      try #require(program >= 0)
      defer { close(program) }
      let root = try Descriptor.directory(node.root, "open cgroup")
      try expectFound(
        node, "a stranger", says: "no-answer",
        sabotage: {
          #expect(
            bpf_prog_attach(program, root.raw, BPF_CGROUP_INET4_CONNECT, UInt32(BPF_F_ALLOW_MULTI)) == 0)
        }, undo: { #expect(bpf_prog_detach2(program, root.raw, BPF_CGROUP_INET4_CONNECT) == 0) })
    }
  }

  @Test func `a flow whose requests are judged is turned to the proxy, or refused where none takes it`() throws {
    try Node.use { node in
      let policy = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: api, namespace: shop}
        spec: {selector: {matchLabels: {app: api}}, rules: [{to: [{operation: {ports: ["8080"], methods: [GET]}}]}]}

        """
      try node.write("all.yaml", node.workload("web") + node.workload("api") + policy)
      try node.start()
      func outcomes() throws -> Set<String> {
        _ = try eventually("the canary") { try verify(node, "--samples", "1").status == 2 ? nil : true }
        let answer = try verify(node, "--all")
        #expect(answer.status == 0, "\(answer.stdout) \(answer.stderr)")
        let client = try node.client("web")
        try? node.server("api", 8080)
        return [try client.ask("connect 127.0.0.1 8080")]
      }
      #expect(try outcomes() == ["EACCES"])
      try node.write(
        "proxy.yaml",
        """
        apiVersion: weir.dev/v1alpha1
        kind: Proxy
        metadata: {name: envoy, namespace: shop}
        spec: {type: Envoy, cgroup: shop/envoy, listen: {addresses: ["127.0.0.1", "::1"], port: 15006}}

        """)
      try node.reload()
      #expect(try outcomes() == ["ECONNREFUSED"])
    }
  }

  @Test func `the agent tries flows by itself, with a refused one among them`() throws {
    try Node.use { node in
      try node.write(
        "all.yaml", node.workload("web") + node.workload("api") + node.workload("db") + Self.policies)
      let first = try node.start().generation
      func run(after generation: UInt32) throws -> VerifyStatus {
        try eventually("a run") {
          let verify = try node.status().verify
          return verify.generation ?? 0 > generation ? verify : nil
        }
      }
      #expect(try run(after: first - 1).probes == 4)
      try node.write("more.yaml", PolicyText.egress("api", ports: []))
      let second = try node.reload().status.generation
      #expect(try run(after: first).generation == second)
      #expect(try node.status().verify.differences.isEmpty)
    }
  }

  @Test func `a switch in the middle voids what was tried, and the answer is of one generation`() throws {
    try Node.use { node in
      try judged(node)
      let before = try node.status().generation
      let run = try node.lab.spawn(
        in: "node", [Node.binary, "verify", "--all", "--run-dir", node.runDirectory])
      usleep(300_000)
      try node.write("more.yaml", PolicyText.egress("api", ports: []))
      let after = try node.reload().status.generation
      let answer = try run.finish(seconds: 60)
      #expect(after > before)
      #expect(answer.status == 0, "\(answer.stdout) \(answer.stderr)")
      #expect(answer.stdout.contains("flows of generation \(after): "), "\(answer.stdout)")
    }
  }

  @Test func `the canary ends with the agent, however that ends, and its cgroups go`() throws {
    try Node.use { node in
      try judged(node)
      let above = "\(node.root)/weir-canary"
      #expect(names(in: above, directories: true) == ["destination", "source"])
      let cgroup = try node.lab.cgroup("node")
      func canaries() -> Int {
        (Cgroup.processes(cgroup) + Cgroup.processes("\(above)/source") + Cgroup.processes("\(above)/destination"))
          .count { (readFile("/proc/\($0)/cmdline") ?? "").hasPrefix("weir\0canary\0") }
      }
      #expect(canaries() == 1)
      node.killAgent()
      _ = try eventually("the canary to end") { canaries() == 0 ? true : nil }
      try node.start()
      _ = try eventually("the canary") { try verify(node, "--samples", "1").status == 0 ? true : nil }
      #expect(canaries() == 1)
      #expect(try node.stopAgent() == 0)
      #expect(canaries() == 0)
      #expect(!Files.exists(above))
    }
  }

  @Test func `with --no-verify there is no canary, and weir verify says so`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web") + node.workload("api") + Self.policies)
      node.options = ["--no-verify"]
      try node.start()
      let answer = try verify(node)
      #expect(answer.status == 2)
      #expect(answer.stderr == "weir verify: not verified: the agent runs with --no-verify\n")
      #expect(try node.status().verify.unavailable == "turned off with --no-verify")
      #expect(try node.weir("status", "--run-dir", node.runDirectory).status == 0)
      #expect(!Files.exists("\(node.root)/weir-canary"))
      #expect(try Scrape(node.scrape()).value("weir_verify_probes_total", ["result": "different"]) == nil)
    }
  }

  @Test func `where no network namespace can be made weir verify says so, and all else works`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web") + node.workload("api") + Self.policies)
      try node.start(around: ["python3", Files.directory(of: #filePath) + "/confine.py"])
      let why = "make a network namespace of its own: EPERM; the next start of the agent starts it again"
      _ = try eventually("the canary's word") { try node.status().verify.unavailable == why ? true : nil }
      let answer = try verify(node)
      #expect(answer.status == 2)
      #expect(answer.stderr == "weir verify: not verified: \(why)\n")
      #expect(node.logText.contains("event=verify-unavailable"))
      #expect(try node.status().generation == 1)
    }
  }
}

extension EndToEnd {
  @Test func `the commands of docs/verify.md answer what is written there`() throws {
    try Node.use { node in
      let here = Files.directory(of: #filePath)
      let top = "\(here)/../../.."
      for path in ["shop/web", "shop/db", "lab/tool"] { _ = try node.lab.cgroup("judged/\(path)") }
      try node.start(policies: ["\(top)/examples/default-deny/policies"])
      _ = try eventually("the first run") { try node.status().verify.at }
      let text = try #require(readFile("\(top)/docs/verify.md"))
      let begin = try #require(text.firstRange(of: "```console\n")).upperBound
      let block = text[begin...].prefix(upTo: try #require(text[begin...].firstRange(of: "```")).lowerBound)
      var commands: [(command: Substring, answer: String)] = []
      for line in block.split(separator: "\n") {
        if line.hasPrefix("$ ") {
          commands.append((line.dropFirst(2), ""))
        } else {
          commands[commands.count - 1].answer += line + "\n"
        }
      }
      #expect(commands.count == 3)
      for (command, answer) in commands {
        let given = try node.lab.run(
          in: "node", seconds: 60,
          [
            "/bin/sh", "-c", "PATH=$1:$PATH RUN=$2; export PATH; eval \"$3\"", "sh", Files.directory(of: Node.binary),
            node.runDirectory, String(command),
          ])
        #expect(given.stdout == answer && given.status == 0, "\(command): \(given.stderr)")
      }
    }
  }
}
