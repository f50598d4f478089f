import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Connections that are closed on one side, or whose program has gone, and that a generation forbids. In TIME_WAIT, and
  /// before a handshake ends, there is no data that could flow. A kernel that cannot end them gives their packets to nobody.
  @Suite struct HalfClosed {
    /// 1 client, 2 server; both are one lab process each and obey lines.
    private let script = """
      import errno, socket, sys
      if sys.argv[1] == 'serve':
        l = socket.socket(); l.bind(('127.0.0.1', 18085)); l.listen(); print('ready', flush=True)
        s, _ = l.accept()
      else:
        s = socket.create_connection(('127.0.0.1', 18085))
      s.settimeout(3)
      print('open', flush=True)
      for line in sys.stdin:
        word = line.strip()
        said = 'ok'
        try:
          if word == 'shut': s.shutdown(socket.SHUT_WR)
          if word == 'send': s.sendall(b'x')
          if word == 'stuff':
            s.setblocking(False)
            try:
              while True: s.send(b'x' * 65536)
            except BlockingIOError: pass
          if word == 'close': s.close()
          if word == 'recv': said = 'data' if s.recv(1 << 20) else 'EOF'
          if word == 'rest':
            total = 0
            while data := s.recv(1 << 20): total += len(data)
            said = 'EOF'
        except socket.timeout: said = 'TIMEOUT'
        except OSError as e: said = errno.errorcode[e.errno]
        print(said, flush=True)
      """

    private func pair(_ lab: Lab) throws -> (client: Child, server: Child) {
      try lab.workload("shop/client", number: 1)
      try lab.workload("shop/server", number: 2)
      try lab.install()
      let server = try lab.spawn(in: "shop/server", ["python3", "-c", script, "serve"])
      #expect(try server.line() == "ready")
      let client = try lab.spawn(in: "shop/client", ["python3", "-c", script, "call"])
      #expect(try client.line() == "open")
      #expect(try server.line() == "open")
      return (client, server)
    }

    private func forbid(_ lab: Lab) throws {
      lab.entries.pair(subject: 2, .ingress, peer: 0, ports: 1)
      lab.entries.ruling(1, .denied())
      try lab.install()
    }

    /// States of the connections on port 18085 (net/tcp_states.h, hexadecimal), without the listener and TIME_WAIT.
    private func states(_ lab: Lab) throws -> [String] {
      try lab.run(in: nil, ["cat", "/proc/net/tcp"]).stdout.split(separator: "\n").dropFirst().compactMap { line in
        let words = line.split(separator: " ")
        guard words.count > 3, (words[1] + words[2]).contains(":46A5") else { return nil }
        return ["0A", "06"].contains(words[3]) ? nil : String(words[3])
      }
    }

    private let ended = ["ECONNRESET", "ECONNABORTED", "EPIPE"]

    @Test(arguments: [true, false])
    func `closed on one side it still carries data, and ends at both ends`(byClient: Bool) throws {
      try Lab.use { lab in
        let (client, server) = try pair(lab)
        let (closing, other) = byClient ? (client, server) : (server, client)
        #expect(try closing.ask("shut") == "ok")
        #expect(try other.ask("recv") == "EOF")
        #expect(try other.ask("send") == "ok")
        #expect(try closing.ask("recv") == "data")
        #expect(try states(lab).sorted() == ["05", "08"], "FIN_WAIT2, CLOSE_WAIT")
        try lab.install()
        #expect(try other.ask("send") == "ok", "allowed again")
        #expect(try closing.ask("recv") == "data")
        try forbid(lab)
        guard try lab.resets() else {
          #expect(try other.ask("send") == "ok", "to its own kernel")
          #expect(try closing.ask("recv") == "TIMEOUT")
          return
        }
        #expect(try states(lab) == [], "at once")
        #expect(try ended.contains(closing.ask("recv")))
        #expect(try ended.contains(other.ask("send")))
      }
    }

    @Test(arguments: [true, false])
    func `one whose program has closed it with unsent data ends, and its peer gets no more`(byClient: Bool) throws {
      try Lab.use { lab in
        let (client, server) = try pair(lab)
        let (closing, other) = byClient ? (client, server) : (server, client)
        #expect(try closing.ask("stuff") == "ok")
        #expect(try closing.ask("close") == "ok")
        #expect(try states(lab).sorted() == ["01", "04"], "ESTABLISHED, FIN_WAIT1 of nobody")
        try forbid(lab)
        guard try lab.resets() else {
          #expect(try other.ask("rest") == "TIMEOUT")
          return
        }
        #expect(try states(lab) == [], "at once")
        #expect(try ended.contains(other.ask("rest")))
      }
    }

    @Test func `the same data arrives where nothing forbids it`() throws {
      try Lab.use { lab in
        let (client, server) = try pair(lab)
        #expect(try client.ask("stuff") == "ok")
        #expect(try client.ask("close") == "ok")
        try lab.install()
        #expect(try server.ask("rest") == "EOF")
      }
    }

    @Test func `an idle one that its program left ends when both have gone`() throws {
      try Lab.use { lab in
        let (client, server) = try pair(lab)
        #expect(try client.ask("stuff") == "ok")
        #expect(try client.ask("close") == "ok")
        #expect(try server.ask("shut") == "ok")
        // Server: FIN sent and acknowledged or on its way; client: nobody's, with data that nobody takes.
        #expect(try states(lab).count == 2)
        try forbid(lab)
        guard try lab.resets() else {
          #expect(try server.ask("rest") == "TIMEOUT")
          return
        }
        #expect(try states(lab) == [])
        #expect(try ended.contains(server.ask("rest")))
      }
    }
  }
}
