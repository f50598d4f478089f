import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Other ways to open a connection than connect() on a TCP socket.
  @Suite struct HolesConnect {
    private func servers(_ lab: Lab) throws {
      try lab.holes()
      for (name, port) in [("api", 18081), ("db", 18082)] as [(String, UInt16)] {
        for address in ["127.0.0.1", "::1"] { try lab.server(in: "shop/\(name)", at: address, port) }
        try lab.server("udp", in: "shop/\(name)", at: "127.0.0.1", port)
      }
    }

    /// Clients and servers put data into the first SYN, without a cookie.
    private func fastOpen(_ lab: Lab) throws {
      let said = try lab.run(in: nil, ["sysctl", "-qw", "net.ipv4.tcp_fastopen=0x607"])
      #expect(said.status == 0, "\(said.stderr)")
    }

    @Test func `TCP Fast Open is judged as connect is`() throws {
      let script = """
        def fast(port):
          s = opened(socket.SOCK_STREAM, '127.0.0.1')
          s.sendto(b'hi', FASTOPEN, ('127.0.0.1', port))
          return s.recv(10)
        for port in (18081, 18082):
          attempt(lambda: fast(port))
          attempt(lambda: tcp(port, options=[(socket.IPPROTO_TCP, 30, 1)]))  # TCP_FASTOPEN_CONNECT
        """
      try Lab.use { lab in
        try servers(lab)
        try fastOpen(lab)
        #expect(try lab.trick(in: "shop/web", script: script) == ["hi", "hi", "EPERM", "EPERM"])
        #expect(try lab.trick(in: "shop/aside", script: script) == ["hi", "hi", "EACCES", "EACCES"])
        try lab.openWeb()
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop/web", script: script) == ["hi", "hi", "hi", "hi"])
      }
    }

    @Test(arguments: [false, true])
    func `a Fast Open whose SYN leaves after a switch is judged by the new generation`(isOpen: Bool) throws {
      let script = """
        s = opened(socket.SOCK_STREAM, '127.0.0.1', options=[(socket.IPPROTO_TCP, 30, 1)])
        s.connect(('127.0.0.1', 18081))  # returns at once, nothing has left
        say('ready'); sys.stdin.readline()
        def rest():
          s.send(b'hi')
          return s.recv(10)
        attempt(rest)
        """
      try Lab.use { lab in
        try servers(lab)
        try fastOpen(lab)
        let web = try lab.trickster(in: "shop/web", script: script)
        if !isOpen { lab.entries.pairs.removeAll { $0.0.subject == 1 && $0.0.peer == 2 } }
        try lab.install()
        #expect(try (web.ask("go") == "hi") == isOpen)
      }
    }

    @Test func `TCP Fast Open to what a proxy judges goes to the proxy`() throws {
      let script = """
        s = opened(socket.SOCK_STREAM, '127.0.0.1')
        s.sendto(b'hi', FASTOPEN, ('127.0.0.1', 18081))
        attempt(lambda: s.recv(10))
        """
      try Lab.use { lab in
        try lab.workload("shop/web", number: 1)
        try lab.workload("shop/api", number: 2, target: 5)
        try lab.proxy("shop/envoy", number: 1, port: 15106)
        lab.entries.pair(subject: 2, .ingress, peer: 0, ports: 2)
        lab.entries.ruling(2, .denied())
        lab.entries.ruling(2, protocol: 6, port: 18081, .proxied(proxy: 1))
        try lab.install()
        try fastOpen(lab)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        let proxy = try lab.proxyProcess(in: "shop/envoy", at: "127.0.0.1", 15106)
        #expect(try lab.trick(in: "shop/web", script: script) == ["hi"])
        #expect(try proxy.line().hasSuffix("127.0.0.1 18081 ok"))
      }
    }

    @Test func `MPTCP is judged as TCP is, at both ends`() throws {
      // 262: IPPROTO_MPTCP. Its subflows are sockets that the kernel makes.
      let serve = """
        s = listen(int(sys.argv[1]), options=[(1, 2, 1)], protocol=262)
        say('ready'); answer(s)
        """
      let script = """
        for port in (18091, 18092):
          for protocol in (0, 262): attempt(lambda: tcp(port, protocol=protocol))
        """
      try Lab.use { lab in
        try lab.holes()
        lab.entries.ruling(2, protocol: 6, port: 18091, .allowed())
        try lab.install()
        _ = try lab.trickster(in: "shop/api", "18091", script: serve)
        _ = try lab.trickster(in: "shop/db", "18092", script: serve)
        #expect(try lab.trick(in: "shop/web", script: script) == ["hi", "hi", "EPERM", "EPERM"])
        #expect(try lab.trick(in: "shop/aside", script: script) == ["hi", "hi", "EACCES", "EACCES"])
        try lab.openWeb()
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop/web", script: script) == ["hi", "hi", "hi", "hi"])
      }
    }

    @Test func `two who connect to each other at once do not enter where they may not`() throws {
      let script = """
        own, peer = int(sys.argv[1]), int(sys.argv[2])
        say('ready'); sys.stdin.readline()
        end, result = time.time() + 4, 'never'
        while time.time() < end and result == 'never':
          s = opened(socket.SOCK_STREAM, '127.0.0.1', options=[(1, 2, 1)], bind=('127.0.0.1', own))
          s.settimeout(1)
          try:
            s.connect(('127.0.0.1', peer)); s.send(b'hi'); result = s.recv(10).decode()
          except OSError: s.close()
        say(result)
        """
      try Lab.use { lab in
        try lab.holes()
        func meet() throws -> [String] {
          let one = try lab.trickster(in: "shop/aside", "40001", "40002", script: script)
          let other = try lab.trickster(in: "shop/db", "40002", "40001", script: script)
          for peer in [one, other] { try peer.write("go\n") }
          return try [one.line(), other.line()]
        }
        #expect(try meet() == ["never", "never"], "neither takes the other")
        try lab.openDatabase()
        #expect(try meet() == ["hi", "hi"], "db takes aside")
      }
    }

    @Test func `io_uring's connect, send and sendmsg are judged, also by its own thread`() throws {
      let script = """
        for flags in (0, Ring.IOPOLL_THREAD):
          ring = Ring(flags)
          for port in (18081, 18082):
            stream, packets = ring.socket(socket.SOCK_STREAM), ring.socket(socket.SOCK_DGRAM)
            attempt(lambda: ring.connect(stream, '127.0.0.1', port))
            attempt(lambda: ring.sendto(packets, b'hi', '127.0.0.1', port))
        """
      try Lab.use { lab in
        try servers(lab)
        try #require(try lab.trick(in: nil, script: "attempt(lambda: Ring() and 'made')") == ["made"], "no io_uring here")
        #expect(try lab.trick(in: "shop/web", script: script) == ["ok", "sent", "EPERM", "EPERM", "ok", "sent", "EPERM", "EPERM"])
        try lab.openWeb()
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop/web", script: script) == ["ok", "sent", "ok", "sent", "ok", "sent", "ok", "sent"])
      }
    }

    @Test func `an IPv6 socket is judged for IPv4 as an IPv4 one, and so is one that listens to both`() throws {
      let script = """
        for host in ('::1', '::ffff:127.0.0.1', '::', '::ffff:0.0.0.0'):
          for port in (18081, 18082): attempt(lambda: tcp(port, host))
        attempt(lambda: tcp(18083)); attempt(lambda: tcp(18083, '::1'))
        """
      let both = """
        s = opened(socket.SOCK_STREAM, '::', options=[(41, 26, 0)], bind=('::', 18083)); s.settimeout(None)
        s.listen(); say('ready'); answer(s)
        """
      try Lab.use { lab in
        try servers(lab)
        _ = try lab.trickster(in: "shop/db", script: both)
        let refused = ["hi", "EPERM", "hi", "EPERM", "hi", "EPERM", "hi", "EPERM", "EPERM", "EPERM"]
        #expect(try lab.trick(in: "shop/web", script: script) == refused)
        try lab.openWeb()
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop/web", script: script) == Array(repeating: "hi", count: 10))
      }
    }

    @Test func `a socket that is disconnected and connected again is judged again`() throws {
      let script = """
        s = opened(socket.SOCK_STREAM, '127.0.0.1')
        for port in (18081, 18082):
          attempt(lambda: s.connect(('127.0.0.1', port)))
          unspecified(s)
        """
      try Lab.use { lab in
        try servers(lab)
        #expect(try lab.trick(in: "shop/web", script: script) == ["ok", "EPERM"])
        try lab.openWeb()
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop/web", script: script) == ["ok", "ok"])
      }
    }

    @Test func `the source address of a bound IPv6 socket is known when it connects`() throws {
      let script = """
        attempt(lambda: tcp(18082, '::1', bind=('fd77::1', 0)))
        attempt(lambda: tcp(18082, '::1'))
        """
      try Lab.use { lab in
        try servers(lab)
        #expect(try lab.run(in: nil, ["ip", "addr", "add", "fd77::1/128", "dev", "lo"]).status == 0)
        // Who comes from fd77::/64 is let in by db, whoever it is.
        try lab.entries.address("fd77::/64", weir_address(workload: 0, identity: 0, class_: 9, subject: 0, cell: 7, target: 0, flags: 0, pad: 0))
        lab.entries.cells.append((weir_cell_key(class_: 4, cell: 7), 9))
        lab.entries.pair(subject: 3, .ingress, peer: 9, ports: 3)
        try lab.install()
        #expect(try lab.trick(in: "shop/aside", script: script) == ["hi", "EACCES"])
      }
    }
  }
}
