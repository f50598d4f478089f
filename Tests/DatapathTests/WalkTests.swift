import CDatapath
import CLibbpf
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// The walk through the kernel's sockets, which costs with their number: only where it has something to do.
  @Suite struct Walks {
    @Test func `sockets are looked for when who owns them changes, and ended when one is refused`() throws {
      try Lab.use { lab in
        let web = try lab.workload("web", number: 1)
        lab.entries.pair(subject: web.number, .egress, peer: 0, ports: 1)
        lab.entries.ruling(1, .allowed(rule: 5))
        try lab.server(in: "elsewhere", at: "127.0.0.1", 18081)
        try lab.install()
        #expect(try lab.datapath().walks == 1, "a workload that was not known")
        let client = try lab.client(in: "web")
        #expect(try client.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try client.ask("send one") == "one")

        lab.entries.ports = []
        lab.entries.ruling(1, .allowed(rule: 6))
        try lab.install()
        #expect(try lab.datapath().walks == 1, "another rule that allows it")
        lab.drop()
        try lab.install()
        #expect(try lab.datapath().walks == 0, "a start over the same workloads")
        #expect(try client.ask("send two") == "two")

        guard try lab.resets() else { return }
        lab.entries.ports = []
        lab.entries.ruling(1, .denied())
        try lab.install()
        #expect(try lab.datapath().walks == 1, "a connection that is refused")
        #expect(try lab.ended().contains(client.ask("recv")))
        try lab.install()
        #expect(try lab.datapath().walks == 1, "and is gone")
        try lab.workload("api", number: 2)
        try lab.install()
        #expect(try lab.datapath().walks == 2)
      }
    }

    @Test(arguments: [true, false])
    func `sockets made while nothing tagged them are looked for`(mended: Bool) throws {
      try Lab.use { lab in
        try lab.workload("web", number: 1)
        try lab.install()
        let pin = Pins(lab.directory).link("sock_create")
        let link = try Descriptor.adopt(bpf_obj_get(pin), "open pin", pin)
        #expect(bpf_link_detach(link.raw) == 0)
        try lab.server(in: "web", at: "127.0.0.1", 18081)
        if mended { try lab.datapath().mend() } else { lab.drop() }
        try lab.datapath().install(lab.entries, generation: lab.datapath().generation() + 1, audit: false)
        #expect(try lab.datapath().enrol() == 1)
        #expect(try lab.datapath().enrol() == 0)
      }
    }
  }
}
