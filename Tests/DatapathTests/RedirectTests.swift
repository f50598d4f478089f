import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Redirection to a proxy that asks what every stock proxy asks: SO_ORIGINAL_DST and the peer's address.
  @Suite struct Redirecting {
    /// batch (4) reaches api (2, target 5) on 18081 through proxy 1 on 15106, anybody else not at all.
    private func batchGoesThroughTheProxy(_ lab: Lab) throws {
      try lab.workload("shop/batch", number: 4)
      try lab.workload("shop/api", number: 2, target: 5)
      try lab.proxy("shop/envoy", number: 1, port: 15106)
      try lab.install()
      lab.entries.pair(subject: 2, .ingress, peer: 0, ports: 1)
      lab.entries.pair(subject: 2, .ingress, peer: 4, ports: 2)
      lab.entries.ruling(1, .denied())
      lab.entries.ruling(2, .denied())
      lab.entries.ruling(2, protocol: 6, port: 18081, .proxied(proxy: 1))
    }

    @Test(arguments: [("127.0.0.1", "240.20.0.4"), ("::1", "fd77:6569:7200:0:0:5:0:4")])
    func theProxyIsToldWhoAndWhereto(address: String, caller: String) throws {
      try Lab.use { lab in
        try batchGoesThroughTheProxy(lab)
        let api = try lab.server(in: "shop/api", at: address, 18081)
        let proxy = try lab.proxyProcess(in: "shop/envoy", at: address, 15106)
        let batch = try lab.client(in: "shop/batch")
        #expect(try batch.ask("connect \(address) 18081") == "ok")
        #expect(try batch.ask("send direct") == "direct")
        _ = try api.line()
        try lab.install()
        #expect(try batch.ask("connect \(address) 18081") == "ok")
        #expect(try batch.ask("send hello") == "hello")
        let told = try proxy.line().split(separator: " ")
        #expect(try weir_addr.parse(String(told[0])).word == weir_addr.parse(caller).word)
        #expect(told[1] == address && told[2] == "18081" && told[3] == "ok")
      }
    }

    /// The destination belongs to no workload: only the source's own policy asks, under the ruling's target.
    @Test func aSourcesOwnPolicyIsToldByItsOwnTarget() throws {
      try Lab.use { lab in
        try lab.workload("shop/batch", number: 4)
        try lab.proxy("shop/envoy", number: 1, port: 15106)
        try lab.server(in: nil, at: "127.0.0.1", 18081)
        let proxy = try lab.proxyProcess(in: "shop/envoy", at: "127.0.0.1", 15106)
        try lab.install()
        let batch = try lab.client(in: "shop/batch")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try batch.ask("send direct") == "direct", "no policy, no proxy")
        lab.entries.pair(subject: 4, .egress, peer: 0, ports: 1)
        lab.entries.ruling(1, .allowed())
        lab.entries.ruling(1, protocol: 6, port: 18081, .proxied(proxy: 1, target: 9))
        try lab.datapath().install(lab.entries, generation: try lab.datapath().generation() + 1, audit: false)
        #expect(try batch.ask("send past") != "past", "a connection that went past the proxy ends")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try batch.ask("send hello") == "hello")
        let told = try proxy.line().split(separator: " ")
        #expect(told[0] == "240.36.0.4" && told[1] == "127.0.0.1" && told[2] == "18081" && told[3] == "ok")
        // Something else is asked now: what the proxy judges this connection by is no longer what is to be judged.
        let ruling = weir_ruling.proxied(proxy: 1, target: 10)
        for index in lab.entries.ports.indices where lab.entries.ports[index].value.target == 9 {
          lab.entries.ports[index].value = ruling
        }
        try lab.datapath().install(lab.entries, generation: try lab.datapath().generation() + 1, audit: false)
        #expect(try (lab.datapath().revoke() > 0) == lab.resets())
        #expect(try batch.ask("send again") != "again")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ok")
      }
    }

    @Test func anAuditTurnsToTheProxyAndRefusesNothingWithoutIt() throws {
      try Lab.use { lab in
        try batchGoesThroughTheProxy(lab)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        try lab.install(audit: true)
        let batch = try lab.client(in: "shop/batch")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ok", "nobody listens on the proxy's port")
        #expect(try batch.ask("send straight") == "straight")
        let proxy = try lab.proxyProcess(in: "shop/envoy", at: "127.0.0.1", 15106)
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try batch.ask("send hello") == "hello")
        #expect(try proxy.line().hasPrefix("240.20.0.4 "))
      }
    }

    @Test func theSecondLegIsJudgedAsTheCaller() throws {
      try Lab.use { lab in
        try batchGoesThroughTheProxy(lab)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        let proxy = try lab.proxyProcess(in: "shop/envoy", at: "127.0.0.1", 15106)
        try lab.install()
        let batch = try lab.client(in: "shop/batch")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ok")
        // Before it sends, the caller's identity loses its rule; the proxy still holds the connection.
        lab.entries.pairs.removeAll { $0.key.peer == 4 }
        try lab.datapath().install(lab.entries, generation: try lab.datapath().generation() + 1, audit: false)
        _ = try batch.ask("send hello")
        let told = try proxy.line()
        #expect(told.hasSuffix("ok"), "the leg was dialled before: \(told)")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "EACCES")
      }
    }

    @Test func nobodyElseMayUseTheProxysPort() throws {
      try Lab.use { lab in
        try batchGoesThroughTheProxy(lab)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        _ = try lab.proxyProcess(in: "shop/envoy", at: "127.0.0.1", 15106)
        try lab.install()
        let batch = try lab.client(in: "shop/batch")
        #expect(try batch.ask("connect 127.0.0.1 15106") == "EACCES")
        let stranger = try lab.client(in: nil)
        #expect(try stranger.ask("connect 127.0.0.1 15106") == "TIMEOUT", "from outside the subtree")
        lab.drop()
        try Datapath.detach(directory: lab.directory)
        #expect(try stranger.ask("connect 127.0.0.1 15106") == "ok", "without the programs")
      }
    }

    @Test func withoutTheProxyNothingGetsThrough() throws {
      try Lab.use { lab in
        try batchGoesThroughTheProxy(lab)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        try lab.install()
        let batch = try lab.client(in: "shop/batch")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ECONNREFUSED", "nobody listens on the proxy's port")
        let proxysOwn = try lab.client(in: "shop/envoy")
        #expect(try proxysOwn.ask("connect 127.0.0.1 18081") == "EACCES", "a proxy speaks for itself as nobody")
      }
    }

    @Test func onlyAProxyMaySpeakForOthers() throws {
      try Lab.use { lab in
        try batchGoesThroughTheProxy(lab)
        try lab.install()
        let bind = "import socket; s=socket.socket(); s.setsockopt(0,15,1); s.bind(('240.20.0.4',0)); print(s.getsockname()[0])"
        let proxys = try lab.run(in: "shop/envoy", ["python3", "-c", bind])
        #expect(proxys.stdout == "0.0.0.0\n", "the address is taken away and kept as identity")
        let anothers = try lab.run(in: "shop/batch", ["python3", "-c", bind])
        #expect(anothers.stdout == "240.20.0.4\n", "no hook there: just an address that nobody has")
      }
    }
  }
}
