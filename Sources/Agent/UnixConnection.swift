import Glibc

/// A client's end of HTTP/1.1 over a Unix socket: one request, one answer, every wait bounded.
final class UnixConnection {
  private let descriptor: Int32
  private let path: String
  private var reader = ResponseReader()

  /// Sends the request; `milliseconds` bounds connecting and sending.
  init(_ path: String, method: String, target: String, milliseconds: Int) throws(SystemError) {
    self.path = path
    descriptor = try UnixConnection.connected(path)
    let request =
      "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    var rest = Array(request.utf8)[...]
    let deadline = Clock.monotonic() + UInt64(milliseconds) * 1_000_000
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        try UnixConnection.wait(descriptor, POLLOUT, until: deadline, path)
      } else if errno != EINTR {
        throw SystemError("send", path)
      }
    }
  }

  deinit { close(descriptor) }

  /// nil until the answer's head is here.
  var status: Int? { reader.status }

  /// The next piece of the body, empty when only the head came; nil at its end. `milliseconds` nil waits as
  /// long as it takes.
  func next(milliseconds: Int?) throws(SystemError) -> [UInt8]? {
    if reader.isFinished { return nil }
    let deadline = milliseconds.map { Clock.monotonic() + UInt64($0) * 1_000_000 }
    while true {
      var buffer = [UInt8](repeating: 0, count: 16384)
      let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
      if count == 0 {
        guard reader.endOfInput() else { throw SystemError("read answer", path, code: ECONNRESET) }
        return nil
      }
      if count > 0 {
        guard let body = reader.take(buffer.prefix(count)) else {
          throw SystemError("read answer", path, code: EPROTO)
        }
        return body
      }
      if errno == EAGAIN {
        try UnixConnection.wait(descriptor, POLLIN, until: deadline, path)
      } else if errno != EINTR {
        throw SystemError("recv", path)
      }
    }
  }

  /// One whole exchange in so many milliseconds; an answer of more than `limit` bytes is EFBIG.
  static func exchange(
    _ path: String, _ method: String, _ target: String, milliseconds: Int, limit: Int = 64 << 20
  ) throws(SystemError) -> (status: Int, body: [UInt8]) {
    let deadline = Clock.monotonic() + UInt64(milliseconds) * 1_000_000
    let connection = try UnixConnection(path, method: method, target: target, milliseconds: milliseconds)
    var body: [UInt8] = []
    while true {
      let now = Clock.monotonic()
      if now >= deadline { throw SystemError("read answer", path, code: ETIMEDOUT) }
      guard let piece = try connection.next(milliseconds: Int((deadline - now) / 1_000_000) + 1) else {
        break
      }
      body += piece
      if body.count > limit { throw SystemError("read answer", path, code: EFBIG) }
    }
    return (connection.status ?? 0, body)
  }

  /// Whether somebody listens there.
  static func isAlive(_ path: String) -> Bool {
    guard let descriptor = try? connected(path) else { return false }
    close(descriptor)
    return true
  }

  private static func connected(_ path: String) throws(SystemError) -> Int32 {
    guard let address = SocketAddress(unix: path) else {
      throw SystemError("connect", path, code: ENAMETOOLONG)
    }
    let descriptor = socket(
      AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    if descriptor < 0 { throw SystemError("socket", path) }
    // A Unix socket connects at once or answers EAGAIN when the listener's queue is full.
    if address.withPointer({ connect(descriptor, $0, $1) }) != 0 {
      let error = SystemError("connect", path)
      close(descriptor)
      throw error
    }
    return descriptor
  }

  private static func wait(
    _ descriptor: Int32, _ events: Int32, until deadline: UInt64?, _ path: String
  ) throws(SystemError) {
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    var milliseconds: Int32 = -1
    if let deadline {
      let now = Clock.monotonic()
      if now >= deadline { throw SystemError("wait for", path, code: ETIMEDOUT) }
      milliseconds = Int32(clamping: (deadline - now + 999_999) / 1_000_000)
    }
    poll(&entry, 1, milliseconds)
  }
}
