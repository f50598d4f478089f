import Glibc

struct Response: Equatable {
  var status: Int
  var body: String
}

enum Loopback {
  /// A TCP port that is free on 127.0.0.1 and ::1 now.
  static func freePort() throws -> UInt16 {
    for _ in 0..<100 {
      let four = try Socket(listening: 0)
      if (try? Socket(listening: four.port, family: AF_INET6)) != nil { return four.port }
    }
    throw Failure("no port is free on both 127.0.0.1 and ::1")
  }
}

/// A blocking stream socket that gives up after five seconds.
final class Socket {
  let descriptor: Int32
  private var pending: [UInt8] = []

  init(descriptor: Int32) throws {
    guard descriptor >= 0 else { throw Failure("socket: errno \(errno)") }
    self.descriptor = descriptor
    var limit = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  private static func new(_ family: Int32) -> Int32 {
    socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  }

  /// `length` bytes of `storage` are the address.
  private struct Address {
    var storage = sockaddr_storage()
    var length: socklen_t = 0

    init<Form>(_ form: Form) {
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: form, as: Form.self) }
      length = socklen_t(MemoryLayout<Form>.size)
    }

    /// 127.x.y.z, or ::1.
    init(family: Int32, host: UInt32, port: UInt16) {
      if family == AF_INET6 {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        address.sin6_addr = in6addr_loopback
        self.init(address)
      } else {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = host.bigEndian
        self.init(address)
      }
    }

    /// `call` is bind or connect.
    func use(_ descriptor: Int32, _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32) throws {
      let result = withUnsafeBytes(of: storage) { bytes in
        bytes.withMemoryRebound(to: sockaddr.self) { pointer in
          pointer.baseAddress.map { call(descriptor, $0, length) } ?? -1
        }
      }
      guard result == 0 else { throw Failure("bind or connect: errno \(errno)") }
    }
  }

  convenience init(listening port: UInt16, family: Int32 = AF_INET) throws {
    try self.init(descriptor: Socket.new(family))
    try Address(family: family, host: 0x7f00_0001, port: port).use(descriptor, bind)
    guard listen(descriptor, 16) == 0 else { throw Failure("listen: errno \(errno)") }
  }

  /// To 127.0.0.1 from the given loopback address, or to ::1.
  convenience init(connecting port: UInt16, family: Int32 = AF_INET, from source: UInt32 = 0x7f00_0001) throws
  {
    try self.init(descriptor: Socket.new(family))
    if family == AF_INET { try Address(family: family, host: source, port: 0).use(descriptor, bind) }
    try Address(family: family, host: 0x7f00_0001, port: port).use(descriptor, connect)
  }

  convenience init(unix path: String) throws {
    try self.init(descriptor: Socket.new(AF_UNIX))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    try Address(address).use(descriptor, connect)
  }

  var port: UInt16 {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutableBytes(of: &address) { bytes in
      bytes.withMemoryRebound(to: sockaddr.self) { _ = getsockname(descriptor, $0.baseAddress, &size) }
    }
    return UInt16(bigEndian: address.sin_port)
  }

  func accept() throws -> Socket { try Socket(descriptor: Glibc.accept(descriptor, nil, nil)) }

  func write(_ bytes: [UInt8]) throws {
    guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
      throw Failure("send: errno \(errno)")
    }
  }

  /// Some bytes; none at the end of the stream.
  func read() throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    guard count >= 0 else { throw Failure("recv: errno \(errno)") }
    return Array(buffer.prefix(count))
  }

  /// Up to and without the empty line.
  func head() throws -> String {
    let end = Array("\r\n\r\n".utf8)
    while true {
      if let range = pending.firstRange(of: end) {
        defer { pending.removeSubrange(..<range.upperBound) }
        return String(decoding: pending[..<range.lowerBound], as: UTF8.self)
      }
      let more = try read()
      if more.isEmpty { throw Failure("the stream ended within a head: \(pending.count) bytes") }
      pending += more
    }
  }

  /// Sends an HTTP/1.1 request and reads its answer.
  func request(_ text: String) throws -> Response {
    try write(Array(text.utf8))
    return try response()
  }

  /// An HTTP/1.1 answer: of a given length, or to the end of the stream.
  func response() throws -> Response {
    let lines = try head().split(separator: "\r\n")
    let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    guard let status else { throw Failure("no status line: \(lines)") }
    let length = lines.first { $0.lowercased().hasPrefix("content-length:") }?.split(separator: " ").last
    while let more = try needsMore(length.flatMap { Int($0) }) { pending += more }
    defer { pending = [] }
    return Response(status: status, body: String(decoding: pending, as: UTF8.self))
  }

  /// Exactly so many bytes.
  func read(_ count: Int) throws -> [UInt8] {
    while let more = try needsMore(count) { pending += more }
    guard pending.count >= count else { throw Failure("the stream ended") }
    defer { pending.removeFirst(count) }
    return Array(pending.prefix(count))
  }

  private func needsMore(_ length: Int?) throws -> [UInt8]? {
    if let length, pending.count >= length { return nil }
    let more = try read()
    return more.isEmpty ? nil : more
  }
}
