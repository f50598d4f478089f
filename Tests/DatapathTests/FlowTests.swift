import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  @Suite struct Flows {
    /// Connects to a port of 127.0.0.1 and prints the errno's name, or `connected`.
    private func connect(_ port: Int) -> [String] {
      [
        "python3", "-c",
        """
        import errno, socket
        s = socket.socket()
        s.settimeout(5)
        code = s.connect_ex(("127.0.0.1", \(port)))
        print(errno.errorcode.get(code, "connected"))
        """,
      ]
    }

    @Test func `a refusal is counted, reported and wakes whoever waits for events`() throws {
      try Lab.use { lab in
        let web = try lab.workload("web", number: 41)
        #expect(
          try lab.run(in: "web", connect(8080)).stdout == "ECONNREFUSED\n",
          "nothing installed yet")
        lab.entries.pair(subject: web.number, .egress, peer: 0, ports: 1)
        lab.entries.ruling(1, .denied(rule: 77))
        let generation = try lab.install()
        do {
          let datapath = try lab.datapath()
          #expect(try lab.run(in: "web", connect(8080)).stdout == "EPERM\n")

          var waiting = pollfd(fd: datapath.eventDescriptor, events: Int16(POLLIN), revents: 0)
          #expect(poll(&waiting, 1, 5000) == 1)
          #expect(try datapath.maps().first { $0.name == "events" }?.entries ?? 0 > 0)
          var events: [weir_event] = []
          try datapath.drainEvents { events.append($0) }
          let event = try #require(events.first)
          #expect(events.count == 1)
          #expect(event.generation == generation && event.rule == 77 && event.source == 41)
          #expect(
            event.verdict == UInt8(WEIR_DENIED.rawValue) && event.direction == UInt8(WEIR_EGRESS.rawValue))
          #expect(event.destination_port == UInt16(8080).bigEndian)
          #expect(poll(&waiting, 1, 0) == 0, "drained")
          #expect(try datapath.maps().first { $0.name == "events" }?.entries == 0)

          let refusals = try datapath.refusals()
          #expect(refusals.count == 1)
          #expect(refusals.first?.0.rule == 77 && refusals.first?.0.port == 8080 && refusals.first?.1 == 1)
          #expect(try datapath.losses() == [UInt64](repeating: 0, count: Int(WEIR_LOSS_LAST.rawValue)))
        }

        lab.drop()
        #expect(
          try lab.run(in: "web", connect(8080)).stdout == "EPERM\n", "enforced without an agent"
        )
        try Datapath.detach(directory: lab.directory)
        #expect(
          try lab.run(in: "web", connect(8080)).stdout == "ECONNREFUSED\n", "nothing is left")
      }
    }

    @Test func `sockets that were open before are enrolled in every network namespace`() throws {
      try Lab.use { lab in
        let script = """
          import socket, sys
          a = socket.socket(); a.bind(("127.0.0.1", 0)); a.listen()
          b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); b.bind(("127.0.0.1", 0))
          print("open", flush=True); sys.stdin.read()
          """
        _ = try lab.datapath()
        for netns in [try lab.namespace(), try lab.namespace()] {
          let child = try lab.spawn(in: "shop/web", netns: netns, ["python3", "-c", script])
          #expect(try child.line() == "open")
        }
        let bystander = try lab.spawn(in: "bystander", netns: try lab.namespace(), ["python3", "-c", script])
        #expect(try bystander.line() == "open")
        try lab.workload("shop", number: 1)
        try lab.datapath().install(lab.entries, generation: 1, audit: false)
        #expect(Iterators.namespaces(below: lab.root).count == 3)
        #expect(try lab.datapath().enrol() == 4)
        #expect(try lab.datapath().enrol() == 0)
      }
    }

    @Test func `a connection that a new generation refuses is ended at once`() throws {
      try Lab.use { lab in
        let server = """
          import socket, sys
          s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True)
          c, _ = s.accept(); c.sendall(b"x"); sys.stdin.read()
          """
        let client = """
          import socket, sys
          s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5); s.recv(1); print("open", flush=True)
          s.settimeout(5)
          try: print("end" if s.recv(1) == b"" else "data", flush=True)
          except OSError as e: print(type(e).__name__, flush=True)
          """
        let api = try lab.workload("api", number: 1)
        let web = try lab.workload("web", number: 2)
        try lab.install()
        let listening = try lab.spawn(in: "api", ["python3", "-c", server])
        let port = try listening.line()
        let open = try lab.spawn(in: "web", ["python3", "-c", client, port])
        #expect(try open.line() == "open")
        #expect(try lab.datapath().connections().contains { $0.0.source == 2 && $0.0.destination == 1 })

        lab.entries.pair(subject: web.number, .egress, peer: 0, ports: 1)
        lab.entries.pair(subject: api.number, .ingress, peer: 0, ports: 1)
        lab.entries.ruling(1, .denied())
        try lab.datapath().install(lab.entries, generation: 2, audit: false)
        let resets = try lab.resets()
        #expect(try (lab.datapath().revoke() >= 1) == resets)
        #expect(try open.line().hasPrefix(resets ? "Connection" : "TimeoutError"))
        #expect(try lab.datapath().revoke() == 0)
      }
    }

    @Test func `events of allowed flows come only while somebody follows`() throws {
      try Lab.use { lab in
        try lab.workload("web", number: 1)
        lab.entries.pair(subject: 1, .egress, peer: 0, ports: 1)
        lab.entries.ruling(1, .allowed(rule: 5))
        try lab.install()
        let datapath = try lab.datapath()
        var seen = 0
        #expect(try lab.run(in: "web", connect(8080)).stdout == "ECONNREFUSED\n")
        try datapath.drainEvents { _ in seen += 1 }
        #expect(seen == 0)
        try datapath.set(followers: 1, failOpen: false)
        #expect(try lab.run(in: "web", connect(8080)).stdout == "ECONNREFUSED\n")
        try datapath.drainEvents { event in seen += event.rule == 5 ? 1 : 0 }
        #expect(seen == 1)
      }
    }
  }
}
