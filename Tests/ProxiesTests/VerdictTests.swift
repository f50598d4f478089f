import Testing

@testable import Policy
@testable import Proxies

/// What `RequestMatch` says of a request, and what a real Envoy does with it.
@Suite(
  .serialized,
  .enabled(if: InstalledEnvoy.isExpected, "no Envoy: scripts/install-envoy .build/envoy"))
struct VerdictTests {
  private static func client(_ number: Int) -> UInt32 { 0x7f00_0100 + UInt32(number) }

  private static func text(
    _ rules: [L7Rule], shadow: [L7Rule] = [], audit: Bool = false, generation: UInt32 = 1
  ) -> String {
    Envoy.rules(rules, shadow: shadow, audit: audit, generation: generation) { rule in
      (rule.identities ?? []).map { CIDR(base: IPAddress(v4: client(Int($0))), prefix: 128) }
    }
  }

  private static func rule(
    _ number: Int, _ require: [[RequestMatch]], unless: [RequestMatch] = []
  ) -> L7Rule {
    L7Rule(
      name: "rules[\(number)]", target: 1, identities: [UInt32(number)], ports: nil, require: require,
      unless: unless)
  }

  private func withEnvoy(_ rules: String, _ body: (LiveEnvoy) throws -> Void) throws {
    let envoy = try LiveEnvoy(rules: rules)
    defer { envoy.stop() }
    let answer: Parsed = [
      ["match": ["prefix": "/"], "direct_response": ["status": 200, "body": ["inline_string": "passed"]]]
    ]
    try envoy.start(try envoy.bootstrap(routes: answer))
    #expect(try envoy.acknowledgement(generation: 1) == .init(generation: 1, refusals: 0))
    try body(envoy)
  }

  private func status(_ envoy: LiveEnvoy, _ request: Request, lines: String? = nil, from number: Int) throws
    -> Int
  {
    let headers = lines ?? request.headers.map { "\($0): \($1)\r\n" }.joined()
    return try Socket(connecting: envoy.port, from: Self.client(number)).request(
      "\(request.method) \(request.path) HTTP/1.1\r\nHost: \(request.host)\r\n\(headers)Connection: close\r\n\r\n"
    ).status
  }

  /// `METHOD TARGET HOST`, and headers with `|` between them.
  private func parse(_ words: String) -> (request: Request, lines: String) {
    let parts = words.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
    let lines = parts.count > 3 ? parts[3].split(separator: "|").map(String.init) : []
    var headers: [String: String] = [:]
    for line in lines {
      let pair = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let value = String((pair.last ?? "").drop { $0 == " " })
      headers[pair[0]] = headers[pair[0]].map { $0 + "," + value } ?? value
    }
    return (
      Request(method: parts[0], path: parts[1], host: parts[2], headers: headers),
      lines.map { $0 + "\r\n" }.joined()
    )
  }

  private func allows(_ rule: L7Rule, _ request: Request) -> Bool {
    rule.require.allSatisfy { $0.contains { $0.matches(request.normalized) } }
      && !rule.unless.contains { $0.matches(request.normalized) }
  }

  @Test("Envoy's verdict is the one that is predicted, for every line of both tables")
  func verdicts() throws {
    let table = Expectation.table + Expectation.details
    let rules = table.enumerated().map { Self.rule($0 + 1, [$1.allow], unless: $1.unless) }
    var counts = [200: 0, 403: 0]
    try withEnvoy(Self.text(rules)) { (envoy) throws in
      for (rule, expectation) in zip(rules, table) {
        let number = Int(rule.identities?.first ?? 0)
        for (words, expected) in expectation.passes.map({ ($0, 200) })
          + expectation.refused.map({ ($0, 403) })
        {
          let (request, lines) = parse(words)
          #expect(request.refusal == nil, "\(words)")
          #expect(allows(rule, request) == (expected == 200), "predicted: \(rule.require): \(words)")
          let status = try status(envoy, request, lines: lines, from: number)
          #expect(status == expected, "Envoy: \(rule.require): \(words)")
          counts[status, default: 0] += 1
        }
      }
    }
    let passed = counts[200] ?? 0
    let refused = counts[403] ?? 0
    #expect(passed + refused >= 150)
    #expect(refused * 3 >= passed + refused)
  }

  @Test(
    "So it is for every request that the rules of the tables can tell apart, and for rules that require two things"
  )
  func space() throws {
    let table = Expectation.table + Expectation.details
    let single = table.map { ([$0.allow], $0.unless) }
    // As where a CiliumNetworkPolicy and an AuthorizationPolicy both have to allow.
    let double = zip(table, table.dropFirst(7)).map { ([$0.allow, $1.allow], $0.unless) }
    let rules = (single + double).enumerated().map { Self.rule($0 + 1, $1.0, unless: $1.1) }
    var refused = 0
    var count = 0
    try withEnvoy(Self.text(rules)) { (envoy) throws in
      for rule in rules {
        let number = Int(rule.identities?.first ?? 0)
        for request in RequestSpace(rule.require.flatMap(\.self) + rule.unless, limit: 60).requests
        where request.refusal == nil {
          let expected = allows(rule, request) ? 200 : 403
          #expect(try status(envoy, request, from: number) == expected, "\(rule): \(request)")
          count += 1
          if expected == 403 { refused += 1 }
        }
      }
    }
    #expect(count > 400)
    #expect(refused * 3 > count)
  }

