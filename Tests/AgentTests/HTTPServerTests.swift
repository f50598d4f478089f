import Glibc
import Testing

@testable import Agent

/// A server and its clients on one thread: the loop is turned until the client has what it waits for.
struct HTTPServerTests {
  private let place = TemporaryDirectory()
  private let loop: EventLoop
  private let server: HTTPServer
  private let follower: Follower
  private let closed = Counter()

  final class Counter { var value = 0 }

  private var socket: String { "\(place.path)/s" }

  init() throws {
    loop = try EventLoop()
    let closed = closed
    let follower = Follower { closed.value += 1 }
    self.follower = follower
    server = try HTTPServer(
      listener: try Listeners.unix("\(place.path)/s"), loop: loop,
      routes: [
        "/text": ("GET", { .text(200, "hello") }), "/flows": ("GET", { .stream(follower) }),
        "/large": (
          "GET", { .whole(status: 200, type: "text/plain", body: String(repeating: "x", count: 300_000)) }
        ),
        "/reload": ("POST", { .whole(status: 422, type: "application/json", body: "{}") }),
      ])
  }

  private func open(_ method: String, _ target: String) throws -> UnixConnection {
    try UnixConnection(socket, method: method, target: target, milliseconds: 1000)
  }

  /// The next piece; empty where none came in two seconds, nil at the end.
  private func piece(_ connection: UnixConnection) throws -> String? {
    let limit = Clock.monotonic() + 2_000_000_000
    while Clock.monotonic() < limit {
      loop.turn(maximumMilliseconds: 5)
      do throws(SystemError) {
        guard let bytes = try connection.next(milliseconds: 0) else { return nil }
        if !bytes.isEmpty { return String(decoding: bytes, as: UTF8.self) }
      } catch {
        guard error.code == ETIMEDOUT else { throw error }
      }
    }
    return ""
  }

  private func ask(_ method: String, _ target: String) throws -> (Int?, String) {
    let connection = try open(method, target)
    var body = ""
    while let text = try piece(connection), !text.isEmpty { body += text }
    return (connection.status, body)
  }

  @Test func aPathAnswersItsMethod() throws {
    #expect(try ask("GET", "/text") == (200, "hello\n"))
    #expect(try ask("GET", "/text?x=y") == (200, "hello\n"))
    #expect(try ask("POST", "/reload") == (422, "{}"))
    #expect(try ask("GET", "/large").1.utf8.count == 300_000)
  }

  @Test func anUnknownPathIs404AndAWrongMethod405() throws {
    #expect(try ask("GET", "/nothing") == (404, "no such path: /flows /large /reload /text\n"))
    #expect(try ask("GET", "/reload") == (405, "/reload takes POST\n"))
    #expect(try ask("DELETE", "/text") == (405, "/text takes GET\n"))
  }

  @Test func aStreamWaitsWithoutTurningAndThenGoesOn() throws {
    let connection = try open("GET", "/flows")
    for _ in 0..<5 { loop.turn(maximumMilliseconds: 5) }
    let began = Clock.monotonic()
    loop.turn(maximumMilliseconds: 50)
    // Had the library asked for more at once, this turn would have come back early.
    #expect(Clock.monotonic() - began >= 45_000_000)
    follower.push("one")
    #expect(try piece(connection) == "one\n")
    follower.push("two")
    follower.push("three")
    #expect(try piece(connection) == "two\nthree\n")
    #expect(closed.value == 0)
    server.stop()
    #expect(try piece(connection) == nil)
    #expect(closed.value == 1)
  }

  @Test func aReaderThatWentAwayIsNoticedWhileNothingHappens() throws {
    var connection: UnixConnection? = try open("GET", "/flows")
    follower.push("one")
    if let connection { #expect(try piece(connection) == "one\n") }
    server.dropHungUp()
    for _ in 0..<5 { loop.turn(maximumMilliseconds: 5) }
    #expect(closed.value == 0)
    connection = nil
    server.dropHungUp()
    for _ in 0..<20 where closed.value == 0 { loop.turn(maximumMilliseconds: 20) }
    #expect(closed.value == 1)
  }

  @Test func whatASlowReaderMissesIsCountedInTheStream() throws {
    let connection = try open("GET", "/flows")
    for _ in 0..<5 { loop.turn(maximumMilliseconds: 5) }
    let line = String(repeating: "x", count: 1023)
    // Nothing is sent between the pushes: only the queue's bytes fit.
    for _ in 0..<200 { follower.push(line) }
    var text = ""
    while !text.hasSuffix("}\n"), let more = try piece(connection), !more.isEmpty { text += more }
    let lines = text.split(separator: "\n")
    #expect(lines.count == Follower.limit / 1024 + 1)
    #expect(lines.last == "{\"dropped\":\(200 - Follower.limit / 1024)}")
  }

  @Test func aClientThatSaysNothingUsefulHurtsNobody() throws {
    let address = try #require(SocketAddress(unix: socket))
    let garbage = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(garbage) }
    #expect(address.withPointer { connect(garbage, $0, $1) } == 0)
    let bytes = [UInt8](repeating: 0xff, count: 40_000)
    _ = send(garbage, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
    #expect(try ask("GET", "/text") == (200, "hello\n"))
  }
}
