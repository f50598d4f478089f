import CLinux
import Glibc

/// One thread, one epoll: descriptors that become readable, and deadlines. Everything the agent does happens
/// in a handler of this loop, so nothing needs a lock.
final class EventLoop {
  struct Deadline: Equatable { fileprivate let number: UInt64 }

  private let epoll: Int32
  private var handlers: [Int32: () -> Void] = [:]
  private var deadlines: [(at: UInt64, key: Deadline, body: () -> Void)] = []
  private var turns: [() -> Int32?] = []
  private var nextDeadline: UInt64 = 0
  private var stopped = false

  init() throws(SystemError) {
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    if epoll < 0 { throw SystemError("epoll_create1", "event loop") }
  }

  deinit { close(epoll) }

  /// Calls `body` whenever the descriptor is readable or hung up. The descriptor stays the caller's.
  func onReadable(_ descriptor: Int32, _ body: @escaping () -> Void) throws(SystemError) {
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: descriptor))
    if epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0 {
      throw SystemError("epoll_ctl", "descriptor \(descriptor)")
    }
    handlers[descriptor] = body
  }

  func forget(_ descriptor: Int32) {
    handlers[descriptor] = nil
    epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
  }

  /// Calls `body` once, in so many milliseconds.
  @discardableResult
  func after(milliseconds: Int, _ body: @escaping () -> Void) -> Deadline {
    nextDeadline += 1
    let key = Deadline(number: nextDeadline)
    deadlines.append((Clock.monotonic() + UInt64(milliseconds) * 1_000_000, key, body))
    return key
  }

  func cancel(_ key: Deadline) { deadlines.removeAll { $0.key == key } }

  func every(milliseconds: Int, _ body: @escaping () -> Void) {
    after(milliseconds: milliseconds) { [unowned self] in
      body()
      every(milliseconds: milliseconds, body)
    }
  }

  /// Asked before each wait: for libraries with deadlines of their own. Answers in how many milliseconds it
  /// wants to be asked again at the latest; nil: whenever.
  func eachTurn(_ body: @escaping () -> Int32?) { turns.append(body) }

  /// Returns after the handler that called `stop`.
  func run() {
    stopped = false
    while !stopped { turn(maximumMilliseconds: nil) }
  }

  func stop() { stopped = true }

  /// Waits once, for so many milliseconds at most (nil: as long as it takes), and calls what is due.
  func turn(maximumMilliseconds: Int32?) {
    var wait = maximumMilliseconds ?? -1
    func atMost(_ limit: Int32) { wait = wait < 0 ? limit : min(wait, limit) }
    for body in turns { if let limit = body() { atMost(limit) } }
    if let first = deadlines.map(\.at).min() {
      let now = Clock.monotonic()
      // Rounded up: a wait that ends just before its deadline would be a busy loop.
      atMost(first <= now ? 0 : Int32(clamping: (first - now + 999_999) / 1_000_000))
    }
    if stopped { return }
    withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 16) { events in
      let count = epoll_wait(epoll, events.baseAddress, 16, wait)
      // EINTR: a signal that is not ours; the next turn waits again.
      for index in 0..<max(0, Int(count)) where !stopped {
        // Gone if a handler before it in this round removed it.
        handlers[events[index].data.fd]?()
      }
    }
    runDeadlines()
  }

  private func runDeadlines() {
    let now = Clock.monotonic()
    let due = deadlines.filter { $0.at <= now }
    if due.isEmpty { return }
    for entry in due.sorted(by: { ($0.at, $0.key.number) < ($1.at, $1.key.number) }) where !stopped {
      // One that a deadline before it cancelled is not called.
      guard let index = deadlines.firstIndex(where: { $0.key == entry.key }) else { continue }
      deadlines.remove(at: index)
      entry.body()
    }
  }
}
