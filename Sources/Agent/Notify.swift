import Glibc

/// sd_notify(3) by hand: one datagram to where NOTIFY_SOCKET says; without one, nothing.
enum Notify {
  static func send(_ state: String) {
    guard let path = getenv("NOTIFY_SOCKET"), let address = SocketAddress(unix: String(cString: path)) else {
      return
    }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if descriptor < 0 { return }
    defer { close(descriptor) }
    let bytes = Array(state.utf8)
    _ = address.withPointer {
      sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT), $0, $1)
    }
  }

  /// A service manager started this process, and will again.
  static var isSupervised: Bool { getenv("NOTIFY_SOCKET") != nil }

  static func ready() { send("READY=1") }

  /// Type=notify-reload of newer systemd wants the time; older ones pass over it.
  static func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonic() / 1000)") }

  static func stopping() { send("STOPPING=1") }
}
