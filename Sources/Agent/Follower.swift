import CLinux
import CMicrohttpd
import Glibc

/// One client of a stream: a bounded queue of lines. What does not fit is counted, and the count is said in
/// the stream as `{"dropped":n}` as soon as there is room.
final class Follower {
  /// Bytes that may wait for a slow client.
  static let limit = 128 * 1024

  fileprivate(set) var isClosed = false
  var connection: OpaquePointer?
  /// Called when the connection has something to send again.
  var resumed: () -> Void = {}
  /// Called once, when the connection is gone.
  var closed: () -> Void = {}
  /// As `closed`, for who feeds the stream.
  private let onClosed: () -> Void
  private var waiting: [UInt8] = []
  private var sent = 0
  private var dropped = 0
  private var isSuspended = false
  private var isEnding = false
  private var isFinishing = false

  init(onClosed: @escaping () -> Void = {}) { self.onClosed = onClosed }

  func push(_ line: String) {
    if isClosed || isEnding { return }
    if waiting.count - sent + line.utf8.count + 1 > Follower.limit {
      dropped += 1
      return
    }
    sayDropped()
    waiting.append(contentsOf: line.utf8)
    waiting.append(UInt8(ascii: "\n"))
    wake()
  }

  /// What waits is not sent any more.
  func end() {
    isEnding = true
    wake()
  }

  /// Ends it when what waits has been sent.
  func finish() {
    isFinishing = true
    wake()
  }

  var isHungUp: Bool {
    guard let connection, !isClosed else { return false }
    // POLLRDHUP by its epoll name; the numbers are the same.
    let events = Int16(truncatingIfNeeded: EPOLLRDHUP.rawValue)
    var entry = pollfd(fd: weir_http_client(connection), events: events, revents: 0)
    return poll(&entry, 1, 0) > 0
  }

  private func wake() {
    guard isSuspended, let connection else { return }
    isSuspended = false
    MHD_resume_connection(connection)
    resumed()
  }

  private func sayDropped() {
    if dropped == 0 { return }
    waiting.append(contentsOf: "{\"dropped\":\(dropped)}\n".utf8)
    dropped = 0
  }

  private func take(into buffer: UnsafeMutablePointer<CChar>, _ size: Int) -> Int {
    if isEnding { return -1 }
    if sent == waiting.count {
      waiting.removeAll(keepingCapacity: waiting.capacity <= 16384)
      sent = 0
      sayDropped()
    }
    let count = min(size, waiting.count - sent)
    if count == 0 && isFinishing { return -1 }
    if count == 0 {
      // 0 without a suspension would be asked again at once, for ever.
      isSuspended = true
      if let connection { MHD_suspend_connection(connection) }
      return 0
    }
    waiting.withUnsafeBytes { bytes in
      if let source = bytes.baseAddress { memcpy(buffer, source + sent, count) }
    }
    sent += count
    return count
  }

  static let read: MHD_ContentReaderCallback = { context, _, buffer, size in
    guard let context, let buffer else { return -2 }
    return Unmanaged<Follower>.fromOpaque(context).takeUnretainedValue().take(into: buffer, size)
  }

  static let released: MHD_ContentReaderFreeCallback = { context in
    guard let context else { return }
    let follower = Unmanaged<Follower>.fromOpaque(context).takeRetainedValue()
    follower.isClosed = true
    follower.connection = nil
    follower.closed()
    follower.onClosed()
  }
}
