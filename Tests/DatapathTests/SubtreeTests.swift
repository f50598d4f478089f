import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Lab {
  /// Makes a cgroup a managed subtree.
  func subtree(_ cgroup: String, flags: weir_flag = weir_flag(0)) throws {
    let path = try self.cgroup(cgroup)
    guard let id = Cgroup.id(path) else { throw LabError("stat \(path)") }
    let row = weir_workload(
      workload: 0, identity: 0, class_: 0, target: 0, kind: UInt8(WEIR_KIND_SUBTREE.rawValue), proxy: 0,
      flags: UInt8(flags.rawValue), pad: (0, 0, 0))
    entries.workloads.append((id, row))
  }

  /// How often connects, datagrams and SYNs were refused for this reason.
  func refused(_ reason: weir_reason) throws -> UInt64 {
    try datapath().refusals().filter { $0.0.reason == UInt8(reason.rawValue) }.reduce(0) { $0 + $1.1 }
  }
}

extension Kernel {
  /// What a managed subtree asks for: who is not identified is refused, audit, and the fail mode.
  @Suite struct Subtrees {
    /// db (2) outside the subtree takes whatever comes, TCP and UDP.
    private func database(_ lab: Lab) throws {
      try lab.workload("shop/db", number: 2)
      try lab.server(in: "shop/db", at: "127.0.0.1", 18081)
      try lab.server("udp", in: "shop/db", at: "127.0.0.1", 18081)
    }

    @Test func `a process that is no workload's yet is refused with what programs try again on`() throws {
      try Lab.use { lab in
        try database(lab)
        let web = try lab.client(in: "pods/web")
        try lab.install()
        #expect(try web.ask("connect 127.0.0.1 18081") == "ok", "no subtree is managed")
        #expect(try web.ask("close") == "ok")
        try lab.subtree("pods")
        try lab.install()
        #expect(try web.ask("connect 127.0.0.1 18081") == "ECONNREFUSED")
        #expect(try web.ask("datagram 127.0.0.1 18081 hello") == "ECONNREFUSED")
        #expect(try web.ask("udp 127.0.0.1 18081") == "ECONNREFUSED")
        #expect(try lab.refused(WEIR_REASON_UNIDENTIFIED) == 3)
        try lab.workload("pods/web", number: 1)
        try lab.install()
        #expect(try web.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try web.ask("datagram 127.0.0.1 18081 hello") == "hello")
        #expect(try lab.refused(WEIR_REASON_UNIDENTIFIED) == 3)
      }
    }

    @Test func `a socket made before its workload was known is the workload's`() throws {
      try Lab.use { lab in
        try database(lab)
        try lab.subtree("pods")
        try lab.install()
        // Made while nobody knows whose it is; used again after.
        let script = """
          import socket, sys
          made = socket.socket()
          for _ in range(2):
            sys.stdin.readline()
            try: made.connect(('127.0.0.1', 18081)); print('ok', flush=True)
            except OSError as error: print(error.errno, flush=True)
          """
        let web = try lab.spawn(in: "pods/web", ["python3", "-c", script])
        #expect(try web.ask("go") == "111")
        try lab.workload("pods/web", number: 1)
        lab.entries.pair(subject: 1, .egress, peer: 0, ports: 1)
        lab.entries.ruling(1, .denied())
        try lab.install()
        #expect(try web.ask("go") == "1", "EPERM: judged as the workload, whose egress is closed")
      }
    }

    @Test func `a setting of the subtree lets them go`() throws {
      try Lab.use { lab in
        try database(lab)
        try lab.subtree("pods", flags: WEIR_FLAG_ADMIT)
        try lab.install()
        let web = try lab.client(in: "pods/web")
        #expect(try web.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try web.ask("send hello") == "hello")
        #expect(try lab.refused(WEIR_REASON_UNIDENTIFIED) == 0)
        try lab.workload("pods/web", number: 1)
        lab.entries.pair(subject: 1, .egress, peer: 0, ports: 1)
        lab.entries.ruling(1, .denied())
        try lab.install()
        #expect(try web.ask("send hello") == "TIMEOUT", "identified, and not allowed")
        #expect(try lab.datapath().revoke() == (lab.resets() ? 1 : 0))
        #expect(try web.ask("recv") == (lab.resets() ? "ECONNABORTED" : "TIMEOUT"))
      }
    }

    @Test func `a nested cgroup belongs to its nearest workload`() throws {
      try Lab.use { lab in
        try database(lab)
        try lab.subtree("pods")
        try lab.workload("pods/web", number: 1)
        try lab.workload("pods/web/inner", number: 3)
        lab.entries.pair(subject: 3, .egress, peer: 0, ports: 1)
        lab.entries.ruling(1, .denied())
        try lab.install()
        #expect(try lab.client(in: "pods/web/container").ask("connect 127.0.0.1 18081") == "ok")
        #expect(try lab.client(in: "pods/web/inner/container").ask("connect 127.0.0.1 18081") == "EPERM")
        #expect(try lab.client(in: "pods/other").ask("connect 127.0.0.1 18081") == "ECONNREFUSED")
      }
    }

