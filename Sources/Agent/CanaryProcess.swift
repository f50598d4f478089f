import CCap
import CLinux
import Glibc

/// What is asked of the canary: one flow, at an address of its own loopback.
struct CanaryAsk {
  /// false: from a process that is nobody's.
  var fromWorkload: Bool
  var isUDP: Bool
  var isV6: Bool
  var port: UInt16
  var milliseconds: Int

  var text: String {
    [
      fromWorkload ? "workload" : "nobody", isUDP ? "udp" : "tcp", isV6 ? "::1" : "127.0.0.1", "\(port)",
      "\(milliseconds)",
    ].joined(separator: " ")
  }

  init(fromWorkload: Bool, isUDP: Bool, isV6: Bool, port: UInt16, milliseconds: Int) {
    self.fromWorkload = fromWorkload
    self.isUDP = isUDP
    self.isV6 = isV6
    self.port = port
    self.milliseconds = milliseconds
  }

  init?(_ text: String) {
    let words = text.split(separator: " ")
    guard words.count == 5, let port = UInt16(words[3]), let milliseconds = Int(words[4]) else { return nil }
    self.init(
      fromWorkload: words[0] == "workload", isUDP: words[1] == "udp", isV6: words[2] == "::1", port: port,
      milliseconds: milliseconds)
  }
}

/// What came of it.
enum CanaryAnswer: Equatable {
  /// What was sent arrived.
  case arrived(microseconds: UInt64)
  /// connect() or sendto() answered this errno.
  case refused(Int32, microseconds: UInt64)
  /// Nothing came in time.
  case silent
  /// The question could not be asked: a step before the flow failed with this errno.
  case broken(String, Int32)

  var text: String {
    switch self {
    case .arrived(let time): "arrived \(time)"
    case .refused(let code, let time): "refused \(code) \(time)"
    case .silent: "silent"
    case .broken(let step, let code): "broken \(code) \(step)"
    }
  }

  init?(_ text: String) {
    let words = text.split(separator: " ", maxSplits: 2).map(String.init)
    switch words.first {
    case "arrived" where words.count == 2: self = .arrived(microseconds: UInt64(words[1]) ?? 0)
    case "refused" where words.count == 3:
      self = .refused(Int32(words[1]) ?? 0, microseconds: UInt64(words[2]) ?? 0)
    case "silent": self = .silent
    case "broken" where words.count == 3: self = .broken(words[2], Int32(words[1]) ?? 0)
    default: return nil
    }
  }
}

/// The child's half of the canary: a process in a network namespace of its own that opens one flow at a time to itself,
/// its two ends in two cgroups. It has no privilege left but to move between these, and ends with the agent.
struct CanaryProcess {
  /// The agent's messages, one a datagram.
  private let control: Int32 = STDIN_FILENO

  /// Its cgroups: for the two ends of a flow, and the one it rests in.
  struct Places {
    static let word = "places"

    var source: String
    var destination: String
    var home: String

    init?(_ message: String?) {
      let words = message?.split(separator: "\0").map(String.init) ?? []
      guard words.count == 4, words[0] == Places.word else { return nil }
      (source, destination, home) = (words[1], words[2], words[3])
    }
  }

  /// Until the agent hangs up.
  func run() {
    guard linux_die_with_parent() == 0, linux_own_netns() == 0, linux_loopback_up() == 0 else {
      say("unavailable \(SystemError("make", "a network namespace of its own"))")
      return
    }
    CanaryProcess.dropPrivileges(keepingLowPorts: !CanaryProcess.openLowPorts())
    guard let places = Places(hear()) else { return }
    say("ready \(CanaryProcess.hasV6() ? "v6" : "v4")")
    while let message = hear() {
      if message == "rest" {
        _ = CanaryProcess.move(into: places.home)
        say("rests")
      } else if let ask = CanaryAsk(message) {
        say(probe(ask, places).text)
      } else {
        say(CanaryAnswer.broken("understand the agent", EPROTO).text)
      }
    }
  }

