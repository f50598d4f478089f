import CDatapath
import Lab
import Testing

@testable import Datapath

extension Kernel {
  @Suite struct FullRing {
    @Test func `a full ring loses events and counts them; verdicts and counters are what they were`() throws {
      let script = """
        s = opened(socket.SOCK_DGRAM, '127.0.0.1')
        refused = 0
        for _ in range(6000):
          try: s.sendto(b'x', ('127.0.0.1', 18082))
          except PermissionError: refused += 1
        say(refused)
        attempt(lambda: tcp(18081)); attempt(lambda: tcp(18082))
        """
      try Lab.use { lab in
        try lab.holes()
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        #expect(try lab.datapath().losses()[Int(WEIR_LOSS_EVENTS.rawValue)] == 0)
        // Nobody takes the events out.
        #expect(try lab.trick(in: "shop/web", script: script) == ["6000", "hi", "EPERM"])
        #expect(try lab.datapath().losses()[Int(WEIR_LOSS_EVENTS.rawValue)] > 1000)
        #expect(try lab.refused(WEIR_REASON_NO_RULE) == 6001)
      }
    }
  }
}
