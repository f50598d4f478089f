import CDatapath
import CLibbpf
import Glibc
import Lab
import Testing

@testable import Datapath

extension Lab {
  /// A datapath of another build on this lab's places, such as of another layout. It keeps the lock while it lives.
  func datapath(_ build: Build) throws -> Datapath {
    try Datapath(directory: directory, cgroupRoot: root, build)
  }

  /// Installs what the lab has gathered and judges open sockets again, as the agent does.
  @discardableResult
  func install(into datapath: Datapath) throws -> UInt32 {
    let next = try datapath.nextGeneration()
    try datapath.install(entries, generation: next, audit: false)
    try datapath.enrol()
    try datapath.revoke()
    return next
  }

  /// web (1) may reach 18081 of api (2) and nothing else.
  func oneOpenPort() throws {
    try workload("shop/web", number: 1)
    try workload("shop/api", number: 2)
    entries.pair(subject: 1, .egress, peer: 0, ports: 1)
    entries.ruling(1, .denied())
    entries.ruling(1, protocol: 6, port: 18081, .allowed(rule: 7))
    try Hammer.serve(self, in: "shop/api")
  }

  /// The layouts that have a directory.
  var layouts: [UInt32] { Pins.layouts(in: directory).map(\.number) }
}

/// Children that say little, however much they do: one that answers at 18081 and 18082, and
/// one that connects to 18081 and 18082 without a pause until its input ends, then says how often what came of it.
enum Hammer {
  private static let server = """
    import socket, threading
    def echo(sock):
        with sock:
            try:
                while data := sock.recv(65536):
                    sock.sendall(data)
            except OSError:
                pass
    def accept(sock):
        while True:
            threading.Thread(target=echo, args=(sock.accept()[0],), daemon=True).start()
    socks = [socket.create_server(("127.0.0.1", port), backlog=256) for port in (18081, 18082)]
    print("ready", flush=True)
    threading.Thread(target=accept, args=(socks[0],), daemon=True).start()
    accept(socks[1])
    """

  static func serve(_ lab: Lab, in cgroup: String) throws {
    let child = try lab.spawn(in: cgroup, ["python3", "-c", server])
    guard try child.line() == "ready" else { throw LabError("server", code: EPROTO) }
  }

  private static let script = """
    import errno, select, socket, struct, sys
    seen = {}
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        for port in (18081, 18082):
            with socket.socket() as sock:
                try:
                    sock.settimeout(1)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME_WAIT
                    sock.connect(("127.0.0.1", port))
                    sock.sendall(b"x")
                    word = "ok" if sock.recv(1) == b"x" else "EOF"
                except OSError as error:
                    word = errno.errorcode.get(error.errno, str(error))
            seen[port, word] = seen.get((port, word), 0) + 1
    print(*(f"{port}:{word}={count}" for (port, word), count in sorted(seen.items())))
    """

  static func start(_ lab: Lab, in cgroup: String) throws -> Child {
    let child = try lab.spawn(in: cgroup, ["python3", "-c", script])
    guard try child.line() == "ready" else { throw LabError("hammer", code: EPROTO) }
    return child
  }

  /// `18081:ok` to how often.
  static func end(_ child: Child) throws -> [String: Int] {
    var counts: [String: Int] = [:]
    for word in try child.finish().stdout.split(whereSeparator: \.isWhitespace) {
      let parts = word.split(separator: "=")
      if parts.count == 2 { counts[String(parts[0])] = Int(parts[1]) }
    }
    return counts
  }
}

extension Trait where Self == ConditionTrait {
  /// The object of `withWider` calls bpf_sock_destroy: in a guest with an older kernel it cannot be loaded.
  static var needsWider: Self { .enabled(if: Build.hasSockDestroy) }
}

/// Hands over a build whose sockets' state differs, compiled beside the real one.
func withWider<Result>(_ body: (Build) throws -> Result) throws -> Result {
  let path = "\(#filePath.components(before: "/Tests/"))/bpf/out/wider.bpf.o"
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0, let bytes = readAll(descriptor) else { throw LabError("open \(path); make bpf") }
  close(descriptor)
  return try bytes.withUnsafeBytes { try body(Build(layout: 991, image: $0)) }
}

extension Kernel {
  /// From the pins of one layout to those of another.
  @Suite struct Upgrades {
    static let here = UInt32(WEIR_LAYOUT)
    private var other: Build { Build(layout: 990) }

    private func widerDatapath(_ lab: Lab) throws -> Datapath { try withWider(lab.datapath) }

    private func mapId(_ lab: Lab, _ layout: UInt32, _ name: String) throws -> UInt32 {
      let map = try Descriptor.adopt(bpf_obj_get("\(Pins(lab.directory, layout: layout).maps)/\(name)"), "open", name)
      var info = bpf_map_info()
      var size = UInt32(MemoryLayout<bpf_map_info>.size)
      try check(bpf_obj_get_info_by_fd(map.raw, &info, &size), "ask", name)
      return info.id
    }