  @Test("Of a header that is sent more than once each value counts by itself")
  func repeated() throws {
    func rule(_ number: Int, _ values: [Match], not: [Match] = []) -> L7Rule {
      Self.rule(number, [[RequestMatch(headers: [HeaderMatch(name: "x", values: values, notValues: not)])]])
    }
    let rules = [
      rule(1, [.exact("2")]), rule(2, [.exact("1,2")]), rule(3, [], not: [.exact("2")]), rule(4, [.presence]),
      rule(5, [], not: [.presence]),
    ]
    try withEnvoy(Self.text(rules)) { (envoy) throws in
      for (number, words, expected) in [
        (1, "GET / h x: 1|x: 2", 200), (1, "GET / h x: 2|X: 1", 200), (1, "GET / h x: 2,1", 403),
        (2, "GET / h x: 1|x: 2", 403), (2, "GET / h x: 1,2", 200), (3, "GET / h x: 1|x: 2", 403),
        (3, "GET / h x: 1|x: 3", 200), (4, "GET / h x: |x: 1", 200), (4, "GET / h x: |x: ", 403),
        (5, "GET / h x: |x: 1", 403), (5, "GET / h x: |x: ", 200),
      ] {
        let (request, lines) = parse(words)
        #expect(try status(envoy, request, lines: lines, from: number) == expected, "\(number): \(words)")
      }
    }
  }

  @Test("What is called a refusal Envoy answers by itself, without asking the rules")
  func refusals() throws {
    try withEnvoy(Self.text([Self.rule(1, [])])) { (envoy) throws in
      for words in Expectation.malformed {
        let (request, lines) = parse(words)
        #expect(request.refusal != nil, "\(words)")
        #expect([400, 404].contains(try status(envoy, request, lines: lines, from: 1)), "\(words)")
      }
      #expect(try status(envoy, parse("GET / h").request, from: 1) == 200)
    }
  }

  @Test("A random path has in Envoy the form that is predicted")
  func normalisation() throws {
    var random = SystemRandomNumberGenerator()
    let pieces = [
      "/", "/", "/", ".", ".", "..", "%2e", "%2E", "\\", "a", "b", ";", "%", "%4", "%41", "%2f", "%5C", "3",
      "1", "%31", "%7E",
      "{", "\"", "?", "%zz", "..;", ".;x",
    ]
    let paths = (0..<120).map { _ in
      "/"
        + (0..<Int.random(in: 1...9, using: &random)).compactMap { _ in pieces.randomElement(using: &random) }
        .joined()
    }
    let rules = paths.enumerated().map { number, path in
      Self.rule(
        number + 1,
        [[RequestMatch(urls: [.exact(Request(method: "GET", path: path, host: "").normalized.path)])]])
    }
    var changed = 0
    try withEnvoy(Self.text(rules)) { (envoy) throws in
      for (number, path) in paths.enumerated() {
        let request = Request(method: "GET", path: path, host: "h")
        #expect(try status(envoy, request, from: number + 1) == 200, "\(path) \(request.normalized.path)")
        if request.normalized.path != path { changed += 1 }
        let other = paths.firstIndex {
          Request(method: "GET", path: $0, host: "h").normalized.path != request.normalized.path
        }
        if let other { #expect(try status(envoy, request, from: other + 1) == 403, "\(path)") }
      }
    }
    #expect(changed > 20)
  }

  @Test(
    "Envoy takes the regular expressions that have no fault, and refuses those of which RE2 is said to refuse them"
  )
  func regexes() throws {
    let good = [
      "a{,2}", "a{", "a{01}", "(?P<n>a)(?<m>b)", "(?s).", "a(?i)b", "(?U)a*?", "[]a]", "[^]a]", "[a-]",
      "[a-c-e]", "[[a]",
      "[[:^digit:]]", "\\x{e9}\\101\\07", "\\_", "\\Q(", "a^b", "(?m)a$\\b\\B", "^*a", "()|a", "(a*)*b",
      "a(?)b", "}]", "(?i)\\W",
      "[é-ü]{100}", "((\\w{10}){9}|[^a]{100}){2}", "(?-s)a", "(?i-s:a)", "\\A\\z", "(|a)+",
      "(?P<n>a)(?P<n>b)",
      ".{0,1000}.{0,1000}", "[é-ü]{1000}[^/]{1,1000}", "(a|b|[^c]){0,500}",
    ]
    let bad = [
      "a(?=b)", "(?!a)b", "(?<=a)b", "(?<!a)", "(a)\\1", "\\8", "(a", "a)", "[a", "[]", "x[a\\", "*a", "a|+",
      "({2})", "a**",
      "a{2}{3}", "a+??", "a{1001}", "a{0,1001}", "a{3,2}", "(a{40}){40}", "[b-a]", "[[:nope:]]", "a\\", "\\y",
      "\\Z", "\\G",
      "[\\b]", "\\xg0", "\\x{110000}", "\\x{", "\\x1", "(?x)a", "(?>a)", "(?#a)", "(?i-)a", "(?P=n)",
      "(?P<n)", "(?P<a-b>c)",
    ]
    func text(_ regex: String, generation: UInt32) -> String {
      let quoted = JSON.string(regex).compact
      return Self.text([Self.rule(1, [[RequestMatch(urls: [.regex("REGEX")])]])], generation: generation)
        .replacing("\"REGEX\"", with: quoted)
    }
    try withEnvoy(Self.text([], generation: 1)) { (envoy) throws in
      var generation: UInt32 = 1
      var refusals = 0
      for regex in good {
        #expect(Language.fault(inRegex: regex) == nil, "\(regex)")
        generation += 1
        try envoy.put(text(regex, generation: generation))
        #expect(
          try envoy.acknowledgement(generation: generation, refusals: refusals).generation == generation,
          "\(regex)")
      }
      for regex in bad {
        #expect(Language.fault(inRegex: regex) != nil, "\(regex)")
        refusals += 1
        try envoy.put(text(regex, generation: generation + 100))
        let answer = try envoy.acknowledgement(generation: generation, refusals: refusals)
        #expect(answer == .init(generation: generation, refusals: refusals), "\(regex)")
        refusals = answer.refusals
      }
    }
  }

