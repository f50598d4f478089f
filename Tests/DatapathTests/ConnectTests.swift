import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// connect() and sendmsg(): the program is told at once. Every test sees both outcomes: with the rule, and with the
  /// generation before it or without the programs.
  @Suite struct Connecting {
    /// Two workloads; web (1) may reach port 18081 of api (2) and nothing else; api takes whatever comes.
    private func webMayReachOnePort(_ lab: Lab) throws {
      try lab.workload("shop/web", number: 1)
      try lab.workload("shop/api", number: 2)
      try lab.install()
      lab.entries.pair(subject: 1, .egress, peer: 0, ports: 1)
      lab.entries.pair(subject: 1, .egress, peer: 2, ports: 2)
      lab.entries.ruling(1, .denied())
      lab.entries.ruling(2, .denied())
      lab.entries.ruling(2, protocol: 6, port: 18081, .allowed(rule: 7))
      lab.entries.ruling(2, protocol: 17, port: 18081, .allowed(rule: 7))
    }

    @Test(arguments: ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
    func refusedByItsOwnEgressWithEPERM(address: String) throws {
      try Lab.use { lab in
        try webMayReachOnePort(lab)
        let bound = address.contains("ffff") ? "127.0.0.1" : address
        try lab.server(in: "shop/api", at: bound, 18081)
        try lab.server(in: "shop/api", at: bound, 18082)
        let web = try lab.client(in: "shop/web")
        #expect(try web.ask("connect \(address) 18082") == "ok", "nothing selects it yet")
        try lab.install()
        #expect(try web.ask("connect \(address) 18081") == "ok")
        #expect(try web.ask("connect \(address) 18082") == "EPERM")
        lab.drop()
        try Datapath.detach(directory: lab.directory)
        #expect(try web.ask("connect \(address) 18082") == "ok", "without the programs")
      }
    }

    @Test func theUnspecifiedAddressIsThisHost() throws {
      try Lab.use { lab in
        try webMayReachOnePort(lab)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18082)
        try lab.install()
        let web = try lab.client(in: "shop/web")
        #expect(try web.ask("connect 0.0.0.0 18081") == "ok")
        #expect(try web.ask("connect 0.0.0.0 18082") == "EPERM")
      }
    }

    @Test(arguments: ["10.77.1.1", "fd77:1::1"])
    func aPeerAtAnAddressOfTheHostIsKnownByItsCgroup(address: String) throws {
      try Lab.use { lab in
        let netns = try lab.namespace()
        let prefix = address.contains(":") ? "/64 nodad" : "/24"
        let make = "ip link add host type veth peer name wire && ip link set wire up && ip link set host up && "
        let script = make + "ip addr add \(address)\(prefix) dev host"
        #expect(try lab.run(in: nil, netns: netns, ["sh", "-c", script]).status == 0)
        let ask = "import socket; print(int.from_bytes(socket.socket().getsockopt(1, 71, 8), 'little'))"
        let cookie = try lab.run(in: nil, netns: netns, ["python3", "-c", ask]).stdout
        try webMayReachOnePort(lab)
        // A wildcard listener: at an address that is not the host's it would not be the one who answers.
        let any = address.contains(":") ? "::" : "0.0.0.0"
        try lab.server(in: "shop/api", netns: netns, at: any, 18081)
        try lab.server("udp", in: "shop/api", netns: netns, at: any, 18081)
        try lab.install()
        let web = try lab.client(in: "shop/web", netns: netns)
        #expect(try web.ask("connect \(address) 18081") == "EPERM", "not known as the host's yet")
        let namespace = try #require(UInt64(cookie.dropLast()))
        try lab.datapath().setHosts([.parse(address)], namespace: namespace)
        #expect(try web.ask("connect \(address) 18081") == "ok")
        #expect(try web.ask("send hello") == "hello")
        #expect(try web.ask("datagram \(address) 18081 hello") == "hello")
        #expect(try web.ask("connect \(address) 18082") == "EPERM")
        try lab.datapath().setHosts([.parse(address)], namespace: namespace + 1)
        #expect(try web.ask("connect \(address) 18081") == "EPERM", "the host's, in another namespace")
      }
    }

    @Test func aProcessFurtherDownBelongsToTheWorkloadAbove() throws {
      try Lab.use { lab in
        try webMayReachOnePort(lab)
        try lab.server(in: "shop/api/workers/a", at: "127.0.0.1", 18081)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18082)
        try lab.install()
        let web = try lab.client(in: "shop/web/worker/1")
        #expect(try web.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try web.ask("connect 127.0.0.1 18082") == "EPERM")
        let other = try lab.client(in: "shop")
        #expect(try other.ask("connect 127.0.0.1 18082") == "ok", "no workload's process is left alone")
      }
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func datagramsAreRefusedToo(address: String) throws {
      try Lab.use { lab in
        try webMayReachOnePort(lab)
        try lab.server("udp", in: "shop/api", at: address, 18081)
        try lab.server("udp", in: "shop/api", at: address, 18082)
        let web = try lab.client(in: "shop/web")
        #expect(try web.ask("datagram \(address) 18082 a") == "a", "nothing selects it yet")
        try lab.install()
        #expect(try web.ask("datagram \(address) 18081 b") == "b")
        #expect(try web.ask("datagram \(address) 18082 c") == "EPERM")
        #expect(try web.ask("udp \(address) 18082") == "EPERM")
        #expect(try web.ask("udp \(address) 18081") == "ok")
        #expect(try web.ask("send d") == "d")
      }
    }

    @Test func refusedByThePeersIngressWithEACCES() throws {
      try Lab.use { lab in
        try lab.workload("shop/web", number: 1)
        try lab.workload("shop/db", number: 3)
        try lab.server(in: "shop/db", at: "127.0.0.1", 18083)
        let web = try lab.client(in: "shop/web")
        try lab.install()
        #expect(try web.ask("connect 127.0.0.1 18083") == "ok")
        lab.entries.pair(subject: 3, .ingress, peer: 0, ports: 1)
        lab.entries.ruling(1, .denied(rule: 9))
        try lab.install()
        #expect(try web.ask("connect 127.0.0.1 18083") == "EACCES")
        let refusals = try lab.datapath().refusals()
        let refusal = try #require(refusals.first { $0.0.port == 18083 })
        #expect(refusal.0.source == 1 && refusal.0.destination == 3 && refusal.0.rule == 9)
        #expect(refusal.0.direction == UInt8(WEIR_INGRESS.rawValue) && refusal.1 >= 1)
      }
    }

    @Test func auditReportsAndRefusesNothing() throws {
      try Lab.use { lab in
        try webMayReachOnePort(lab)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18082)
        try lab.install(audit: true)
        let web = try lab.client(in: "shop/web")
        #expect(try web.ask("connect 127.0.0.1 18082") == "ok")
        #expect(try web.ask("send hello") == "hello")
        var told: [weir_event] = []
        try lab.datapath().drainEvents { told.append($0) }
        #expect(told.contains { $0.audit == 1 && $0.verdict == UInt8(WEIR_DENIED.rawValue) })
        #expect(try lab.datapath().refusals().isEmpty)
      }
    }
  }
}