  private func say(_ text: String) {
    let bytes = Array(text.utf8)
    _ = send(control, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// nil at the end.
  private func hear() -> String? {
    var buffer = [UInt8](repeating: 0, count: 3 * Int(PATH_MAX) + 64)
    while true {
      let count = recv(control, &buffer, buffer.count, 0)
      if count < 0 && errno == EINTR { continue }
      return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }
  }

  private func probe(_ ask: CanaryAsk, _ places: Places) -> CanaryAnswer {
    guard let address = SocketAddress(ask.isV6 ? "::1" : "127.0.0.1", port: ask.port) else {
      return .broken("make an address", EINVAL)
    }
    if let code = CanaryProcess.move(into: places.destination) {
      return .broken("enter \(places.destination)", code)
    }
    let kind = ask.isUDP ? SOCK_DGRAM : SOCK_STREAM
    let server = Socket(address, kind)
    if let code = server.listen(at: address) { return .broken("listen", code) }
    let from = ask.fromWorkload ? places.source : places.home
    if let code = CanaryProcess.move(into: from) { return .broken("enter \(from)", code) }
    let client = Socket(address, kind)
    if client.descriptor < 0 { return .broken("socket", errno) }
    let began = Clock.monotonic()
    let deadline = began + UInt64(ask.milliseconds) * 1_000_000
    func elapsed() -> UInt64 { (Clock.monotonic() - began) / 1000 }
    if ask.isUDP {
      if let code = client.send(to: address) { return .refused(code, microseconds: elapsed()) }
      return server.receive(until: deadline) ? .arrived(microseconds: elapsed()) : .silent
    }
    switch client.connect(to: address, until: deadline) {
    case ETIMEDOUT?: return .silent
    case let code?: return .refused(code, microseconds: elapsed())
    case nil: break
    }
    guard let accepted = server.accept(until: deadline), client.send(to: nil) == nil,
      accepted.receive(until: deadline)
    else { return .silent }
    return .arrived(microseconds: elapsed())
  }

  /// nil, or an errno.
  private static func move(into cgroup: String) -> Int32? {
    let descriptor = open("\(cgroup)/cgroup.procs", O_WRONLY | O_CLOEXEC)
    if descriptor < 0 { return errno }
    defer { close(descriptor) }
    return write(descriptor, "0", 1) == 1 ? nil : errno
  }

  /// In this namespace every port is anybody's.
  private static func openLowPorts() -> Bool {
    let descriptor = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC)
    if descriptor < 0 { return false }
    defer { close(descriptor) }
    return write(descriptor, "0", 1) == 1
  }

  private static func hasV6() -> Bool {
    guard let address = SocketAddress("::1", port: 0) else { return false }
    return Socket(address, SOCK_DGRAM).listen(at: address) == nil
  }

  private static func dropPrivileges(keepingLowPorts: Bool) {
    do throws(Failure) {
      guard linux_no_new_privileges() == 0 else { throw Failure(SystemError("no_new_privs", "of the canary")) }
      try Privileges.keep(keepingLowPorts ? [Capability(number: CAP_NET_BIND_SERVICE)] : [])
    } catch {
      // Without a canary nothing is tried, which the agent says; with its privileges it would be a second agent.
      Output.error.write("weir canary: \(error)\n")
      exit(2)
    }
  }
}

/// One end of a probe. Nothing waits longer than its deadline.
private final class Socket {
  let descriptor: Int32
  private let isStream: Bool

  init(_ address: SocketAddress, _ kind: __socket_type) {
    isStream = kind == SOCK_STREAM
    descriptor = socket(
      Int32(address.family), Int32(kind.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
  }

  private init(accepted: Int32) {
    descriptor = accepted
    isStream = true
  }

  deinit {
    // With a reset, so that the port is free again at once.
    var abort = linger(l_onoff: 1, l_linger: 0)
    if isStream {
      setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
    }
    if descriptor >= 0 { close(descriptor) }
  }

  /// nil, or an errno.
  func listen(at address: SocketAddress) -> Int32? {
    if descriptor < 0 { return errno }
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    if address.withPointer({ bind(descriptor, $0, $1) }) != 0 { return errno }
    return !isStream || Glibc.listen(descriptor, 4) == 0 ? nil : errno
  }

  /// nil, or an errno; ETIMEDOUT where none came in time.
  func connect(to address: SocketAddress, until deadline: UInt64) -> Int32? {
    if address.withPointer({ Glibc.connect(descriptor, $0, $1) }) == 0 { return nil }
    if errno != EINPROGRESS { return errno }
    guard wait(POLLOUT, until: deadline) else { return ETIMEDOUT }
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
    return code == 0 ? nil : code
  }

  func accept(until deadline: UInt64) -> Socket? {
    guard wait(POLLIN, until: deadline) else { return nil }
    let accepted = Glibc.accept(descriptor, nil, nil)
    if accepted < 0 { return nil }
    _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
    return Socket(accepted: accepted)
  }

  /// nil, or an errno. `address` nil: to whom it is connected.
  func send(to address: SocketAddress?) -> Int32? {
    let text: [UInt8] = Array("weir".utf8)
    let flags = Int32(MSG_NOSIGNAL)
    let count =
      address.map { address in address.withPointer { sendto(descriptor, text, text.count, flags, $0, $1) } }
      ?? Glibc.send(descriptor, text, text.count, flags)
    return count == text.count ? nil : errno
  }

  func receive(until deadline: UInt64) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 16)
    return wait(POLLIN, until: deadline) && recv(descriptor, &buffer, buffer.count, 0) > 0
  }

  private func wait(_ events: Int32, until deadline: UInt64) -> Bool {
    while true {
      let now = Clock.monotonic()
      if now >= deadline { return false }
      var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      let count = poll(&entry, 1, Int32(clamping: (deadline - now + 999_999) / 1_000_000))
      if count > 0 { return true }
      if count < 0 && errno != EINTR { return false }
    }
  }
}