  @Test("A template means what Envoy's own URI template means, for every character")
  func templates() throws {
    let template = Self.rule(1, [[RequestMatch(paths: [.template("/a.b/{*}/c/{**}")])]])
    let ours = Self.text([template])
    let regex = try #require(Match.template("/a.b/{*}/c/{**}").regex)
    let pattern = #"{"url_path":{"path":{"safe_regex":{"regex":\#(JSON.string(regex).compact)}}}}"#
    #expect(ours.contains(pattern))
    let theirs =
      #"{"uri_template":{"name":"t","typed_config":{"@type":"type.googleapis.com/"#
      + #"envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig","path_template":"/a.b/*/c/**"}}}"#
    try withEnvoy(ours) { (envoy) throws in
      var paths = [
        "/a.b/x/c/", "/a.b/x/c", "/a.b//c/x", "/a.b/x/y/c/z", "/axb/x/c/", "/a.b/x/c//y/", "/a.b/x/c/?q",
      ]
      for byte in UInt8(0x21)...0x7e where byte != UInt8(ascii: "#") {
        let character = Character(Unicode.Scalar(byte))
        paths += ["/a.b/x\(character)y/c/", "/a.b/x/c/\(character)"]
      }
      func answers() throws -> [Int] {
        try paths.map { try status(envoy, Request(method: "GET", path: $0, host: "h"), from: 1) }
      }
      let own = try answers()
      #expect(own == paths.map { allows(template, Request(method: "GET", path: $0, host: "h")) ? 200 : 403 })
      try envoy.put(
        ours.replacing(pattern, with: theirs).replacing(#""version_info":"1""#, with: #""version_info":"2""#))
      #expect(try envoy.acknowledgement(generation: 2) == .init(generation: 2, refusals: 0))
      #expect(zip(paths, zip(try answers(), own)).filter { $1.0 != $1.1 }.map(\.0) == [])
    }
  }

  @Test(
    "Shadow rules refuse nothing and are named in the access log; with audit the rules themselves are only that"
  )
  func shadow() throws {
    let one = Self.rule(1, [[RequestMatch(paths: [.exact("/a")])]])
    let report = Self.rule(1, [], unless: [RequestMatch(methods: [.exact("GET")])])
    func lines(_ text: String, _ requests: [String]) throws -> [[Parsed]] {
      var found: [[Parsed]] = []
      try withEnvoy(text) { (envoy) throws in
        for words in requests { _ = try status(envoy, parse(words).request, from: 1) }
        found = try envoy.accessLog(lines: requests.count).map { try Parsed($0) }.map {
          [$0["code"], $0["verdict"], $0["shadowVerdict"], $0["shadowRule"]]
        }
      }
      return found
    }
    #expect(
      try lines(Self.text([one], shadow: [report]), ["GET /a h", "POST /a h", "POST /b h"]) == [
        [200, "allowed", "allowed", .null], [200, "allowed", "denied", "rules[1]"],
        [403, "denied", "denied", "rules[1]"],
      ])
    #expect(
      try lines(Self.text([one], audit: true), ["GET /a h", "GET /b h"]) == [
        [200, "allowed", "allowed", "rules[1]"], [200, "allowed", "denied", .null],
      ])
    #expect(try lines(Self.text([one]), ["GET /a h"]) == [[200, "allowed", .null, .null]])
  }
}
