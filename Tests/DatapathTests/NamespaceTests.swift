import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Lab {
  /// Two network namespaces and a wire between them; see `AcrossNamespaces`.
  func wire() throws -> (left: Int32, right: Int32) {
    let (left, right) = (try namespace(), try namespace())
    func ip(_ netns: Int32, _ words: String) throws {
      let said = try run(in: nil, netns: netns, ["ip"] + words.split(separator: " ").map(String.init))
      guard said.status == 0 else { throw LabError("ip \(words): \(said.stderr)", code: EIO) }
    }
    try ip(left, "link add left type veth peer name right netns /proc/\(getpid())/fd/\(right)")
    for (netns, name, number) in [(left, "left", 1), (right, "right", 2)] {
      try ip(netns, "addr add 10.77.0.\(number)/24 dev \(name)")
      try ip(netns, "addr add fd77::\(number)/64 dev \(name) nodad")
      try ip(netns, "link set \(name) up")
    }
    return (left, right)
  }
}

extension Kernel {
  /// Two network namespaces of this node and a wire between them:
  ///
  ///     +---- left ----+            +---- right ---+
  ///     |  10.77.0.1   +--- veth ---+   10.77.0.2  |
  ///     |  fd77::1     |            |   fd77::2    |
  ///     +--------------+            +--------------+
  ///
  /// db (3) is in the right one and takes port 18083 from api (2) alone; nobody's addresses are declared.
  @Suite struct AcrossNamespaces {
    private func databaseTakesTheAPI(_ lab: Lab) throws {
      try lab.workload("shop/api", number: 2)
      try lab.workload("shop/db", number: 3)
      try lab.workload("shop/web", number: 4)
      try lab.install()
      lab.entries.pair(subject: 3, .ingress, peer: 0, ports: 1)
      lab.entries.pair(subject: 3, .ingress, peer: 2, ports: 2)
      lab.entries.ruling(1, .denied())
      lab.entries.ruling(2, .denied())
      lab.entries.ruling(2, protocol: 6, port: 18083, .allowed())
      lab.entries.ruling(2, protocol: 17, port: 18083, .allowed())
    }

    @Test(arguments: ["10.77.0.2", "fd77::2"])
    func aLocalSenderIsKnownByItsCgroupThere(address: String) throws {
      try Lab.use { lab in
        let (left, right) = try lab.wire()
        try databaseTakesTheAPI(lab)
        try lab.server(in: "shop/db", netns: right, at: address, 18083)
        let stranger = try lab.client(in: nil, netns: left)
        // A new link takes a moment before IPv6 neighbours find each other.
        let reached = try (0..<5).contains { _ in try stranger.ask("connect \(address) 18083") == "ok" }
        #expect(reached, "nothing selects db yet")
        try lab.install()
        let api = try lab.client(in: "shop/api", netns: left)
        #expect(try api.ask("connect \(address) 18083") == "ok")
        #expect(try api.ask("send select") == "select")
        let web = try lab.client(in: "shop/web", netns: left)
        #expect(try web.ask("connect \(address) 18083") == "TIMEOUT")
        #expect(try stranger.ask("connect \(address) 18083") == "TIMEOUT")
        let refused = try lab.datapath().refusals().filter { $0.0.destination == 3 }.map(\.0.source)
        #expect(Set(refused) == [0, 4], "the stranger and web")
      }
    }

    @Test func datagramsToo() throws {
      try Lab.use { lab in
        let (left, right) = try lab.wire()
        try databaseTakesTheAPI(lab)
        try lab.server("udp", in: "shop/db", netns: right, at: "10.77.0.2", 18083)
        try lab.install()
        let api = try lab.client(in: "shop/api", netns: left)
        #expect(try api.ask("datagram 10.77.0.2 18083 q") == "q")
        let web = try lab.client(in: "shop/web", netns: left)
        #expect(try web.ask("datagram 10.77.0.2 18083 q") == "TIMEOUT")
      }
    }

    @Test func aRemotePeerIsKnownByItsAddress() throws {
      try Lab.use { lab in
        let (left, right) = try lab.wire()
        try databaseTakesTheAPI(lab)
        // The left side stands for another node: its processes are nobody's here, 10.77.0.1 is declared as api's.
        let api = weir_address(workload: 2, identity: 2, class_: 2, subject: 0, cell: 0, target: 0, flags: 0, pad: 0)
        try lab.entries.address("10.77.0.1", api)
        try lab.server(in: "shop/db", netns: right, at: "10.77.0.2", 18083)
        try lab.install()
        let remote = try lab.client(in: nil, netns: left)
        #expect(try remote.ask("connect 10.77.0.2 18083") == "ok")
        #expect(try remote.ask("send x") == "x")
        lab.entries.addresses.removeAll()
        try lab.install()
        #expect(try remote.ask("connect 10.77.0.2 18083") == "TIMEOUT", "the address is no longer anybody's")
      }
    }
  }
}
