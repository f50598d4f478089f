import Glibc
import Policy
import Testing

@testable import Proxies

/// What an Envoy between client and backend does to what they say.
@Suite(
  .serialized,
  .enabled(if: InstalledEnvoy.isExpected, "no Envoy: scripts/install-envoy .build/envoy"))
struct TransparencyTests {
  private let everybody = Envoy.rules(
    [
      L7Rule(
        name: "all", target: 1, identities: nil, ports: nil,
        require: [[RequestMatch(notPaths: [.prefix("/refused")])]], unless: [])
    ], generation: 1
  ) { _ in [CIDR(base: IPAddress(v4: 0x7f00_0000), prefix: 104)] }

  /// Envoy before a backend that listens and does nothing on its own.
  private func withBackend(_ body: (LiveEnvoy, Socket) throws -> Void) throws {
    let envoy = try LiveEnvoy(rules: everybody)
    defer { envoy.stop() }
    let backend = try Socket(listening: 0)
    let routes: Parsed = [["match": ["prefix": "/"], "route": ["cluster": "original", "timeout": "0s"]]]
    try envoy.start(try envoy.bootstrap(routes: routes, upstream: backend.port))
    try body(envoy, backend)
  }

  @Test("A request's head reaches the backend as it was sent, but for its path's dot segments and one header")
  func head() throws {
    try withBackend { (envoy, backend) throws in
      let fields = [
        "Host: API.shop:80", "X-Forwarded-For: 192.0.2.1", "X-Request-Id: mine",
        "X-Forwarded-Client-Cert: mine",
        "x-envoy-something: mine", "User-Agent: Test", "Expect: 100-continue", "Content-Length: 0",
      ]
      let client = try Socket(connecting: envoy.port)
      let head = (["POST /a/../b//c%2Fd?q=%2F HTTP/1.1"] + fields).joined(separator: "\r\n")
      try client.write(Array((head + "\r\n\r\n").utf8))
      let peer = try backend.accept()
      let lines = try peer.head().split(separator: "\r\n").map(String.init)
      #expect(lines == ["POST /b//c%2Fd?q=%2F HTTP/1.1"] + fields + ["x-forwarded-proto: http"])

      try peer.write(
        Array("HTTP/1.1 299 Mine\r\nServer: Mine\r\nDate: now\r\nContent-Length: 2\r\n\r\nok".utf8))
      #expect(
        try client.head().split(separator: "\r\n").map(String.init).sorted() == [
          "Content-Length: 2", "Date: now", "HTTP/1.1 299 Mine", "Server: Mine",
        ])
    }
  }

  @Test("A websocket passes in both directions")
  func websocket() throws {
    try withBackend { (envoy, backend) throws in
      let client = try Socket(connecting: envoy.port)
      let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
      try client.write(Array("GET /ws HTTP/1.1\r\nHost: h\r\n\(upgrade)".utf8))
      let peer = try backend.accept()
      #expect(try peer.head().contains("websocket"))
      try peer.write(Array("HTTP/1.1 101 Switching Protocols\r\n\(upgrade)".utf8))
      #expect(try client.head().hasPrefix("HTTP/1.1 101"))
      try client.write(Array("ping".utf8))
      #expect(try peer.read(4) == Array("ping".utf8))
      try peer.write(Array("pong".utf8))
      #expect(try client.read(4) == Array("pong".utf8))
    }
  }

  @Test("HTTP/2 with prior knowledge is judged like HTTP/1.1, and reaches the backend as HTTP/2")
  func http2() throws {
    try withBackend { (envoy, backend) throws in
      // RFC 9113: the preface, an empty SETTINGS, and HEADERS that end the stream.
      let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
      func request(_ path: String) -> [UInt8] {
        func literal(_ index: UInt8, _ text: String) -> [UInt8] {
          [0x40 | index, UInt8(text.utf8.count)] + text.utf8
        }
        // RFC 7541 appendix A: 2 is `:method GET`, 6 `:scheme http`, 4 names `:path`, 1 `:authority`.
        let block = [0x82, 0x86] + literal(4, path) + literal(1, "h")
        return preface + [0, 0, 0, 4, 0, 0, 0, 0, 0] + [0, 0, UInt8(block.count), 1, 5, 0, 0, 0, 1] + block
      }
      let refused = try Socket(connecting: envoy.port)
      try refused.write(request("/refused"))
      var type: UInt8 = 0
      var payload: [UInt8] = []
      // The first DATA frame (type 0) is the body of Envoy's own answer; SETTINGS and HEADERS come before it.
      repeat {
        let header = try refused.read(9)
        type = header[3]
        payload = try refused.read(Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2]))
      } while type != 0
      #expect(String(decoding: payload, as: UTF8.self) == "RBAC: access denied")

      let passed = try Socket(connecting: envoy.port)
      try passed.write(request("/passed"))
      #expect(try backend.accept().read(preface.count) == preface)
    }
  }
}