    @Test func `another layout enforces until the first generation is in the new one's tables`() throws {
      try Lab.use { lab in
        try lab.oneOpenPort()
        let web = try lab.client(in: "shop/web")
        #expect(try web.ask("connect 127.0.0.1 18082") == "ok", "without a generation")
        try lab.install()
        try lab.install()
        #expect(try web.ask("connect 127.0.0.1 18081") == "ok")
        lab.drop()
        let before = try Observed.links(lab)
        let sockets = try mapId(lab, Self.here, "sockets")

        let datapath = try lab.datapath(other)
        #expect(datapath.formerLayouts == [Self.here])
        #expect(try datapath.generation() == 2)
        #expect(try Observed.links(lab).mapValues(\.program) == before.mapValues(\.program), "the old programs")
        #expect(try Set(datapath.programs().map(\.programId)) == Set(before.values.map(\.program)))
        let second = try lab.client(in: "shop/web")
        #expect(try second.ask("connect 127.0.0.1 18082") == "EPERM", "by the old programs")

        #expect(try lab.install(into: datapath) == 3)
        #expect(lab.layouts == [990] && datapath.formerLayouts.isEmpty)
        let after = try Observed.links(lab, 990)
        #expect(Set(after.keys) == Set(before.keys))
        for (name, link) in after {
          #expect(link.program != before[name]?.program, "\(name)")
          if case .cgroup = link.kind { #expect(link.id == before[name]?.id, "\(name) is the same link") }
        }
        #expect(try Lab.attached(lab.root) == 8)
        #expect(try mapId(lab, 990, "sockets") == sockets)
        #expect(try second.ask("connect 127.0.0.1 18082") == "EPERM", "by the new programs")
        #expect(try web.ask("send kept") == "kept")
        #expect(try datapath.connections().contains { $0.0.source == 1 && $0.0.port == 18081 }, "counters go on")
        lab.entries.ruling(1, protocol: 6, port: 18082, .allowed())
        try lab.install(into: datapath)
        #expect(try second.ask("connect 127.0.0.1 18082") == "ok", "the new tables are the ones that count")
      }
    }

    @Test(.needsWider) func `state of another shape starts empty, and open connections are judged anew`() throws {
      try Lab.use { lab in
        try lab.oneOpenPort()
        let (allowed, refused) = (try lab.client(in: "shop/web"), try lab.client(in: "shop/web"))
        #expect(try refused.ask("connect 127.0.0.1 18082") == "ok", "before the first generation")
        lab.entries.ruling(1, protocol: 6, port: 18082, .allowed())
        try lab.install()
        #expect(try allowed.ask("connect 127.0.0.1 18081") == "ok")
        let (sockets, connections) = (
          try mapId(lab, Self.here, "sockets"), try mapId(lab, Self.here, "connections")
        )
        lab.drop()
        lab.entries.ports.removeAll { $0.key.port == UInt16(18082).bigEndian }
        let datapath = try widerDatapath(lab)
        #expect(try mapId(lab, 991, "sockets") != sockets)
        #expect(try mapId(lab, 991, "connections") == connections)
        #expect(try refused.ask("send still") == "still", "until the switch")
        try lab.install(into: datapath)
        #expect(lab.layouts == [991])
        #expect(try allowed.ask("send kept") == "kept")
        #expect(try refused.ask("send gone") != "gone")
        #expect(try refused.ask("connect 127.0.0.1 18082") == "EPERM")
      }
    }

    @Test(.needsWider, arguments: [false, true])
    func `what goes through a proxy is kept with its state, and ends without`(forgets: Bool) throws {
      try Lab.use { lab in
        try lab.workload("shop/batch", number: 4)
        try lab.workload("shop/api", number: 2, target: 5)
        try lab.proxy("shop/envoy", number: 1, port: 15106)
        lab.entries.pair(subject: 2, .ingress, peer: 0, ports: 1)
        lab.entries.pair(subject: 2, .ingress, peer: 4, ports: 2)
        lab.entries.ruling(1, .denied())
        lab.entries.ruling(2, .denied())
        lab.entries.ruling(2, protocol: 6, port: 18081, .proxied(proxy: 1))
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        let proxy = try lab.proxyProcess(in: "shop/envoy", at: "127.0.0.1", 15106)
        try lab.install()
        let batch = try lab.client(in: "shop/batch")
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try proxy.line() == "240.20.0.4 127.0.0.1 18081 ok")
        lab.drop()

        let datapath = try forgets ? widerDatapath(lab) : lab.datapath(other)
        try datapath.attach(proxy: 1, cgroup: "\(lab.root)/shop/envoy")
        try lab.install(into: datapath)
        #expect(try Lab.attached("\(lab.root)/shop/envoy") == 14)
        let answer = try batch.ask("send hello")
        #expect(forgets ? answer == "ECONNRESET" : answer == "hello", "\(answer)")
        if forgets { #expect(try proxy.line().hasSuffix("ECONNABORTED")) }
        #expect(try batch.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try batch.ask("send again") == "again")
        #expect(try proxy.line() == "240.20.0.4 127.0.0.1 18081 ok")
      }
    }

    /// A kill at each step, and then a start of the one or the other version.
    @Test(arguments: [UInt32(WEIR_LAYOUT), 990])
    func `a kill at any step leaves everybody judged, and either version goes on`(next: UInt32) throws {
      try Lab.use { lab in
        try lab.oneOpenPort()
        try lab.proxy("shop/envoy", number: 3, port: 15106)
        let web = try lab.client(in: "shop/web")
        let kept = try lab.client(in: "shop/web")
        try lab.install()
        #expect(try kept.ask("connect 127.0.0.1 18081") == "ok")
        lab.drop()
        func expectJudged(_ when: String) throws {
          #expect(try web.ask("connect 127.0.0.1 18081") == "ok", "\(when)")
          #expect(try web.ask("connect 127.0.0.1 18082") == "EPERM", "\(when)")
          #expect(try kept.ask("send kept") == "kept", "\(when)")
        }
        let hammer = try Hammer.start(lab, in: "shop/web")
        var (from, stop, names) = (Self.here, 1, [String]())
        while true {
          // Up, then down, then up again: from whatever the last round left.
          var build = Build(layout: from == Self.here ? 990 : Self.here)
          build.steps.stop = stop
          var isOver = false
          do {
            let datapath = try lab.datapath(build)
            try datapath.attach(proxy: 3, cgroup: "\(lab.root)/shop/envoy")
            try lab.install(into: datapath)
            isOver = true
          } catch { #expect(error is DatapathError) }
          names = build.steps.passed
          let when = "killed at step \(stop), \(names.last ?? "")"
          #expect(isOver || names.count == stop, "\(when)")
          try expectJudged(when)
          let highest = try Pins.layouts(in: lab.directory).filter(\.hasLinks).map { try $0.generation() }.max() ?? 0
          build = Build(layout: next)
          let datapath = try lab.datapath(build)
          try expectJudged("\(when), then a start of \(next)")
          try datapath.attach(proxy: 3, cgroup: "\(lab.root)/shop/envoy")
          #expect(try lab.install(into: datapath) > highest, "\(when)")
          try expectJudged("\(when), then a generation of \(next)")
          #expect(lab.layouts == [next], "\(when)")
          #expect(try Observed.links(lab, next).count == 17, "\(when)")
          #expect(try Lab.attached("\(lab.root)/shop/envoy") == 14, "\(when)")
          if isOver { break }
          from = next
          stop += 1
        }
        let counts = try Hammer.end(hammer)
        print("\(names.count) steps, each killed, then layout \(next): \(counts)")
        #expect(names.count > 30)
        #expect(Set(counts.keys) == ["18081:ok", "18082:EPERM"], "\(counts)")
      }
    }

    @Test func `a start that fails, or ends before its first generation, changes nothing`() throws {
      try Lab.use { lab in
        try lab.oneOpenPort()
        try lab.install()
        lab.drop()
        let before = try Observed.links(lab).mapValues(\.program)
        let maps = names(in: Pins(lab.directory).maps)
        var broken = other
        broken.image = UnsafeRawBufferPointer(rebasing: broken.image[..<(broken.image.count / 2)])
        #expect(throws: DatapathError.self) { try lab.datapath(broken) }
        #expect(lab.layouts == [Self.here])
        do { _ = try lab.datapath(Build(layout: 990)) }
        #expect(lab.layouts == [Self.here, 990], "what it loaded waits for nobody")
        #expect(try Observed.links(lab).mapValues(\.program) == before)
        #expect(names(in: Pins(lab.directory).maps) == maps)
        #expect(try lab.client(in: "shop/web").ask("connect 127.0.0.1 18082") == "EPERM")
        #expect(try lab.datapath().formerLayouts.isEmpty)
        #expect(lab.layouts == [Self.here])
      }
    }

    @Test func `fifty changes of layout under load give no wrong verdict`() throws {
      try Lab.use { lab in
        try lab.oneOpenPort()
        try lab.install()
        lab.drop()
        let hammer = try Hammer.start(lab, in: "shop/web")
        for round in 1...50 {
          let datapath = try lab.datapath(Build(layout: round % 2 == 0 ? Self.here : 990))
          try lab.install(into: datapath)
        }
        let counts = try Hammer.end(hammer)
        print("50 changes of layout: \(counts)")
        #expect(Set(counts.keys) == ["18081:ok", "18082:EPERM"], "\(counts)")
        #expect(lab.layouts == [Self.here])
        #expect(try lab.datapath().generation() == 51)
        #expect(try Lab.attached(lab.root) == 8)
      }
    }
  }
}

extension String {
  /// What stands before the last occurrence of a word.
  fileprivate func components(before word: String) -> String {
    var text = self[...]
    while !text.isEmpty, !text.hasSuffix(word) { text.removeLast() }
    return String(text.dropLast(word.count))
  }
}
