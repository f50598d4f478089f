import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Lab {
  /// What a workload has of the maps that all share, and what was lost of it.
  func used(_ whose: UInt32) throws -> weir_usage {
    try datapath().usage().first { $0.0 == whose }?.1 ?? weir_usage()
  }

  /// What was lost of one kind, of all.
  func lost(_ what: weir_loss) throws -> UInt64 { try datapath().losses()[Int(what.rawValue)] }
}

extension Kernel {
  /// UDP exchanges are on the socket: only its own peers can push one out.
  @Suite struct Exchanges {
    /// db (3) takes port 18083 from api (2) and flood (4), and may ask nobody.
    private func databaseOnlyAnswers(_ lab: Lab) throws {
      try lab.workload("shop/api", number: 2)
      try lab.workload("shop/db", number: 3)
      try lab.workload("shop/flood", number: 4)
      try lab.workload("shop/web", number: 5)
      lab.entries.pair(subject: 3, .egress, peer: 0, ports: 1)
      lab.entries.pair(subject: 3, .ingress, peer: 0, ports: 1)
      for peer in [2, 4] as [UInt32] { lab.entries.pair(subject: 3, .ingress, peer: peer, ports: 2) }
      lab.entries.ruling(1, .denied())
      lab.entries.ruling(2, .denied())
      lab.entries.ruling(2, protocol: 17, port: 18083, .allowed())
    }

    /// Remembers who sent `ask`; obeys `answer` and `to PORT` on its standard input; prints what became of it.
    private let server = """
      import errno, socket, sys, threading
      s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 18083)); asker = None
      s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
      def take():
        global asker
        while True:
          data, peer = s.recvfrom(100)
          if data == b'ask': asker = peer
          if data != b'x': print(data.decode(), flush=True)
      threading.Thread(target=take, daemon=True).start()
      print('ready', flush=True)
      for line in sys.stdin:
        words = line.split()
        try: s.sendto(words[-1].encode(), asker if words[0] == 'answer' else ('127.0.0.1', int(words[1])))
        except OSError as e: print(errno.errorcode[e.errno], flush=True)
        else: print('sent', flush=True)
      """

    /// Sends `ask` from 127.0.0.1:port, then prints what it gets.
    private func asker(_ lab: Lab, in cgroup: String?, port: Int) throws -> Child {
      let script = """
        import errno, socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', \(port))); s.settimeout(2)
        print('ready', flush=True)
        for line in sys.stdin:
          try:
            if line.startswith('ask'): s.sendto(line.strip().encode(), ('127.0.0.1', 18083))
            print(s.recv(100).decode() if line.startswith('get') else 'ok', flush=True)
          except OSError as e: print(errno.errorcode.get(e.errno, 'TIMEOUT'), flush=True)
        """
      let child = try lab.spawn(in: cgroup, ["python3", "-c", script])
      guard try child.line() == "ready" else { throw LabError("asker", code: EPROTO) }
      return child
    }

    @Test func `a flood of peers does not silence the answer to another`() throws {
      try Lab.use { lab in
        try databaseOnlyAnswers(lab)
        try lab.install()
        let db = try lab.spawn(in: "shop/db", ["python3", "-c", server])
        #expect(try db.line() == "ready")
        let api = try asker(lab, in: "shop/api", port: 18100)
        let web = try asker(lab, in: "shop/web", port: 18101)
        #expect(try api.ask("ask") == "ok")
        #expect(try db.line() == "ask")
        #expect(try db.ask("to 18102 unasked") == "EPERM", "db may not ask")
        #expect(try db.ask("answer one") == "sent")
        #expect(try api.ask("get") == "one")

        let flood = try lab.flooder(in: "shop/flood")
        #expect(try flood.ask("peers 127.0.0.1 18083 127.1.0.1 2000") == "2000")
        #expect(try lab.lost(WEIR_LOSS_EXCHANGES) > 1500)
        #expect(try lab.used(4).lost.3 == lab.lost(WEIR_LOSS_EXCHANGES), "it is flood that lost them")
        #expect(try db.ask("answer two") == "sent")
        #expect(try api.ask("get") == "two")
        #expect(try db.ask("to 18101 unasked") == "EPERM", "web may not ask db, so this is no answer")
        #expect(try web.ask("get") == "TIMEOUT")
        #expect(try web.ask("ask") == "EACCES", "refused as before")
      }
    }

    @Test func `an answer to what the socket began arrives though it is flooded`() throws {
      try Lab.use { lab in
        try databaseOnlyAnswers(lab)
        lab.entries.pairs.removeAll { $0.key.subject == 3 && $0.key.direction == WEIR_EGRESS.rawValue }
        try lab.install()
        let db = try lab.spawn(in: "shop/db", ["python3", "-c", server])
        #expect(try db.line() == "ready")
        let stranger = try asker(lab, in: nil, port: 18101)
        #expect(try stranger.ask("ask-unasked") == "ok", "which db does not get")
        #expect(try db.ask("to 18101 question") == "sent")
        #expect(try stranger.ask("get") == "question")
        let flood = try lab.flooder(in: "shop/flood")
        #expect(try flood.ask("peers 127.0.0.1 18083 127.1.0.1 2000") == "2000")
        #expect(try lab.lost(WEIR_LOSS_EXCHANGES) > 1500)
        #expect(try stranger.ask("ask-answer") == "ok")
        #expect(try db.line() == "ask-answer")
      }
    }

    @Test func `a socket that asks more than it can remember loses its own, and it is counted as its own`() throws {
      try Lab.use { lab in
        try databaseOnlyAnswers(lab)
        try lab.install()
        let flood = try lab.flooder(in: "shop/flood")
        #expect(try flood.ask("reach 127.0.0.1 20000 30") == "30")
        #expect(try lab.lost(WEIR_LOSS_EXCHANGES) < 10, "few fall together by chance")
        #expect(try flood.ask("reach 127.0.0.1 20000 200") == "200")
        let lost = try lab.lost(WEIR_LOSS_EXCHANGES)
        #expect(lost > 100)
        #expect(try lab.used(4).lost.3 == lost)
      }
    }

    /// Where the kernel cannot tell it so, it hears it when it sends.
    @Test func `a connected socket whose exchange is refused is told so`() throws {
      try Lab.use { lab in
        try databaseOnlyAnswers(lab)
        try lab.server("udp", in: "shop/db", at: "127.0.0.1", 18083)
        try lab.install()
        let (api, flood) = (try lab.client(in: "shop/api"), try lab.client(in: "shop/flood"))
        for client in [api, flood] {
          #expect(try client.ask("udp 127.0.0.1 18083") == "ok")
          #expect(try client.ask("send one") == "one")
        }
        #expect(try lab.datapath().revoke() == 0)
        lab.entries.pairs.removeAll { $0.key.subject == 3 && $0.key.peer == 2 }
        try lab.install()
        let (resets, said) = (try lab.resets(), try api.ask(lab.resets() ? "recv" : "send two"))
        #expect(said == (resets ? "ECONNABORTED" : "EPERM"))
        #expect(try flood.ask("send two") == "two", "who may goes on")
        #expect(try lab.refused(WEIR_REASON_NO_RULE) == 1)
        #expect(try lab.datapath().revoke() == 0)
      }
    }
  }
}
