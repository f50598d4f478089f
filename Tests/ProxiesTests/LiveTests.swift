import Glibc
import Policy
import Testing

@testable import Proxies

/// With a real Envoy. Identities are shown to it as 127.0.1.IDENTITY, addresses a test can have without the
/// kernel half.
@Suite(
  .serialized,
  .enabled(if: InstalledEnvoy.isExpected, "no Envoy: scripts/install-envoy .build/envoy"))
struct LiveTests {
  private static let answer: Parsed = [
    ["match": ["prefix": "/"], "direct_response": ["status": 200, "body": ["inline_string": "passed"]]]
  ]

  private static func client(_ identity: UInt32) -> UInt32 { 0x7f00_0100 + identity }

  /// The rules as the agent writes them, but for where identities are.
  private static func rules(_ rules: [L7Rule], generation: UInt32) -> String {
    Envoy.rules(rules, generation: generation) { rule in
      rule.identities.map { $0.map { CIDR(base: IPAddress(v4: client($0)), prefix: 128) } }
        ?? [CIDR(base: IPAddress(v4: client(0)), prefix: 120)]
    }
  }

  private func withEnvoy(_ rules: String, _ body: (LiveEnvoy) throws -> Void) throws {
    let envoy = try LiveEnvoy(rules: rules)
    defer { envoy.stop() }
    try envoy.start(try envoy.bootstrap(routes: Self.answer))
    try body(envoy)
  }

  /// `METHOD TARGET HOST`, on a connection of its own.
  private func status(_ envoy: LiveEnvoy, _ words: String, from source: UInt32, headers: String = "") throws
    -> Int
  {
    let parts = words.split(separator: " ", omittingEmptySubsequences: false)
    let head = "\(parts[0]) \(parts[1]) HTTP/1.1\r\nHost: \(parts[2])\r\n\(headers)Connection: close\r\n\r\n"
    return try Socket(connecting: envoy.port, from: source).request(head).status
  }

  @Test("Envoy is there where tests must not be skipped")
  func installed() {
    #expect(InstalledEnvoy.isThere, "\(InstalledEnvoy.path) is missing: scripts/install-envoy .build/envoy")
  }

  @Test("A stock Envoy takes the bootstrap, for one family or both")
  func validate() throws {
    let envoy = try LiveEnvoy()
    defer { envoy.stop() }
    for addresses in [
      [IPAddress(v4: 0x7f00_0001)], [IPAddress(bits: 1)], [IPAddress(v4: 1), IPAddress(bits: 1)],
    ] {
      let text = Envoy.bootstrap(for: proxy(addresses, port: envoy.port), paths: envoy.paths)
      #expect(try envoy.validate(text) == nil)
    }
    let misspelt = Envoy.bootstrap(for: proxy([IPAddress(bits: 1)], port: envoy.port), paths: envoy.paths)
      .replacing("normalize_path", with: "normalise_path")
    #expect(try envoy.validate(misspelt) != nil)
  }

  @Test("Requests pass and are refused as the table of expectations says")
  func table() throws {
    let rules = Expectation.table.enumerated().map { index, expectation in
      L7Rule(
        name: "rules[\(index)]", target: 1, identities: [UInt32(index + 1)], ports: nil,
        require: [expectation.allow], unless: expectation.unless)
    }
    try withEnvoy(Self.rules(rules, generation: 1)) { (envoy) throws in
      #expect(try envoy.acknowledgement(generation: 1).generation == 1)
      for (index, expectation) in Expectation.table.enumerated() {
        let source = Self.client(UInt32(index + 1))
        for request in expectation.passes {
          #expect(try status(envoy, request, from: source) == 200, "rules[\(index)]: \(request)")
        }
        for request in expectation.refused {
          #expect(try status(envoy, request, from: source) == 403, "rules[\(index)]: \(request)")
        }
      }
    }
  }

  @Test("A rule counts for its sources and its ports only, whatever a client writes into its headers")
  func sources() throws {
    let envoy = try LiveEnvoy()
    defer { envoy.stop() }
    let port = envoy.port
    func rule(_ identities: [UInt32]?, ports: [ClosedRange<UInt16>]?) -> L7Rule {
      L7Rule(
        name: "same name", target: 1, identities: identities, ports: ports, require: [],
        unless: [])
    }
    try envoy.put(
      Self.rules(
        [
          rule([1, 2], ports: nil), rule([3], ports: [port...port]),
          rule([4], ports: [1...1, port - 1...port + 1]),
          rule([5], ports: [port + 1...65535]), rule([6], ports: [1...port - 1]),
          rule([7], ports: [1...port]),
        ], generation: 1))
    try envoy.start(try envoy.bootstrap(routes: Self.answer))
    for (identity, expected) in [1: 200, 2: 200, 3: 200, 4: 200, 5: 403, 6: 403, 7: 200, 8: 403]
      as [UInt32: Int]
    {
      #expect(try status(envoy, "GET / h", from: Self.client(identity)) == expected, "identity \(identity)")
    }
    let forged = "x-forwarded-for: 127.0.1.1\r\nx-real-ip: 127.0.1.1\r\nforwarded: for=127.0.1.1\r\n"
    #expect(try status(envoy, "GET / h", from: Self.client(8), headers: forged) == 403)
    let six = try Socket(connecting: port, family: AF_INET6)
    #expect(try six.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 403)

    try envoy.put(Self.rules([rule(nil, ports: nil)], generation: 2))
    #expect(try envoy.acknowledgement(generation: 2).generation == 2)
    #expect(try status(envoy, "GET / h", from: Self.client(8)) == 200)
    #expect(try status(envoy, "GET / h", from: 0x7f00_0201) == 403)
  }

