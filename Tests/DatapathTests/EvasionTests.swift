import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Ways around the verdict that a hostile reading of the programs found. Each succeeded once.
  @Suite struct Evasions {
    /// web (1) may reach port 18081 of api (2) and nothing else.
    private func webMayReachOnePort(_ lab: Lab) throws {
      try lab.workload("shop/web", number: 1)
      try lab.workload("shop/api", number: 2)
      try lab.workload("shop/db", number: 3)
      lab.entries.pair(subject: 1, .egress, peer: 0, ports: 1)
      lab.entries.pair(subject: 1, .egress, peer: 2, ports: 2)
      lab.entries.ruling(1, .denied())
      lab.entries.ruling(2, .denied())
      lab.entries.ruling(2, protocol: 6, port: 18081, .allowed())
    }

    /// batch (4) reaches api (2) on 18081 through proxy 1 on 15106; everybody else's requests are judged there, too.
    private func everybodyGoesThroughTheProxy(_ lab: Lab) throws {
      try lab.workload("shop/batch", number: 4)
      try lab.workload("shop/api", number: 2, target: 5)
      try lab.workload("shop/rogue", number: 6)
      try lab.proxy("shop/envoy", number: 1, port: 15106)
      lab.entries.pair(subject: 2, .ingress, peer: 0, ports: 2)
      lab.entries.ruling(2, .denied())
      lab.entries.ruling(2, protocol: 6, port: 18081, .proxied(proxy: 1))
    }

    @Test func anAllowedPacketOfARawSocketOpensNothingElse() throws {
      let script = """
        import socket, struct
        def packet(protocol, payload):
          here = socket.inet_aton('127.0.0.1')
          return struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, here, here) + payload
        def udp(port): return packet(17, struct.pack('!HHHH', 40001, port, 8, 0))
        def tcp(port, flags): return packet(6, struct.pack('!HHIIBBHHH', 40002, port, 1, 0, 0x50, flags, 1000, 0, 0))
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for what in (udp(18099), tcp(18081, 2), udp(18099), tcp(22, 2), tcp(18099, 4)):
          try: raw.sendto(what, ('127.0.0.1', 0)); print('sent')
          except OSError as error: print(error.errno)
        """
      try Lab.use { lab in
        try webMayReachOnePort(lab)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        try lab.server("udp", in: "shop/db", at: "127.0.0.1", 18099)
        try lab.install()
        let said = try lab.run(in: "shop/web", ["python3", "-c", script])
        #expect(said.stdout == "1\nsent\n1\n1\n1\n", "only the SYN to api leaves: \(said)")
      }
    }

    @Test func aBoundSocketsUnspecifiedDestinationIsItsOwnAddress() throws {
      let script = """
        import socket
        for to in ('127.0.0.2', '0.0.0.0'):
          s = socket.socket(); s.settimeout(1); s.bind(('127.0.0.2', 0))
          try: s.connect((to, 18081)); print('connected')
          except OSError as error: print(error.errno)
        """
      try Lab.use { lab in
        try webMayReachOnePort(lab)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        try lab.server(in: "shop/db", at: "127.0.0.2", 18081)
        try lab.install()
        #expect(try lab.run(in: "shop/web", ["python3", "-c", script]).stdout == "1\n1\n")
        lab.entries.pair(subject: 1, .egress, peer: 3, ports: 2)
        try lab.install()
        #expect(try lab.run(in: "shop/web", ["python3", "-c", script]).stdout == "connected\nconnected\n")
      }
    }

    @Test func whoTakesTheProxysPortGetsNoConnections() throws {
      try Lab.use { lab in
        try everybodyGoesThroughTheProxy(lab)
        try lab.install()
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        let rogue = try lab.server(in: "shop/rogue", at: "127.0.0.1", 15106)
        let batch = try lab.client(in: "shop/batch")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ECONNREFUSED")
        rogue.kill()
        _ = try lab.proxyProcess(in: "shop/envoy", at: "127.0.0.1", 15106)
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ok")
      }
    }

    @Test func aProxyWithoutAnAddressOfTheFamilyTakesNothingThere() throws {
      try Lab.use { lab in
        try everybodyGoesThroughTheProxy(lab)
        lab.entries.proxies[0].value.addr4 = weir_addr(word: (0, 0, 0, 0))
        try lab.install()
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        _ = try lab.proxyProcess(in: "shop/envoy", at: "127.0.0.1", 15106)
        let batch = try lab.client(in: "shop/batch")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ECONNREFUSED")
      }
    }

    @Test func aProcessOfNoWorkloadIsSpokenForAsNobodyAndDoesNotLoop() throws {
      try Lab.use { lab in
        try everybodyGoesThroughTheProxy(lab)
        try lab.install()
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        let proxy = try lab.proxyProcess(in: "shop/envoy", at: "127.0.0.1", 15106)
        let nobody = try lab.client(in: "shop")
        #expect(try nobody.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try nobody.ask("send hello") == "hello")
        #expect(try proxy.line() == "240.20.0.0 127.0.0.1 18081 ok")
      }
    }

    @Test func aListenerForgetsThatItWasAConnection() throws {
      let script = """
        import ctypes, socket, struct, sys
        s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('127.0.0.1', 18085)); s.connect(('127.0.0.1', 18081))
        ctypes.CDLL(None).connect(s.fileno(), struct.pack('H14x', 0), 16)  # AF_UNSPEC: not connected any more
        s.bind(('127.0.0.1', 18085)) if s.getsockname()[1] != 18085 else None
        s.listen(); print('listening', flush=True)
        sys.stdin.read()
        """
      try Lab.use { lab in
        try webMayReachOnePort(lab)
        lab.entries.pair(subject: 1, .ingress, peer: 0, ports: 1)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        try lab.install()
        let web = try lab.spawn(in: "shop/web", ["python3", "-c", script])
        #expect(try web.line() == "listening")
        let stranger = try lab.client(in: nil)
        #expect(try stranger.ask("connect 127.0.0.1 18085") == "TIMEOUT")
      }
    }
  }
}
