import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Whose a socket is when processes move, pass it on, or made it before anybody asked; and what a switch finds under way.
  @Suite struct HolesOwners {
    private func servers(_ lab: Lab) throws {
      try lab.holes()
      try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
      try lab.server(in: "shop/db", at: "127.0.0.1", 18082)
    }

    @Test func `a socket that is passed on stays its maker's`() throws {
      let gives = "s = opened(socket.SOCK_STREAM, '127.0.0.1'); hand_over(sys.argv[1], s)"
      let takes = """
        s = take_over(sys.argv[1])
        attempt(lambda: s.connect(('127.0.0.1', 18082)))
        attempt(lambda: tcp(18082))
        """
      try Lab.use { lab in
        try servers(lab)
        _ = try lab.trickster(in: "shop/api", "\(lab.files)/a", script: gives)
        #expect(try lab.trick(in: "shop/web", "\(lab.files)/a", script: takes) == ["ok", "EPERM"], "api may, web may not")
        _ = try lab.trickster(in: "shop/web", "\(lab.files)/b", script: gives)
        #expect(try lab.trick(in: "shop/api", "\(lab.files)/b", script: takes) == ["EPERM", "hi"])
      }
    }

    @Test func `a connection that is passed on ends when its maker may no longer have it`() throws {
      let gives = """
        s = opened(socket.SOCK_STREAM, '127.0.0.1'); s.connect(('127.0.0.1', 18082)); hand_over(sys.argv[1], s)
        """
      let takes = """
        s = take_over(sys.argv[1]); say('ready')
        for line in sys.stdin:
          s.send(b'hi') if line == 'send\\n' else None
          attempt(lambda: s.recv(10))
        """
      try Lab.use { lab in
        try servers(lab)
        _ = try lab.trickster(in: "shop/api", "\(lab.files)/a", script: gives)
        let web = try lab.trickster(in: "shop/web", "\(lab.files)/a", script: takes)
        #expect(try web.ask("send") == "hi")
        lab.entries.pairs.removeAll { $0.0.subject == 3 && $0.0.peer == 2 }
        try lab.install()
        #expect(try lab.isEnded(web.ask("recv")))
      }
    }

    @Test func `a listener that is passed on takes whom its maker takes, whoever accepts`() throws {
      let gives = "s = listen(18084); hand_over(sys.argv[1], s)"
      let takes = "s = take_over(sys.argv[1]); s.settimeout(None); say('ready'); answer(s)"
      try Lab.use { lab in
        try lab.holes()
        _ = try lab.trickster(in: "shop/db", "\(lab.files)/a", script: gives)
        _ = try lab.trickster(in: "shop/aside", "\(lab.files)/a", script: takes)
        let script = "attempt(lambda: tcp(18084))"
        #expect(try lab.trick(in: "shop/api", script: script) == ["hi"], "db takes api; aside takes nobody")
        #expect(try lab.trick(in: "shop/aside", script: script) == ["EACCES"])
      }
    }

    @Test func `a process that moves leaves its old sockets what they were; its new ones are the new workload's`() throws {
      let script = """
        made, used = opened(socket.SOCK_STREAM, '127.0.0.1'), opened(socket.SOCK_STREAM, '127.0.0.1')
        used.connect(('127.0.0.1', 18082))
        move(sys.argv[1])
        attempt(lambda: made.connect(('127.0.0.1', 18082)))
        used.send(b'hi'); attempt(lambda: used.recv(10))
        attempt(lambda: tcp(18082))
        """
      try Lab.use { lab in
        try servers(lab)
        #expect(try lab.trick(in: "shop/api", "\(lab.root)/shop/web", script: script) == ["ok", "hi", "EPERM"])
        #expect(try lab.trick(in: "shop/api", "\(lab.root)/shop/api", script: script) == ["ok", "hi", "hi"])
      }
    }

    @Test func `a socket made before its process entered a workload is the workload's once it connects or sends`() throws {
      let script = """
        stream, packets = opened(socket.SOCK_STREAM, '127.0.0.1'), opened(socket.SOCK_DGRAM, '127.0.0.1')
        packets.sendto(b'hi', ('127.0.0.1', 18082))
        move(sys.argv[1])
        attempt(lambda: stream.connect(('127.0.0.1', 18082)))
        attempt(lambda: packets.sendto(b'hi', ('127.0.0.1', 18082)))
        """
      try Lab.use { lab in
        try servers(lab)
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop", "\(lab.root)/shop/web", script: script) == ["EPERM", "EPERM"])
        #expect(try lab.trick(in: "shop", "\(lab.root)/shop/api", script: script) == ["ok", "sent"])
      }
    }

    @Test func `what was open before its workload was known is judged when it is`() throws {
      let script = """
        idle = opened(socket.SOCK_STREAM, '127.0.0.1'); idle.connect(('127.0.0.1', 18081))
        listener = listen(18088)
        packets = opened(socket.SOCK_DGRAM, '127.0.0.1'); packets.connect(('127.0.0.1', 18081))
        say('ready')
        for line in sys.stdin:
          if line == 'send\\n': idle.send(b'hi')
          if line != 'packets\\n': attempt(lambda: idle.recv(10))
          if line == 'packets\\n': attempt(lambda: packets.send(b'hi'))
        """
      try Lab.use { lab in
        try lab.server(in: nil, at: "127.0.0.1", 18081)
        try lab.server("udp", in: nil, at: "127.0.0.1", 18081)
        try lab.install()
        let web = try lab.trickster(in: "shop/web", script: script)
        #expect(try web.ask("idle") == "TIMEOUT")
        #expect(try web.ask("packets") == "sent")
        let caller = try lab.client(in: nil)
        #expect(try caller.ask("connect 127.0.0.1 18088") == "ok")
        try lab.workload("shop/web", number: 1)
        for side in [Entries.Side.egress, .ingress] { lab.entries.pair(subject: 1, side, peer: 0, ports: 1) }
        lab.entries.ruling(1, .denied())
        try lab.install()
        // Which end opened it is known with its first packet, which goes nowhere.
        #expect(try web.ask("send") == "TIMEOUT")
        try lab.datapath().revoke()
        #expect(try lab.isEnded(web.ask("idle")))
        #expect(try web.ask("packets") == "EPERM")
        #expect(try caller.ask("connect 127.0.0.1 18088") == "TIMEOUT")
      }
    }

    @Test(arguments: [false, true])
    func `a connect that waits is answered by the generation that comes meanwhile`(isOpened: Bool) throws {
      let script = """
        s = opened(socket.SOCK_STREAM, '127.0.0.1'); s.settimeout(4)
        say('ready')
        attempt(lambda: s.connect(('127.0.0.1', 18085)))
        """
      try Lab.use { lab in
        try lab.holes()
        // Its listener is of who is not known yet: the SYN is held, and sent again after 1 s.
        try lab.subtree("pods")
        lab.entries.pair(subject: 5, .ingress, peer: 0, ports: isOpened ? 3 : 1)
        try lab.install()
        try lab.server(in: "pods/late", at: "127.0.0.1", 18085)
        let aside = try lab.trickster(in: "shop/api", script: script)
        usleep(200_000)
        try lab.workload("pods/late", number: 5)
        try lab.install()
        if isOpened {
          #expect(try aside.line() == "ok")
        } else {
          #expect(try aside.line() == "TIMEOUT", "its SYNs are refused there, and nobody can tell it")
        }
      }
    }

    @Test func `what waits in a backlog is ended by a switch before anybody accepts it`() throws {
      let script = """
        s = listen(18084, options=[(1, 2, 1)]); say('ready'); sys.stdin.readline()
        s.settimeout(1)
        def first():
          connection, _ = s.accept(); connection.settimeout(1); return connection.recv(10) or 'EOF'
        attempt(first)
        """
      try Lab.use { lab in
        for isClosed in [false, true] {
          lab.entries = Entries()
          try lab.holes()
          let db = try lab.trickster(in: "shop/db", script: script)
          let api = try lab.client(in: "shop/api")
          #expect(try api.ask("connect 127.0.0.1 18084") == "ok")
          if isClosed { lab.entries.pairs.removeAll { $0.0.subject == 3 && $0.0.peer == 2 } }
          try lab.install()
          if !isClosed { try api.write("send hi\n") }
          let said = try db.ask("go")
          #expect(try isClosed ? said == "TIMEOUT" || lab.isEnded(said) : said == "hi", "\(said)")
          db.kill()
          api.kill()
        }
      }
    }
  }
}
