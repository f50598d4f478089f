import Glibc

/// Listening sockets, bound before libmicrohttpd gets them, so that a busy address is one clear line.
enum Listeners {
  /// Whether both could be bound, as far as that can be known while another agent listens there.
  static func check(_ configuration: Configuration) throws(Failure) {
    let (host, _) = try parse(configuration.metrics)
    close(try tcp(host.contains(":") ? "[\(host)]:0" : "\(host):0").descriptor)
    guard SocketAddress(unix: configuration.socket) != nil else { throw tooLong(configuration.socket) }
  }

  private static func parse(_ text: String) throws(Failure) -> (host: String, port: UInt16) {
    let wrong = Failure("metrics address \"\(text)\": write ADDRESS:PORT, as in 127.0.0.1:9464 or [::1]:9464")
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw wrong
    }
    var host = String(text[..<colon])
    if host.hasPrefix("[") && host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    guard SocketAddress(host, port: port) != nil else { throw wrong }
    return (host, port)
  }

  private static func tooLong(_ path: String) -> Failure {
    Failure("\(path): a socket's path can have 107 bytes; name a shorter --run-dir")
  }

  /// `ADDRESS:PORT` or `[ADDRESS]:PORT`; port 0 takes a free one. Answers the descriptor and what was bound.
  static func tcp(_ text: String) throws(Failure) -> (descriptor: Int32, address: String) {
    let (host, port) = try parse(text)
    guard let address = SocketAddress(host, port: port) else { throw Failure("metrics address \"\(text)\"") }
    let descriptor = socket(
      Int32(address.family), Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    if descriptor < 0 { throw Failure(SystemError("socket", text)) }
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    if address.withPointer({ bind(descriptor, $0, $1) }) != 0 || listen(descriptor, 64) != 0 {
      let error = SystemError("bind metrics address", text)
      close(descriptor)
      let hint = error.code == EADDRINUSE ? "another program listens there; name another with --metrics" : ""
      throw Failure(error, hint: hint)
    }
    return (descriptor, bound(descriptor) ?? text)
  }

  /// A Unix socket with mode 0600. A socket file that nobody listens behind is replaced; a live one is
  /// another agent.
  static func unix(_ path: String) throws(Failure) -> Int32 {
    guard let address = SocketAddress(unix: path) else { throw tooLong(path) }
    if UnixConnection.isAlive(path) {
      throw Failure("\(path): another agent answers there; stop it first or name another --run-dir")
    }
    if Files.kind(path).map({ $0 != S_IFSOCK }) ?? false {
      throw Failure("\(path): is there and is no socket; remove it or name another --run-dir")
    }
    unlink(path)
    let descriptor = socket(
      AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    if descriptor < 0 { throw Failure(SystemError("socket", path)) }
    // By the mask, not by chmod after: there is no moment in which others may connect.
    let mask = umask(0o177)
    let result = address.withPointer { bind(descriptor, $0, $1) }
    let code = errno
    umask(mask)
    if result != 0 || listen(descriptor, 64) != 0 {
      close(descriptor)
      throw Failure(SystemError("bind", path, code: result != 0 ? code : errno))
    }
    return descriptor
  }

  private static func bound(_ descriptor: Int32) -> String? {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
    }
    return result == 0 ? SocketAddress(storage, size).description : nil
  }
}

/// A socket address of any family.
struct SocketAddress: CustomStringConvertible {
  private var storage = sockaddr_storage()
  private var size: socklen_t = 0

  init(_ storage: sockaddr_storage, _ size: socklen_t) {
    self.storage = storage
    self.size = size
  }

  /// A numeric IPv4 or IPv6 address.
  init?(_ host: String, port: UInt16) {
    var v4 = sockaddr_in()
    var v6 = sockaddr_in6()
    if inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
      v4.sin_family = sa_family_t(AF_INET)
      v4.sin_port = port.bigEndian
      put(v4)
    } else if inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 {
      v6.sin6_family = sa_family_t(AF_INET6)
      v6.sin6_port = port.bigEndian
      put(v6)
    } else {
      return nil
    }
  }

  /// A path, or with `@` in front a name in the abstract namespace. nil where it is too long.
  init?(unix path: String) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(path.utf8)
    guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path), !bytes.contains(0)
    else {
      return nil
    }
    let isAbstract = bytes[0] == UInt8(ascii: "@")
    if isAbstract { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    put(address)
    // An abstract name is exactly as long as said; a path ends at its NUL.
    if isAbstract { size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count) }
  }

  var family: sa_family_t { storage.ss_family }

  func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    withUnsafePointer(to: storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, size) }
    }
  }

  /// `127.0.0.1:80` or `[::1]:80`.
  var description: String {
    withUnsafeBytes(of: storage) { bytes in
      if Int32(family) == AF_INET {
        let value = bytes.load(as: sockaddr_in.self)
        return "\(AddressText.v4(value.sin_addr)):\(UInt16(bigEndian: value.sin_port))"
      }
      if Int32(family) == AF_INET6 {
        let value = bytes.load(as: sockaddr_in6.self)
        return "[\(AddressText.v6(value.sin6_addr))]:\(UInt16(bigEndian: value.sin6_port))"
      }
      return "unix"
    }
  }

  private mutating func put<T>(_ value: T) {
    withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: value, as: T.self) }
    size = socklen_t(MemoryLayout<T>.size)
  }
}
