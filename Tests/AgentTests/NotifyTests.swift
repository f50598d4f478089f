import Glibc
import Testing

@testable import Agent

@Suite(.serialized) struct NotifyTests {
  /// What arrives where NOTIFY_SOCKET points while `body` runs.
  private func received(at path: String, _ body: () -> Void) throws -> String {
    let address = try #require(SocketAddress(unix: path))
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    #expect(address.withPointer { bind(descriptor, $0, $1) } == 0)
    setenv("NOTIFY_SOCKET", path, 1)
    defer { unsetenv("NOTIFY_SOCKET") }
    body()
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
  }

  @Test func aPathGetsTheState() throws {
    let place = TemporaryDirectory()
    #expect(try received(at: "\(place.path)/n") { Notify.ready() } == "READY=1")
  }

  @Test func anAbstractNameGetsTheState() throws {
    let text = try received(at: "@weir-notify-\(getpid())") { Notify.reloading() }
    #expect(text.hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
  }

  @Test func withoutASocketNothingHappens() {
    unsetenv("NOTIFY_SOCKET")
    Notify.stopping()
  }
}
