import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Datagrams other than sendto() on a fresh socket.
  @Suite struct HolesDatagrams {
    private func servers(_ lab: Lab) throws {
      try lab.holes()
      try lab.server("udp", in: "shop/api", at: "127.0.0.1", 18081)
      try lab.server("udp", in: "shop/db", at: "127.0.0.1", 18082)
    }

    @Test func `a connected socket that turns to another peer is judged anew, and so is sendto on it`() throws {
      let script = """
        s = opened(socket.SOCK_DGRAM, '127.0.0.1')
        def ask(port): s.connect(('127.0.0.1', port)); s.send(b'hi'); return s.recv(10)
        attempt(lambda: ask(18081)); attempt(lambda: ask(18082))
        attempt(lambda: s.sendto(b'hi', ('127.0.0.1', 18082)))
        unspecified(s)
        attempt(lambda: s.sendto(b'hi', ('127.0.0.1', 18082)))
        """
      try Lab.use { lab in
        try servers(lab)
        #expect(try lab.trick(in: "shop/web", script: script) == ["hi", "EPERM", "EPERM", "EPERM"])
        try lab.openWeb()
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop/web", script: script) == ["hi", "hi", "sent", "sent"])
      }
    }

    @Test func `each datagram of sendmmsg and of a segmented send is judged`() throws {
      let script = """
        s = opened(socket.SOCK_DGRAM, '127.0.0.1')
        api, db = ('127.0.0.1', 18081), ('127.0.0.1', 18082)
        say(sendmmsg(s, b'hi', [api, api, db, api]))
        s.setsockopt(17, 103, 100)  # UDP_SEGMENT
        attempt(lambda: s.sendto(bytes(1000), api)); attempt(lambda: s.sendto(bytes(1000), db))
        """
      try Lab.use { lab in
        try servers(lab)
        #expect(try lab.trick(in: "shop/web", script: script) == ["2", "sent", "EPERM"])
        try lab.openWeb()
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop/web", script: script) == ["4", "sent", "sent"])
      }
    }

    @Test func `a source port that is shared, or named by IP_PKTINFO, makes nobody somebody else`() throws {
      // api's own socket is at 127.0.0.1:18081, and db takes api.
      let script = """
        attempt(lambda: udp(18082, options=[(1, 2, 1)], bind=('127.0.0.1', 18081)))
        s = opened(socket.SOCK_DGRAM, '127.0.0.1', bind=('127.0.0.5', 18081))
        source = struct.pack('=I4s4s', 0, socket.inet_aton('127.0.0.1'), bytes(4))
        attempt(lambda: s.sendmsg([b'hi'], [(0, 8, source)], 0, ('127.0.0.1', 18082)))
        """
      try Lab.use { lab in
        try servers(lab)
        #expect(try lab.trick(in: "shop/aside", script: script) == ["EACCES", "EACCES"])
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop/aside", script: script).last == "sent")
      }
    }

    @Test func `a connected socket with another's source port loses what it may no longer do`() throws {
      let script = """
        s = opened(socket.SOCK_DGRAM, '127.0.0.1', options=[(1, 2, 1)], bind=('127.0.0.1', 18081))
        s.connect(('127.0.0.1', 18082))
        attempt(lambda: s.send(b'hi'))
        say('ready'); sys.stdin.readline()
        attempt(lambda: s.send(b'hi'))
        """
      try Lab.use { lab in
        try servers(lab)
        let closed = lab.entries
        try lab.openDatabase()
        let aside = try lab.spawn(in: "shop/aside", lab.trickWords(script, []))
        #expect(try aside.line() == "sent")
        #expect(try aside.line() == "ready")
        try lab.install(closed)
        let answer = try aside.ask("go")
        // Ended by the sweep, which disconnects it; or refused at its next datagram.
        #expect(["EPERM", "ECONNABORTED", "EDESTADDRREQ"].contains(answer), "\(answer)")
      }
    }

    @Test func `multicast and broadcast are judged at both ends`() throws {
      let hears = """
        s = opened(socket.SOCK_DGRAM, '0.0.0.0', options=[(1, 2, 1)], bind=('', int(sys.argv[1]))); s.settimeout(None)
        s.setsockopt(0, 35, socket.inet_aton('239.7.7.7') + socket.inet_aton('127.0.0.1'))  # IP_ADD_MEMBERSHIP
        say('ready')
        while True: say(s.recv(100).decode())
        """
      let script = """
        s = opened(socket.SOCK_DGRAM, '127.0.0.1', bind=('127.0.0.1', 0))
        s.setsockopt(0, 32, socket.inet_aton('127.0.0.1'))  # IP_MULTICAST_IF
        s.setsockopt(1, 6, 1)  # SO_BROADCAST
        attempt(lambda: s.sendto(sys.argv[1].encode(), ('239.7.7.7', 18087)))
        attempt(lambda: s.sendto(b'b', ('127.255.255.255', 18087)))
        """
      try Lab.use { lab in
        try lab.holes()
        let db = try lab.trickster(in: "shop/db", "18087", script: hears)
        #expect(try lab.trick(in: "shop/web", "web", script: script) == ["EPERM", "EPERM"])
        #expect(try lab.trick(in: "shop/aside", "aside", script: script).first == "sent", "only the receiver minds")
        #expect(try lab.trick(in: "shop/api", "api", script: script).first == "sent")
        #expect(try db.line() == "api", "db takes api, and did not hear aside")
        #expect(try db.line() == "b")
        try lab.openDatabase()
        _ = try lab.trick(in: "shop/aside", "aside", script: script)
        #expect(try db.line() == "aside")
      }
    }

    @Test func `UDP-Lite is judged by its protocol, which no rule about TCP or UDP allows`() throws {
      let script = """
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)
        for port in (18081, 18082): attempt(lambda: s.sendto(b'hi', ('127.0.0.1', port)))
        """
      try Lab.use { lab in
        try servers(lab)
        #expect(try lab.trick(in: "shop/web", script: script) == ["EPERM", "EPERM"])
        try lab.openWeb()
        #expect(try lab.trick(in: "shop/web", script: script) == ["sent", "sent"])
      }
    }

    @Test func `a ping socket is judged by ICMP's type; an error about a workload's own packet comes back to it`() throws {
      let script = """
        s = opened(socket.SOCK_DGRAM, '127.0.0.1', protocol=socket.IPPROTO_ICMP)
        def ping(): s.sendto(bytes([8, 0, 0, 0, 0, 1, 0, 1]) + b'hi', ('127.0.0.1', 0)); return s.recv(100) and 'echo'
        attempt(ping)
        u = opened(socket.SOCK_DGRAM, '127.0.0.1'); u.setsockopt(0, 11, 1)  # IP_RECVERR
        u.connect(('127.0.0.1', 9)); u.send(b'x'); time.sleep(0.1)
        attempt(lambda: u.recv(10))
        """
      try Lab.use { lab in
        try lab.holes()
        #expect(try lab.run(in: nil, ["sysctl", "-qw", "net.ipv4.ping_group_range=0 0"]).status == 0)
        #expect(try lab.trick(in: "shop/aside", script: script) == ["echo", "ECONNREFUSED"], "its ingress takes nothing else")
        lab.entries.pair(subject: 4, .egress, peer: 0, ports: 4)
        lab.entries.ruling(4, .allowed())
        lab.entries.ruling(4, protocol: 1, .denied())
        try lab.install()
        #expect(try lab.trick(in: "shop/aside", script: script) == ["EPERM", "ECONNREFUSED"])
      }
    }
  }
}
