import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Packets at the receiver, and connections that outlive the rule that allowed them.
  @Suite struct Packets {
    /// db (3) takes port 18083 from api (2) and from nobody else.
    private func databaseTakesTheAPI(_ lab: Lab, protocol transport: Int = 6) throws {
      try lab.workload("shop/api", number: 2)
      try lab.workload("shop/db", number: 3)
      try lab.install()
      lab.entries.pair(subject: 3, .ingress, peer: 0, ports: 1)
      lab.entries.pair(subject: 3, .ingress, peer: 2, ports: 2)
      lab.entries.ruling(1, .denied())
      lab.entries.ruling(2, .denied())
      lab.entries.ruling(2, protocol: transport, port: 18083, .allowed())
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func aSourceOverLoopbackIsKnownByItsCgroup(address: String) throws {
      try Lab.use { lab in
        try databaseTakesTheAPI(lab)
        try lab.server(in: "shop/db", at: address, 18083)
        // The stranger is outside the subtree: no connect hook speaks for it, only the receiver's packets.
        let stranger = try lab.client(in: nil)
        #expect(try stranger.ask("connect \(address) 18083") == "ok", "nothing selects db yet")
        try lab.install()
        #expect(try stranger.ask("connect \(address) 18083") == "TIMEOUT")
        let api = try lab.client(in: "shop/api")
        #expect(try api.ask("connect \(address) 18083") == "ok")
        #expect(try api.ask("send select") == "select")
        lab.drop()
        try Datapath.detach(directory: lab.directory)
        #expect(try stranger.ask("connect \(address) 18083") == "ok", "without the programs")
      }
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func datagramsAreJudgedAtTheReceiver(address: String) throws {
      try Lab.use { lab in
        try databaseTakesTheAPI(lab, protocol: 17)
        try lab.server("udp", in: "shop/db", at: address, 18083)
        let stranger = try lab.client(in: nil)
        #expect(try stranger.ask("datagram \(address) 18083 a") == "a")
        try lab.install()
        #expect(try stranger.ask("datagram \(address) 18083 b") == "TIMEOUT")
        let api = try lab.client(in: "shop/api")
        #expect(try api.ask("datagram \(address) 18083 c") == "c")
      }
    }

    @Test func anAnswerNeedsNoRuleOfItsOwn() throws {
      try Lab.use { lab in
        // Both sides isolated both ways: only api -> db:18083/UDP is allowed.
        try databaseTakesTheAPI(lab, protocol: 17)
        lab.entries.pair(subject: 2, .ingress, peer: 0, ports: 1)
        lab.entries.pair(subject: 3, .egress, peer: 0, ports: 1)
        lab.entries.pair(subject: 2, .egress, peer: 0, ports: 1)
        lab.entries.pair(subject: 2, .egress, peer: 3, ports: 2)
        try lab.server("udp", in: "shop/db", at: "127.0.0.1", 18083)
        try lab.install()
        let api = try lab.client(in: "shop/api")
        #expect(try api.ask("datagram 127.0.0.1 18083 q") == "q")
        let database = try lab.client(in: "shop/db")
        #expect(try database.ask("datagram 127.0.0.1 18083 q") == "q", "itself")
        #expect(try database.ask("datagram 127.0.0.1 18084 q") == "EPERM", "it may answer, not ask")
      }
    }

    @Test func anOpenConnectionEndsWhenItIsNoLongerAllowed() throws {
      try Lab.use { lab in
        try databaseTakesTheAPI(lab)
        try lab.server(in: "shop/db", at: "127.0.0.1", 18083)
        try lab.install()
        let allowed = lab.entries
        let api = try lab.client(in: "shop/api")
        let idle = try lab.client(in: "shop/api")
        #expect(try api.ask("connect 127.0.0.1 18083") == "ok")
        #expect(try idle.ask("connect 127.0.0.1 18083") == "ok")
        #expect(try api.ask("send one") == "one")
        try lab.install(allowed)
        #expect(try api.ask("send two") == "two", "a new generation with the same rules breaks nothing")
        lab.entries.pairs.removeAll { $0.key.subject == 3 && $0.key.peer == 2 }
        try lab.install()
        let answer = try api.ask("send three")
        #expect(try lab.ended().contains(answer), "it said \(answer)")
        let quiet = try idle.ask("recv")
        #expect(try lab.ended().contains(quiet), "it said \(quiet)")
      }
    }

    @Test(arguments: [1, 5])
    func aBusyConnectionEndsToo(connections: Int) throws {
      try Lab.use { lab in
        try databaseTakesTheAPI(lab)
        try lab.server(in: "shop/db", at: "127.0.0.1", 18083)
        lab.entries.pair(subject: 2, .egress, peer: 0, ports: 1)
        lab.entries.pair(subject: 2, .egress, peer: 3, ports: 2)
        try lab.install()
        let clients = try (0..<connections).map { _ in try lab.client(in: "shop/api") }
        for client in clients {
          #expect(try client.ask("connect 127.0.0.1 18083") == "ok")
          #expect(try client.ask("pump") == "pumping")
        }
        usleep(50_000)
        lab.entries.pairs.removeAll { $0.key.subject == 2 && $0.key.peer == 3 }
        try lab.install()
        for client in clients {
          let answer = try client.line()
          #expect(try lab.ended().contains(answer), "it said \(answer)")
        }
      }
    }

    @Test func packetsOfARevokedConnectionAreDroppedWithoutTheSweep() throws {
      try Lab.use { lab in
        try databaseTakesTheAPI(lab)
        try lab.server(in: "shop/db", at: "127.0.0.1", 18083)
        let next = try lab.install() + 1
        let api = try lab.client(in: "shop/api")
        #expect(try api.ask("connect 127.0.0.1 18083") == "ok")
        #expect(try api.ask("send one") == "one")
        lab.entries.pairs.removeAll { $0.key.subject == 3 && $0.key.peer == 2 }
        try lab.datapath().install(lab.entries, generation: next, audit: false)
        #expect(try api.ask("send two") == "TIMEOUT")
      }
    }

    @Test func socketsOpenedBeforeEnrolmentAreTheWorkloadsToo() throws {
      try Lab.use { lab in
        // Everything runs before the programs are there.
        try lab.server(in: "shop/db", at: "127.0.0.1", 18083)
        try lab.server("udp", in: "shop/db", at: "127.0.0.1", 18083)
        let api = try lab.client(in: "shop/api")
        #expect(try api.ask("connect 127.0.0.1 18083") == "ok")
        try databaseTakesTheAPI(lab)
        lab.entries.pair(subject: 2, .egress, peer: 0, ports: 1)
        lab.entries.pair(subject: 2, .egress, peer: 3, ports: 2)
        try lab.install()
        #expect(try api.ask("send old") == "old", "an open connection that the rules allow goes on")
        #expect(try api.ask("connect 127.0.0.1 18083") == "ok", "the old listener is known as db")
        #expect(try api.ask("connect 127.0.0.1 18084") == "EPERM")
        let stranger = try lab.client(in: nil)
        #expect(try stranger.ask("connect 127.0.0.1 18083") == "TIMEOUT")
      }
    }

    @Test func anOldConnectionThatTheRulesRefuseStops() throws {
      try Lab.use { lab in
        try lab.server(in: "shop/db", at: "127.0.0.1", 18083)
        let stranger = try lab.client(in: nil)
        #expect(try stranger.ask("connect 127.0.0.1 18083") == "ok")
        #expect(try stranger.ask("send a") == "a")
        try databaseTakesTheAPI(lab)
        try lab.install()
        #expect(try stranger.ask("send b") == "TIMEOUT")
      }
    }

    @Test func bytesAndConnectionsAreCountedExactly() throws {
      try Lab.use { lab in
        try databaseTakesTheAPI(lab)
        try lab.install()
        try lab.server(in: "shop/db", at: "127.0.0.1", 18083)
        let api = try lab.client(in: "shop/api")
        for _ in 0..<5 {
          #expect(try api.ask("connect 127.0.0.1 18083") == "ok")
          #expect(try api.ask("send 0123456789") == "0123456789")
          #expect(try api.ask("close") == "ok")
        }
        usleep(200_000)
        let all = try lab.datapath().connections().filter { $0.0.source == 2 && $0.0.destination == 3 }
        for reporter in [WEIR_REPORTER_SOURCE, WEIR_REPORTER_DESTINATION] {
          let counted = try #require(all.first { $0.0.reporter == UInt8(reporter.rawValue) }?.1)
          #expect(counted.opened == 5 && counted.closed == 5)
          #expect(counted.sent_bytes == 50 && counted.received_bytes == 50)
          #expect(counted.rtt_count >= 5)
        }
        #expect(all.first { $0.0.reporter == UInt8(WEIR_REPORTER_SOURCE.rawValue) }?.1.connect_count == 5)
      }
    }
  }
}
