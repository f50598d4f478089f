import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Packets that a program makes itself, or sends another way than its destination says.
  @Suite struct HolesPackets {
    /// A device of the lab's namespace whose neighbours 10.9.0.7 and fd09::7 nobody is.
    private func wire(_ lab: Lab) throws {
      for words in [
        "link add d0 type veth peer name d1", "link set d0 up", "link set d1 up", "addr add 10.9.0.1/24 dev d0",
        "addr add fd09::1/64 dev d0 nodad", "neigh replace 10.9.0.7 lladdr 02:00:00:00:00:07 dev d0",
        "neigh replace fd09::7 lladdr 02:00:00:00:00:07 dev d0",
      ] {
        let said = try lab.run(in: nil, ["ip"] + words.split(separator: " ").map(String.init))
        guard said.status == 0 else { throw LabError("ip \(words): \(said.stderr)", code: EIO) }
      }
    }

    @Test func `a route that the sender writes itself leads nowhere`() throws {
      // IP_OPTIONS and IPV6_RTHDR need no capability: to 127.0.0.1 by way of 10.9.0.7, whom web may not reach.
      let script = """
        watch = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); watch.bind(('d1', 0)); watch.settimeout(0.3)
        def left():
          try:
            while True:
              packet = watch.recv(2000)
              if socket.inet_aton('10.9.0.7') in packet[30:34] or socket.inet_pton(10, 'fd09::7') in packet[38:54]: return 'left'
          except socket.timeout: return 'nothing'
        loose = b'\\x83\\x07\\x04' + socket.inet_aton('10.9.0.7') + b'\\0'
        segments = struct.pack('!BBBBBBH', 0, 4, 4, 1, 1, 0, 0) + socket.inet_pton(10, '::1') + socket.inet_pton(10, 'fd09::7')
        def quietly(call, port, host, option):
          try: call(port, host, options=[option])
          except OSError: pass
        for call in (tcp, udp):
          for host, option in (('127.0.0.1', (0, 4, loose)), ('::1', (41, 57, segments))):
            quietly(call, 18081, host, option)
            say(left())
        """
      try Lab.use { lab in
        try lab.holes()
        try wire(lab)
        for kind in ["tcp", "udp"] {
          for address in ["127.0.0.1", "::1"] { try lab.server(kind, in: "shop/api", at: address, 18081) }
        }
        #expect(try lab.trick(in: "shop/web", script: script) == ["nothing", "nothing", "nothing", "nothing"])
        #expect(try lab.refused(WEIR_REASON_MALFORMED) >= 4)
        #expect(try lab.trick(in: nil, script: script) == ["left", "left", "left", "left"], "nobody's do leave")
      }
    }

    @Test func `other IP options change nothing`() throws {
      let script = """
        stamp = b'\\x44\\x0c\\x05\\x00' + bytes(8)
        for port in (18081, 18082):
          attempt(lambda: tcp(port, options=[(0, 4, stamp)]))
          attempt(lambda: udp(port, options=[(0, 4, stamp)]))
        """
      try Lab.use { lab in
        try lab.holes()
        for (name, port) in [("api", 18081), ("db", 18082)] as [(String, UInt16)] {
          for kind in ["tcp", "udp"] { try lab.server(kind, in: "shop/\(name)", at: "127.0.0.1", port) }
        }
        #expect(try lab.trick(in: "shop/web", script: script) == ["hi", "hi", "EPERM", "EPERM"])
      }
    }

    @Test func `a raw socket's datagram is judged by who sends it, whatever source it names`() throws {
      let script = """
        four = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW); six.setsockopt(41, 36, 1)
        for source in (18081, 44444):  # api's own port is the first
          attempt(lambda: four.sendto(ip4(17, datagram4(source, 18082)), ('127.0.0.1', 0)))
          attempt(lambda: six.sendto(ip6(17, datagram6(source, 18082)), ('::1', 0)))
        attempt(lambda: six.sendto(ip6(60, bytes([17, 0, 1, 4, 0, 0, 0, 0]) + datagram6(9, 18082)), ('::1', 0)))
        """
      try Lab.use { lab in
        try lab.holes()
        let hears = """
          s = opened(socket.SOCK_DGRAM, '::', options=[(41, 26, 0)], bind=('::', 18082)); s.settimeout(None); say('ready')
          while True: say(s.recvfrom(100)[1][1])
          """
        let db = try lab.trickster(in: "shop/db", script: hears)
        for address in ["127.0.0.1", "::1"] { try lab.server("udp", in: "shop/api", at: address, 18081) }
        #expect(try lab.trick(in: "shop/web", script: script) == Array(repeating: "EPERM", count: 5))
        #expect(try lab.trick(in: "shop/aside", script: script) == Array(repeating: "EPERM", count: 5))
        try lab.openDatabase()
        #expect(try lab.trick(in: "shop/aside", script: script) == Array(repeating: "sent", count: 5))
        #expect(try db.line() == "18081", "nothing came before")
      }
    }

    @Test func `fragments and headers that cannot be read are refused`() throws {
      let script = """
        four = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW); six.setsockopt(41, 36, 1)
        attempt(lambda: four.sendto(ip4(17, datagram4(1, 18081), fragment=0x2000), ('127.0.0.1', 0)))
        attempt(lambda: four.sendto(ip4(17, bytes(16), fragment=0x2001), ('127.0.0.1', 0)))
        options = bytes([60, 0, 1, 4, 0, 0, 0, 0])
        chain = lambda n: options * (n - 1) + bytes([17, 0, 1, 4, 0, 0, 0, 0]) + datagram6(1, 18081)
        attempt(lambda: six.sendto(ip6(60, chain(5)), ('::1', 0)))
        attempt(lambda: six.sendto(ip6(60, chain(6)), ('::1', 0)))
        attempt(lambda: six.sendto(ip6(44, bytes([17, 0, 0, 8, 0, 0, 0, 1]) + bytes(16)), ('::1', 0)))
        """
      try Lab.use { lab in
        try lab.holes()
        for address in ["127.0.0.1", "::1"] { try lab.server("udp", in: "shop/api", at: address, 18081) }
        #expect(try lab.trick(in: "shop/web", script: script) == ["sent", "EPERM", "sent", "EPERM", "EPERM"])
        #expect(try lab.trick(in: nil, script: script) == ["sent", "sent", "sent", "sent", "sent"])
      }
    }

    @Test func `a packet socket is not seen where it sends; who receives on this node judges`() throws {
      let script = """
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        attempt(lambda: packet.sendto(bytes(12) + b'\\x86\\xdd' + ip6(17, datagram6(44444, 18082)), ('lo', 0x86dd)))
        """
      try Lab.use { lab in
        try lab.holes()
        let hears = """
          s = opened(socket.SOCK_DGRAM, '::1', bind=('::1', 18082)); s.settimeout(None); say('ready')
          while True: say(s.recvfrom(100)[1][1])
          """
        let db = try lab.trickster(in: "shop/db", script: hears)
        #expect(try lab.trick(in: "shop/web", script: script) == ["sent"], "CAP_NET_RAW: nothing refuses it")
        #expect(throws: LabError.self, "db refuses what comes from nobody it knows") { try db.line(seconds: 0.5) }
        try lab.openDatabase()
        let open = try lab.trickster(in: "shop/db", script: hears.replacing("18082", with: "18084"))
        _ = try lab.trick(in: "shop/web", script: script.replacing("18082", with: "18084"))
        #expect(try open.line() == "44444", "web's egress is closed, and yet it arrives")
      }
    }

    @Test func `a namespace that a workload makes is no way out of its cgroup`() throws {
      let script = """
        libc.unshare(0x50000000)  # CLONE_NEWUSER | CLONE_NEWNET
        fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 1))  # SIOCSIFFLAGS: up
        server = listen(18085)
        attempt(lambda: opened(socket.SOCK_STREAM, '127.0.0.1').connect(('127.0.0.1', 18086)))
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        attempt(lambda: raw.sendto(ip4(17, datagram4(1, 18086)), ('127.0.0.1', 0)))
        """
      try Lab.use { lab in
        try lab.holes()
        #expect(try lab.trick(in: "shop/web", script: script) == ["EPERM", "EPERM"])
        #expect(try lab.trick(in: nil, script: script) == ["ECONNREFUSED", "sent"])
      }
    }

    @Test func `nobody believes a source address of the kind that proxies are shown`() throws {
      // IP_TRANSPARENT, with CAP_NET_ADMIN: 240.0.0.2 stands for api where a proxy asks.
      let script = """
        attempt(lambda: udp(18082, options=[(0, 19, 1)], bind=('240.0.0.2', 0)))
        attempt(lambda: udp(18082, '::1', options=[(41, 78, 1)], bind=('fd77:6569:7200::2', 0)))
        """
      try Lab.use { lab in
        try lab.holes()
        for address in ["127.0.0.1", "::1"] { try lab.server("udp", in: "shop/db", at: address, 18082) }
        #expect(try lab.trick(in: "shop/aside", script: script) == ["EACCES", "EACCES"])
        #expect(try lab.trick(in: "shop/web", script: script) == ["EPERM", "EPERM"])
        #expect(try lab.trick(in: "shop/api", script: script) == ["TIMEOUT", "TIMEOUT"], "itself it may, and no answer finds back")
      }
    }

    @Test func `a claimed address changes which ipBlocks contain it, and not who it is`() throws {
      let script = "attempt(lambda: udp(18082, '::1', options=[(41, 78, 1)], bind=('fd77::9', 0)))"  // IPV6_FREEBIND
      try Lab.use { lab in
        try lab.holes()
        let hears = """
          s = opened(socket.SOCK_DGRAM, '::1', bind=('::1', 18082)); s.settimeout(None); say('ready')
          while True: say(s.recvfrom(100)[1][0])
          """
        let db = try lab.trickster(in: "shop/db", script: hears)
        // fd77::9 is api's; the address alone makes nobody api.
        try lab.entries.address("fd77::9", weir_address(workload: 2, identity: 2, class_: 2, subject: 2, cell: 0, target: 0, flags: 0, pad: 0))
        try lab.install()
        #expect(try lab.trick(in: "shop/aside", script: script) == ["EACCES"])
        // A block that holds it is believed: one way, for no answer comes back.
        lab.entries.addresses.removeAll()
        try lab.entries.address("fd77::/64", weir_address(workload: 0, identity: 0, class_: 9, subject: 0, cell: 7, target: 0, flags: 0, pad: 0))
        lab.entries.cells.append((weir_cell_key(class_: 4, cell: 7), 9))
        lab.entries.pair(subject: 3, .ingress, peer: 9, ports: 3)
        try lab.install()
        #expect(try lab.trick(in: "shop/aside", script: script) == ["TIMEOUT"])
        #expect(try db.line() == "fd77::9")
      }
    }
  }
}