  @Test("A renamed file is in force on an open connection; a bad one is refused and changes nothing")
  func update() throws {
    func only(_ path: String, generation: UInt32) -> String {
      Self.rules(
        [
          L7Rule(
            name: "AuthorizationPolicy shop/api rules[0]", target: 1, identities: [1], ports: nil,
            require: [[RequestMatch(paths: [.exact(path)])]], unless: [])
        ], generation: generation)
    }
    try withEnvoy(only("/one", generation: 1)) { (envoy) throws in
      let open = try Socket(connecting: envoy.port, from: Self.client(1))
      func answers() throws -> [Int] {
        try ["/one", "/two"].map { try open.request("GET \($0) HTTP/1.1\r\nHost: h\r\n\r\n").status }
      }
      #expect(try answers() == [200, 403])

      try envoy.put(only("/two", generation: 2))
      #expect(try envoy.acknowledgement(generation: 2) == .init(generation: 2, refusals: 0))
      #expect(try answers() == [403, 200])

      let bad = [
        only("/one", generation: 3).replacing("destination", with: "x") + "}",
        only("/one", generation: 4).replacing("exact", with: "exakt"),
        only("/one", generation: 5).replacing("127.0.1.1", with: "127.0.1.x"),
        #"{"version_info":"6","resources":[]}"#,
      ]
      for (count, text) in bad.enumerated() {
        try envoy.put(text)
        #expect(
          try envoy.acknowledgement(generation: 2, refusals: count + 1)
            == .init(generation: 2, refusals: count + 1), "\(text)")
        #expect(try answers() == [403, 200])
      }

      try envoy.put(Envoy.rules([], generation: 7))
      #expect(try envoy.acknowledgement(generation: 7).generation == 7)
      #expect(try answers() == [403, 403])

      // As the agent writes them, with the addresses only the kernel half can give a client.
      let real = [
        rule(name: "some", target: 1, identities: [1, 262_143]),
        rule(name: "all", target: 1023, identities: nil),
      ]
      try envoy.put(Envoy.rules(real, generation: 8))
      #expect(try envoy.acknowledgement(generation: 8).generation == 8)
      #expect(try answers() == [403, 403])
    }
  }

  @Test("The access log names the source, the rule and the verdict, and leaves the query out")
  func accessLog() throws {
    try withEnvoy(
      Self.rules(
        [rule(name: "AuthorizationPolicy shop/api rules[0]", target: 1, identities: [1])], generation: 1)
    ) { (envoy) throws in
      #expect(try status(envoy, "GET /a?secret=1 h", from: Self.client(1)) == 200)
      #expect(try status(envoy, "POST /b h:1", from: Self.client(2)) == 403)
      let lines = try envoy.accessLog(lines: 2).map { try Parsed($0) }
      try #require(lines.count == 2)
      let wanted: [[String: Parsed]] = [
        [
          "code": 200, "source": "127.0.1.1", "method": "GET", "host": "h", "path": "/a",
          "verdict": "allowed",
          "rule": "AuthorizationPolicy shop/api rules[0]",
        ],
        [
          "code": 403, "source": "127.0.1.2", "method": "POST", "host": "h:1", "path": "/b",
          "verdict": "denied",
          "rule": .null, "details": "rbac_access_denied_matched_policy[none]",
        ],
      ]
      for (line, wanted) in zip(lines, wanted) {
        for (key, value) in wanted { #expect(line[key] == value, "\(key)") }
      }
    }
  }

  @Test("An Envoy that was killed starts again over what it left, with the rules in the file")
  func restart() throws {
    let rules = [rule(name: "all", target: 1, identities: [1])]
    try withEnvoy(Self.rules(rules, generation: 1)) { (envoy) throws in
      envoy.kill()
      try envoy.start(try envoy.bootstrap(routes: Self.answer))
      #expect(try status(envoy, "GET / h", from: Self.client(1)) == 200)
    }
  }
}
