import CMicrohttpd
import Glibc

/// What a client gets: a whole answer, or a stream that goes on until one of the two sides ends it.
enum HTTPResponse {
  case whole(status: UInt32, type: String, body: String)
  case stream(Follower)

  static func text(_ status: UInt32, _ body: String) -> HTTPResponse {
    .whole(status: status, type: "text/plain; charset=utf-8", body: body + "\n")
  }
}

/// HTTP/1.1 by libmicrohttpd on one listening socket, run by the agent's event loop. At most 64 connections
/// of 16 KiB each; a client that is silent for 10 s is dropped.
final class HTTPServer {
  static let connections: UInt32 = 64
  static let memoryPerConnection = 16 * 1024
  static let timeoutSeconds: UInt32 = 10
  /// Request bodies have no use here; one larger than this ends the connection.
  static let bodyLimit = 64 * 1024

  /// Path to its one method and what answers it. GET answers HEAD too.
  typealias Routes = [String: (method: String, answer: () -> HTTPResponse)]
  /// What a client gets instead of an answer, by its socket; nil for one that is served.
  typealias Refusal = (Int32) -> HTTPResponse?

  /// Asked about a GET whose path is none of the routes; nil: there is no such path.
  var elsewhere: (String) -> HTTPResponse? = { _ in nil }

  private var daemon: OpaquePointer?
  private let routes: Routes
  private let refusal: Refusal
  private let loop: EventLoop
  private var descriptor: Int32 = -1
  private var followers: [Follower] = []
  /// The request that is being answered.
  private var current: OpaquePointer?
  /// A stream was woken. Without threads libmicrohttpd does not make its descriptor readable for that.
  private var isRunDue = false

  /// Takes the listening socket over.
  init(
    listener: Int32, loop: EventLoop, routes: Routes, refusal: @escaping Refusal = { _ in nil }
  ) throws(SystemError) {
    self.routes = routes
    self.refusal = refusal
    self.loop = loop
    daemon = weir_http_start(
      listener, HTTPServer.connections, HTTPServer.memoryPerConnection, HTTPServer.timeoutSeconds,
      HTTPServer.access, HTTPServer.completed, Unmanaged.passUnretained(self).toOpaque())
    guard let daemon else { throw SystemError("MHD_start_daemon", "descriptor \(listener)") }
    descriptor = weir_http_descriptor(daemon)
    try loop.onReadable(descriptor) { [unowned self] in run() }
    loop.eachTurn { [weak self] in self?.untilTimeout() }
  }

  deinit { stop() }

  func stop() {
    guard let daemon else { return }
    self.daemon = nil
    loop.forget(descriptor)
    // A suspended connection must not meet MHD_stop_daemon; and a stream that is ended properly is no error
    // to its reader. One round resumes, the next ones write the end.
    for follower in followers { follower.end() }
    for _ in 0..<8 where !followers.isEmpty { MHD_run(daemon) }
    MHD_stop_daemon(daemon)
  }

  /// A suspended connection does not notice that its client went: ends the streams of those that did.
  func dropHungUp() {
    for follower in followers where follower.isHungUp { follower.end() }
  }

  private func run() {
    isRunDue = false
    if let daemon { MHD_run(daemon) }
  }

  /// libmicrohttpd's own deadlines; what is due at once is done at once, so that the loop never waits 0 ms
  /// for it twice.
  private func untilTimeout() -> Int32? {
    var milliseconds: UInt64 = 0
    if isRunDue { run() }
    guard let daemon, MHD_get_timeout(daemon, &milliseconds) == MHD_Result.YES else { return nil }
    if milliseconds > 0 { return Int32(clamping: milliseconds) }
    run()
    return MHD_get_timeout(daemon, &milliseconds) == MHD_Result.YES ? Int32(clamping: milliseconds) : nil
  }

  private static let access: MHD_AccessHandlerCallback = {
    context, connection, path, method, _, body, bodySize, state in
    guard let context, let connection, let path, let method, let bodySize, let state else {
      return MHD_Result.NO
    }
    let server = Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue()
    guard let received = state.pointee?.assumingMemoryBound(to: Int.self) else {
      // Before anything it may send is taken; the connection is closed after the answer.
      if let refused = server.refusal(weir_http_client(connection)) { return server.queue(refused, connection) }
      // The first call has the head only; an answer now would close a connection that could be kept.
      let counter = UnsafeMutablePointer<Int>.allocate(capacity: 1)
      counter.initialize(to: 0)
      state.pointee = UnsafeMutableRawPointer(counter)
      return MHD_Result.YES
    }
    if body != nil && bodySize.pointee > 0 {
      received.pointee += bodySize.pointee
      bodySize.pointee = 0
      return received.pointee > HTTPServer.bodyLimit ? MHD_Result.NO : MHD_Result.YES
    }
    return server.answer(connection, method: String(cString: method), path: String(cString: path))
  }

  private static let completed: MHD_RequestCompletedCallback = { _, _, state, _ in
    state?.pointee?.assumingMemoryBound(to: Int.self).deallocate()
    state?.pointee = nil
  }

  private func answer(_ connection: OpaquePointer, method: String, path: String) -> MHD_Result {
    guard let route = routes[path] else {
      if method == "GET", let answer = elsewhere(path) { return queue(answer, connection) }
      return queue(.text(404, "no such path: \(routes.keys.sorted().joined(separator: " "))"), connection)
    }
    guard method == route.method || (method == "HEAD" && route.method == "GET") else {
      return queue(.text(405, "\(path) takes \(route.method)"), connection, allow: route.method)
    }
    current = connection
    defer { current = nil }
    return queue(route.answer(), connection)
  }

  /// What stands behind the path as `?name=value`; nil where it does not. For the answer of a route.
  func query(_ name: String) -> String? {
    guard let current else { return nil }
    return MHD_lookup_connection_value(current, MHD_ValueKind.GET_ARGUMENT_KIND, name).map { String(cString: $0) }
  }

  private func queue(_ response: HTTPResponse, _ connection: OpaquePointer, allow: String? = nil)
    -> MHD_Result
  {
    let code: UInt32
    let contentType: String
    let made: OpaquePointer?
    switch response {
    case .whole(let status, let type, var body):
      code = status
      contentType = type
      made = body.withUTF8 { bytes in
        MHD_create_response_from_buffer(
          bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress),
          MHD_ResponseMemoryMode.RESPMEM_MUST_COPY)
      }
    case .stream(let follower):
      code = 200
      contentType = "application/x-ndjson"
      follower.connection = connection
      follower.resumed = { [weak self] in self?.isRunDue = true }
      follower.closed = { [weak self] in self?.followers.removeAll { $0 === follower } }
      followers.append(follower)
      made = MHD_create_response_from_callback(
        UInt64.max, 8192, Follower.read, Unmanaged.passRetained(follower).toOpaque(), Follower.released)
    }
    guard let made else { return MHD_Result.NO }
    defer { MHD_destroy_response(made) }
    MHD_add_response_header(made, "Content-Type", contentType)
    if let allow { MHD_add_response_header(made, "Allow", allow) }
    return MHD_queue_response(connection, code, made)
  }
}
