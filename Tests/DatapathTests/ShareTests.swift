import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Maps that all workloads share: one that wants everything gets its share.
  @Suite struct Shares {
    @Test func `one workload's announcements leave room for another's, and are given back`() throws {
      try Lab.use { lab in
        let (left, right) = try lab.wire()
        try databaseTakesTheAPI(lab)
        try lab.server("udp", in: "shop/db", netns: right, at: "10.77.0.2", 18083)
        try lab.server(in: "shop/db", netns: right, at: "10.77.0.2", 18083)
        try lab.install()
        let flood = try lab.flooder(in: "shop/web", netns: left)
        _ = try flood.ask("announce 10.77.0.2 20000 700", seconds: 60)
        let (had, lost) = (try lab.used(4).entries.0, try lab.used(4).lost.5)
        // Alone it gets a third: as much as half of what is left then.
        #expect(had > 21_000 && had < 22_000, "it has \(had)")
        #expect(lost > 1000, "it lost \(lost)")
        #expect(try lab.lost(WEIR_LOSS_SENDERS) == lost)
        let fill = try lab.datapath().maps().first { $0.name == "senders" }?.entries
        #expect(fill.map(UInt64.init) == had, "the count is that of the entries")

        let api = try lab.client(in: "shop/api", netns: left)
        #expect(try api.ask("datagram 10.77.0.2 18083 q") == "q", "known by its cgroup: its address is nobody's")
        #expect(try api.ask("connect 10.77.0.2 18083") == "ok")
        #expect(try api.ask("send select") == "select")
        #expect(try flood.ask("close") == "0")
        #expect(try lab.used(4).entries.0 == 0, "given back with the sockets")
        #expect(try lab.used(2).entries.0 == 0, "taken when accepted, given back when closed")
      }
    }

    @Test func `an announcement goes when its connection fails, is refused or ends`() throws {
      try Lab.use { lab in
        let (left, right) = try lab.wire()
        try databaseTakesTheAPI(lab)
        try lab.server(in: "shop/db", netns: right, at: "10.77.0.2", 18083)
        let outside = try lab.server(in: nil, netns: right, at: "10.77.0.2", 18084)
        try lab.install()
        let api = try lab.client(in: "shop/api", netns: left)
        #expect(try api.ask("connect 10.77.0.2 18099") == "ECONNREFUSED")
        #expect(try api.ask("connect 10.77.0.2 18084") == "ok")
        #expect(try lab.used(2).entries.0 == 1, "nobody of this node takes it")
        #expect(try api.ask("send x") == "x")
        #expect(try lab.used(2).entries.0 == 0, "but after an answer nobody needs it")
        let web = try lab.client(in: "shop/web", netns: left)
        #expect(try web.ask("connect 10.77.0.2 18083") == "TIMEOUT")
        #expect(try lab.used(4).entries.0 == 1, "it still tries")
        #expect(try web.ask("close") == "ok")
        #expect(try lab.used(4).entries.0 == 0)
        withExtendedLifetime(outside) {}
      }
    }

    @Test func `what nobody took away is tidied when it is too old`() throws {
      try Lab.use { lab in
        let (left, _) = try lab.wire()
        try databaseTakesTheAPI(lab)
        try lab.install()
        #expect(LinkSession.remove(Pins(lab.directory).link("sock_release")) == 0)
        let flood = try lab.flooder(in: "shop/web", netns: left)
        _ = try flood.ask("announce 10.77.0.2 20000 2")
        #expect(try flood.ask("close") == "0")
        let had = try lab.used(4).entries.0
        #expect(had > 50)
        try lab.datapath().tidy()
        #expect(try lab.used(4).entries.0 == had, "it may be on its way")
        sleep(6)
        try lab.datapath().tidy()
        #expect(try lab.used(4).entries.0 == 0)
        #expect(try lab.datapath().maps().first { $0.name == "senders" }?.entries == 0)
      }
    }

    /// db (3) takes port 18083 from api (2) alone; nobody's addresses are declared; web (4) may do nothing.
    private func databaseTakesTheAPI(_ lab: Lab) throws {
      try lab.workload("shop/api", number: 2)
      try lab.workload("shop/db", number: 3)
      try lab.workload("shop/web", number: 4)
      lab.entries.pair(subject: 3, .ingress, peer: 0, ports: 1)
      lab.entries.pair(subject: 3, .ingress, peer: 2, ports: 2)
      lab.entries.ruling(1, .denied())
      lab.entries.ruling(2, .denied())
      for transport in [6, 17] { lab.entries.ruling(2, protocol: transport, port: 18083, .allowed()) }
    }

    @Test func `one workload's refusals leave others their counters and events, and none is lost`() throws {
      try Lab.use { lab in
        for (name, number) in [("api", 2), ("flood", 4)] as [(String, UInt32)] {
          try lab.workload("shop/\(name)", number: number)
          lab.entries.pair(subject: number, .egress, peer: 0, ports: 1)
        }
        lab.entries.ruling(1, .denied())
        try lab.install()
        let flood = try lab.flooder(in: "shop/flood")
        #expect(try flood.ask("refused 127.0.0.1 20000 9000", seconds: 60) == "0")
        let api = try lab.client(in: "shop/api")
        #expect(try api.ask("connect 127.0.0.1 7777") == "EPERM")

        let refusals = try lab.datapath().refusals()
        let floods = refusals.filter { $0.0.source == 4 }
        #expect(floods.reduce(0) { $0 + $1.1 } == 9000)
        #expect(floods.count > 4000 && floods.count < 5000, "it has \(floods.count)")
        #expect(try lab.used(4).entries.2 == UInt64(floods.count))
        #expect(floods.first { $0.0.port == 0 }?.1 ?? 0 > 4000, "the rest is counted together")
        #expect(refusals.first { $0.0.source == 2 && $0.0.port == 7777 }?.1 == 1)
        #expect(try lab.lost(WEIR_LOSS_REFUSALS) == 0)

        var told: [UInt32: Int] = [:]
        try lab.datapath().drainEvents { told[$0.source, default: 0] += 1 }
        #expect(told[2] == 1)
        let lost = try lab.used(4).lost.0
        #expect(lost > 4000 && UInt64(told[4] ?? 0) + lost == 9000, "flood was told \(told[4] ?? 0) times")
        #expect(try lab.lost(WEIR_LOSS_EVENTS) == lost)
      }
    }

    @Test func `one workload's flows leave others their counters`() throws {
      try Lab.use { lab in
        try lab.workload("shop/api", number: 2)
        try lab.workload("shop/flood", number: 4)
        try lab.install()
        let flood = try lab.flooder(in: "shop/flood")
        #expect(try flood.ask("reach 127.0.0.1 20000 9000", seconds: 60) == "9000")
        let api = try lab.flooder(in: "shop/api")
        #expect(try api.ask("reach 127.0.0.1 7777 3") == "3")
        let rows = try lab.datapath().connections()
        let floods = rows.filter { $0.0.source == 4 }
        #expect(floods.reduce(0) { $0 + $1.1.opened } == 9000)
        #expect(floods.count > 4000 && floods.count < 5000, "it has \(floods.count)")
        #expect(floods.first { $0.0.port == 0 }?.1.opened ?? 0 > 4000)
        #expect(Set(rows.filter { $0.0.source == 2 }.map(\.0.port)) == [7777, 7778, 7779])
        #expect(try lab.lost(WEIR_LOSS_CONNECTIONS) == 0)
      }
    }

    @Test func `the counters of a workload that is no more go, and its share with them`() throws {
      try Lab.use { lab in
        for (name, number) in [("api", 2), ("flood", 4)] as [(String, UInt32)] {
          try lab.workload("shop/\(name)", number: number)
        }
        try lab.install()
        let (flood, api) = (try lab.flooder(in: "shop/flood"), try lab.flooder(in: "shop/api"))
        #expect(try flood.ask("reach 127.0.0.1 20000 50") == "50")
        #expect(try api.ask("reach 127.0.0.1 20000 5") == "5")
        for number in [2, 4] as [UInt32] { lab.entries.pair(subject: number, .egress, peer: 0, ports: 1) }
        lab.entries.ruling(1, .denied())
        try lab.install()
        #expect(try flood.ask("refused 127.0.0.1 20000 50") == "0")
        #expect(try lab.used(4).entries.1 == 50 && lab.used(4).entries.2 == 50)
        try lab.datapath().forget(workloads: [4, 9], rules: [])
        #expect(try Set(lab.datapath().connections().map(\.0.source)) == [2])
        #expect(try lab.datapath().refusals().isEmpty)
        #expect(try !lab.datapath().usage().contains { $0.0 == 4 })
        let all = try lab.used(WEIR_EVERYBODY)
        #expect(all.entries.1 == 5 && all.entries.2 == 0)
        #expect(try lab.datapath().maps().first { $0.name == "gone" }?.entries == 0)
        flood.kill()
        #expect(try api.ask("refused 127.0.0.1 20000 1") == "0")
        #expect(try Set(lab.datapath().connections().map(\.0.source)) == [2], "what closes later is counted nowhere")
        #expect(try !lab.datapath().usage().contains { $0.0 == 4 })
      }
    }

    @Test func `what is followed has a budget of its own`() throws {
      try Lab.use { lab in
        try lab.workload("shop/flood", number: 4)
        try lab.install()
        try lab.datapath().set(followers: 1, failOpen: false)
        let flood = try lab.flooder(in: "shop/flood")
        #expect(try flood.ask("reach 127.0.0.1 20000 300") == "300")
        var told = 0
        try lab.datapath().drainEvents { _ in told += 1 }
        #expect(told == 300, "below the budget")
        #expect(try flood.ask("reach 127.0.0.1 20000 12000", seconds: 60) == "12000")
        #expect(try lab.used(4).lost.0 > 0)
      }
    }
  }
}