    @Test func `who calls somebody that is not identified waits until it is`() throws {
      try Lab.use { lab in
        try lab.workload("shop/db", number: 2)
        try lab.subtree("pods")
        try lab.install()
        try lab.server(in: "pods/web", at: "127.0.0.1", 18081)
        let db = try lab.client(in: "shop/db")
        #expect(try db.ask("connect 127.0.0.1 18081") == "TIMEOUT")
        #expect(try lab.refused(WEIR_REASON_UNIDENTIFIED) > 0)
        try lab.workload("pods/web", number: 1)
        try lab.install()
        #expect(try db.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try db.ask("send hello") == "hello")
      }
    }

    @Test func `an open connection whose workload is forgotten is held, and goes on when it is known again`() throws {
      try Lab.use { lab in
        try database(lab)
        try lab.subtree("pods")
        let forgotten = lab.entries
        try lab.workload("pods/web", number: 1)
        try lab.install()
        let web = try lab.client(in: "pods/web")
        #expect(try web.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try web.ask("send hello") == "hello")
        let known = lab.entries
        try lab.install(forgotten)
        #expect(try web.ask("send again") == "TIMEOUT")
        try lab.install(known)
        #expect(try web.ask("recv") == "again", "what was sent meanwhile arrives")
        #expect(try web.ask("send hello") == "hello")
      }
    }

    @Test func `an audited subtree's own policy refuses nothing, and says so; its peers' policy stands`() throws {
      try Lab.use { lab in
        try database(lab)
        let audit = UInt8(WEIR_FLAG_AUDIT.rawValue)
        try lab.workload("trial/web", number: 1, flags: audit)
        try lab.workload("shop/web", number: 3)
        for subject in [1, 3] as [UInt32] { lab.entries.pair(subject: subject, .egress, peer: 0, ports: 1) }
        lab.entries.ruling(1, .denied(rule: 9))
        try lab.install()
        let trial = try lab.client(in: "trial/web")
        #expect(try trial.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try trial.ask("send hello") == "hello")
        #expect(try trial.ask("datagram 127.0.0.1 18081 hello") == "hello")
        #expect(try lab.client(in: "shop/web").ask("connect 127.0.0.1 18081") == "EPERM")
        var told = 0
        try lab.datapath().drainEvents { told += $0.source == 1 && $0.audit == 1 && $0.rule == 9 ? 1 : 0 }
        #expect(told >= 2)
        #expect(try lab.refused(WEIR_REASON_NO_RULE) == 1, "what was let through is not counted as refused")
        lab.entries.pair(subject: 2, .ingress, peer: 0, ports: 1)
        try lab.install()
        #expect(try trial.ask("connect 127.0.0.1 18081") == "EACCES", "db is not audited")
      }
    }

    /// Takes a table of the generation in force away, as nobody but a fault does.
    private func lose(_ table: String, _ lab: Lab) throws {
      let slot = try lab.datapath().generation() % UInt32(WEIR_SLOTS)
      try lab.datapath().object.map(table).remove(slot)
    }

    @Test(arguments: ["workloads", "addresses", "pairs", "ports"])
    func `where a table is missing the fail mode of the subtree decides, and each use is counted`(table: String) throws {
      try Lab.use { lab in
        try database(lab)
        try lab.workload("pods/closed", number: 1)
        try lab.workload("pods/open", number: 3, flags: UInt8(WEIR_FLAG_FAIL_OPEN.rawValue))
        for subject in [1, 3] as [UInt32] { lab.entries.pair(subject: subject, .egress, peer: 0, ports: 1) }
        lab.entries.ruling(1, .allowed())
        try lab.install()
        let (closed, open) = (try lab.client(in: "pods/closed"), try lab.client(in: "pods/open"))
        #expect(try closed.ask("connect 127.0.0.1 18081") == "ok")
        try lose(table, lab)
        let whose = ["workloads", "addresses"].contains(table)
        #expect(try closed.ask("connect 127.0.0.1 18081") == "EPERM")
        #expect(try open.ask("connect 127.0.0.1 18081") == (whose ? "EPERM" : "ok"))
        let index = Int(WEIR_REASON_NO_TABLES.rawValue) * 2
        #expect(try lab.datapath().faults()[index] > 0)
        try lab.datapath().set(followers: 0, failOpen: true)
        #expect(try closed.ask("connect 127.0.0.1 18081") == (whose ? "ok" : "EPERM"), "where nobody knows the subtree")
        #expect(try lab.datapath().faults()[index + 1] > 0)
        try lab.install()
        #expect(try closed.ask("connect 127.0.0.1 18081") == "ok", "the next generation heals it")
      }
    }
  }
}
