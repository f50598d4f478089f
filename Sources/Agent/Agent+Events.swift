import CDatapath
import Datapath
import Policy

extension Agent {
  func takeEvents() {
    do {
      try datapath.drainEvents { [unowned self] event in
        if isProbe(event) { return }
        verdicts.take(event, names: names, log: log)
        if event.endsSomething { sweepSoon() }
      }
    } catch {
      log.error("events-not-read", ["error": Failure(error)])
    }
  }

  /// A packet was refused: perhaps of a connection that was under way at a switch, or older than the programs, and that
  /// would wait for an answer that never comes. Ends those; once a second at most, because it looks at every socket.
  private func sweepSoon() {
    if isSweepDue { return }
    isSweepDue = true
    loop.after(milliseconds: lastSweep + 1_000_000_000 > Clock.monotonic() ? 1000 : 50) { [unowned self] in
      isSweepDue = false
      lastSweep = Clock.monotonic()
      do throws(DatapathError) {
        let ended = try datapath.revoke()
        if ended > 0 { log.info("connections-ended", ["count": ended]) }
      } catch {
        log.error("connections-not-ended", ["error": Failure(error)])
      }
    }
  }

  /// A new list of connections' ends is wanted by nobody; the kernel need not report allowed flows then.
  func updateFollowers() {
    do {
      try datapath.set(followers: UInt32(verdicts.followers.count), failOpen: configuration.failOpen)
    } catch {
      log.error("followers-not-set", ["error": Failure(error)])
    }
  }
}

extension weir_event {
  /// A refused packet of TCP. A refused connect() has told its caller, and knows no source port yet.
  fileprivate var endsSomething: Bool {
    verdict == UInt8(WEIR_DENIED.rawValue) && audit == 0 && source_port != 0
      && `protocol` == TransportProtocol.tcp.number
  }
}
