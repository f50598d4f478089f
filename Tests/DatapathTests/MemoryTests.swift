import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Without memory for a socket's state the fail mode of its subtree decides. The kernel charges that memory to the
  /// socket's own allowance, net.core.optmem_max, which a network namespace has for itself since 6.7.
  @Suite struct NoMemory {
    /// A server of nobody's, and clients of two workloads, where a socket may have so much more.
    private func place(_ lab: Lab, _ allowance: Int) throws -> (closed: Child, open: Child)? {
      try lab.workload("pods/closed", number: 1)
      try lab.workload("pods/open", number: 3, flags: UInt8(WEIR_FLAG_FAIL_OPEN.rawValue))
      try lab.install()
      let netns = try lab.namespace()
      let set = "echo \(allowance) > /proc/sys/net/core/optmem_max && cat /proc/sys/net/core/optmem_max"
      guard try lab.run(in: nil, netns: netns, ["sh", "-c", set]).stdout == "\(allowance)\n" else { return nil }
      try lab.server(in: nil, netns: netns, at: "127.0.0.1", 18081)
      try lab.server("udp", in: nil, netns: netns, at: "127.0.0.1", 18081)
      return (try lab.client(in: "pods/closed", netns: netns), try lab.client(in: "pods/open", netns: netns))
    }

    private func faults(_ lab: Lab, letThrough: Bool) throws -> UInt64 {
      try lab.datapath().faults()[Int(WEIR_REASON_NO_MEMORY.rawValue) * 2 + (letThrough ? 1 : 0)]
    }

    @Test func `with memory nothing fails`() throws {
      try Lab.use { lab in
        guard let (closed, open) = try place(lab, 131072) else { return }
        for client in [closed, open] {
          #expect(try client.ask("connect 127.0.0.1 18081") == "ok")
          #expect(try client.ask("datagram 127.0.0.1 18081 q") == "q")
        }
        #expect(try lab.lost(WEIR_LOSS_STORAGE) == 0)
        #expect(try faults(lab, letThrough: false) + faults(lab, letThrough: true) == 0)
      }
    }

    @Test func `without memory for any state the subtree's fail mode decides`() throws {
      try Lab.use { lab in
        guard let (closed, open) = try place(lab, 100) else { return }
        #expect(try closed.ask("connect 127.0.0.1 18081") == "EPERM")
        #expect(try closed.ask("datagram 127.0.0.1 18081 q") == "EPERM")
        #expect(try faults(lab, letThrough: false) >= 2)
        #expect(try faults(lab, letThrough: true) == 0)
        #expect(try open.ask("connect 127.0.0.1 18081") == "ok")
        #expect(try open.ask("send hello") == "hello")
        #expect(try open.ask("datagram 127.0.0.1 18081 q") == "q")
        #expect(try faults(lab, letThrough: true) >= 2)
        #expect(try lab.used(1).lost.4 > 0 && lab.used(3).lost.4 > 0)
      }
    }

    @Test func `without memory for exchanges only datagrams fail`() throws {
      try Lab.use { lab in
        guard let (closed, open) = try place(lab, 2000) else { return }
        for client in [closed, open] {
          #expect(try client.ask("connect 127.0.0.1 18081") == "ok")
          #expect(try client.ask("send hello") == "hello")
        }
        #expect(try faults(lab, letThrough: false) + faults(lab, letThrough: true) == 0)
        #expect(try closed.ask("datagram 127.0.0.1 18081 q") == "EPERM")
        #expect(try open.ask("datagram 127.0.0.1 18081 q") == "q")
        #expect(try faults(lab, letThrough: false) > 0 && faults(lab, letThrough: true) > 0)
      }
    }
  }
}
