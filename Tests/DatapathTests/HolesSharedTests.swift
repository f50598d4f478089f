import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// One port, several sockets (SO_REUSEPORT): the one that gets the SYN or the datagram is the one that counts.
  @Suite struct HolesShared {
    private let serve = """
      options = [(1, 15, 1)]
      if sys.argv[1] == 'tcp':
        s = listen(18081, options=options); say('ready'); answer(s, sys.argv[2].encode())
      s = opened(socket.SOCK_DGRAM, '127.0.0.1', options=options, bind=('127.0.0.1', 18081)); s.settimeout(None)
      say('ready')
      while True:
        _, caller = s.recvfrom(10)
        try: s.sendto(sys.argv[2].encode(), caller)
        except OSError: pass
      """
    private let call = """
      call = tcp if sys.argv[1] == 'tcp' else udp
      def once(port):
        def body():
          s = opened(socket.SOCK_STREAM if sys.argv[1] == 'tcp' else socket.SOCK_DGRAM, '127.0.0.1'); s.settimeout(0.1)
          s.connect(('127.0.0.1', port)); s.send(b'x'); return s.recv(10)
        return body
      for _ in range(40): attempt(once(18081))
      """

    @Test(arguments: ["tcp", "udp"], [["api", "db"], ["db", "api"]])
    func `of two workloads that share a port only the one that is allowed answers`(kind: String, order: [String]) throws {
      try Lab.use { lab in
        try lab.holes()
        for name in order { _ = try lab.trickster(in: "shop/\(name)", kind, name, script: serve) }
        let said = try lab.trick(in: "shop/web", seconds: 30, kind, script: call)
        #expect(said.contains("api") && !said.contains("db"), "\(said)")
        #expect(kind == "udp" || !said.contains("EPERM"), "connect() cannot know who gets it: \(said)")
        try lab.openWeb()
        try lab.openDatabase()
        #expect(Set(try lab.trick(in: "shop/web", seconds: 30, kind, script: call)) == ["api", "db"])
      }
    }

    @Test(arguments: ["tcp", "udp"])
    func `who shares a port with nobody's process reaches only whom it may`(kind: String) throws {
      try Lab.use { lab in
        try lab.holes()
        for name in ["api", "nobody"] {
          _ = try lab.trickster(in: name == "api" ? "shop/api" : nil, kind, name, script: serve)
        }
        let said = try lab.trick(in: "shop/web", seconds: 30, kind, script: call)
        #expect(said.contains("api") && !said.contains("nobody"), "\(said)")
        try lab.openWeb()
        #expect(Set(try lab.trick(in: "shop/web", seconds: 30, kind, script: call)) == ["api", "nobody"])
      }
    }

    @Test func `a group of one workload refuses at once`() throws {
      try Lab.use { lab in
        try lab.holes()
        for _ in 0..<3 { _ = try lab.trickster(in: "shop/db", "tcp", "db", script: serve) }
        #expect(Set(try lab.trick(in: "shop/web", "tcp", script: call)) == ["EPERM"])
        #expect(Set(try lab.trick(in: "shop/aside", "tcp", script: call)) == ["EACCES"])
        try lab.openDatabase()
        #expect(Set(try lab.trick(in: "shop/aside", "tcp", script: call)) == ["db"])
      }
    }
  }
}
