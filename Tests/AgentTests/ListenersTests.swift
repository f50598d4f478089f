import Glibc
import Testing

@testable import Agent

struct ListenersTests {
  private let place = TemporaryDirectory()

  @Test func theSocketIsForItsOwnerOnly() throws {
    let path = "\(place.path)/s"
    let descriptor = try Listeners.unix(path)
    defer { close(descriptor) }
    var information = stat()
    #expect(stat(path, &information) == 0)
    #expect(information.st_mode & 0o7777 == 0o600)
  }

  @Test func aSocketNobodyListensBehindIsReplacedALiveOneIsAnotherAgent() throws {
    let path = "\(place.path)/s"
    let first = try Listeners.unix(path)
    #expect(throws: Failure("\(path): another agent answers there; stop it first or name another --run-dir"))
    {
      try Listeners.unix(path)
    }
    close(first)
    let second = try Listeners.unix(path)
    close(second)
  }

  @Test func aFileThatIsNoSocketIsLeftAlone() throws {
    place.write("s", "precious")
    #expect(throws: Failure.self) { try Listeners.unix("\(place.path)/s") }
    #expect(try Files.read("\(place.path)/s", limit: 100) == Array("precious".utf8))
  }

  @Test func aBusyAddressIsSaid() throws {
    let (descriptor, address) = try Listeners.tcp("127.0.0.1:0")
    defer { close(descriptor) }
    #expect(address.hasPrefix("127.0.0.1:") && address != "127.0.0.1:0")
    #expect {
      try Listeners.tcp(address)
    } throws: { error in
      "\(error)" == "bind metrics address \(address): EADDRINUSE; another program listens there; "
        + "name another with --metrics"
    }
  }

  @Test(arguments: ["9464", "localhost:80", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "::1:80:", ""])
  func anAddressThatIsNoneIsSaid(text: String) {
    #expect {
      try Listeners.tcp(text)
    } throws: { error in
      "\(error)" == "metrics address \"\(text)\": write ADDRESS:PORT, as in 127.0.0.1:9464 or [::1]:9464"
    }
  }

  @Test func aPathTooLongForASocketIsSaid() {
    let path = "/tmp/" + String(repeating: "x", count: 120)
    #expect(throws: Failure("\(path): a socket's path can have 107 bytes; name a shorter --run-dir")) {
      try Listeners.unix(path)
    }
  }

  @Test func addressesAreWrittenAsPeopleWriteThem() throws {
    for text in ["10.0.0.5", "fd00::5", "::1", "255.255.255.255"] {
      #expect(AddressText.of(try #require(AddressText.parse(text))) == text)
    }
    for text in ["", "10.0.0", "10.0.0.5/8", "010.0.0.1", "fe80::1%lo", "x"] {
      #expect(AddressText.parse(text) == nil, "\(text)")
    }
    #expect(SocketAddress("::1", port: 80)?.description == "[::1]:80")
  }
}
