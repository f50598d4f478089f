import Testing

@testable import Policy

struct RequestTests {
  @Test(
    "A path is judged in the form that Envoy gives it",
    arguments: [
      ("/", "/"), ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/..", "/"), ("/../../a", "/a"), ("/a/..", "/"),
      ("/a/.", "/a/"),
      ("/a/%2e%2e/b", "/b"), ("/a/%2E./b", "/b"), ("/a/.%2e", "/"), ("/a/...", "/a/..."), ("/a/.b", "/a/.b"),
      ("/a\\b", "/a/b"), ("/a%5cb", "/a%5cb"), ("/a\\..\\b", "/b"), ("//a", "//a"), ("/a//b", "/a//b"),
      ("/a//../b", "/a/b"),
      ("/a/b/../../../c", "/c"), ("/a/../?x", "/?x"), ("/x%4ay", "/xJy"), ("/x%2fy", "/x%2fy"),
      ("/x%zzy", "/x%zzy"),
      ("/x%", "/x%"), ("/x%4", "/x%4"), ("/%252e%252e/a", "/%252e%252e/a"), ("/%41%7e%5F%2d", "/A~_-"),
      ("/a|b^c`d{e}[f]\"<>", "/a%7Cb%5Ec%60d%7Be%7D[f]%22%3C%3E"), ("///..", "//"), ("/a/..//b", "//b"),
      ("//..", "/"),
      ("/a/..;/b", "/b"), ("/a/.;/b", "/a/b"), ("/a/..;x/b", "/b"), ("/a/%2e%2e;x/b", "/a/..;x/b"),
      ("/a/b;..", "/a/b;.."),
      ("/a/..;", "/"), ("/a/...;/b", "/a/...;/b"), ("/a\\..;x/b", "/a/..;x/b"), ("/a/..;x\\y/b", "/b"),
      ("/a/..;%2fb", "/"),
      ("/%4%31", "/%2541"), ("/%%34%31", "/%2541"), ("/%a%31", "/%25a1"), ("/%%41%42", "/%25AB"),
      ("/%4%5a%", "/%4Z%"),
      ("/%z%31%41", "/%z1A"), ("/%%%34%31", "/%%2541"), ("/%1%2e", "/%1."), ("/a/%2%2e/b", "/a/%2./b"),
      ("/.\\.\\a", "/a"),
      ("/a?b=../c%41\\", "/a?b=../c%41\\"), ("/..%2e/", "/.../"), ("http://o/x/../y", "/y"),
      ("HTTPS://o", "/"),
    ] as [(String, String)])
  func normalized(path: String, expected: String) {
    let request = Request(method: "GET", path: path, host: "h")
    #expect(request.normalized.path == expected)
    #expect(request.refusal == nil)
  }

  @Test("A target with a host is for that host, and headers are trimmed and in lower case")
  func parts() {
    let request = Request(
      method: "GET", path: "http://u@o:80/x", host: "h", headers: ["X-A": " b\t", "x-a": "c"])
    #expect(request.normalized == Request(method: "GET", path: "/x", host: "o:80", headers: ["x-a": "b,c"]))
    #expect(Request(method: "GET", path: "/", host: " H ").normalized.host == "H")
  }

  @Test(
    "What Envoy answers by itself is a refusal",
    arguments: [
      ("get", "/", "h"), ("FOO", "/", "h"), ("", "/", "h"), ("CONNECT", "h:80", "h:80"), ("GET", "", "h"),
      ("GET", "a", "h"),
      ("GET", "?x", "h"), ("OPTIONS", "*", "h"), ("GET", "/a#b", "h"), ("GET", "/a b", "h"),
      ("GET", "/é", "h"),
      ("GET", "/?é", "h"), ("GET", "/%00", "h"), ("GET", "http:///x", "h"), ("GET", "ftp://o/x", "h"),
      ("GET", "/", "a b"),
      ("GET", "/", "a/b"), ("GET", "/", "é"),
    ] as [(String, String, String)])
  func refusals(method: String, path: String, host: String) {
    #expect(Request(method: method, path: path, host: host).refusal != nil)
  }

  @Test("A header with a name or value that cannot be sent is refused, another is not")
  func headers() {
    func request(_ name: String, _ value: String) -> Request {
      Request(method: "GET", path: "/", host: "", headers: [name: value])
    }
    for (name, value) in [("x y", "a"), ("", "a"), ("x", "a\u{1}"), ("x(", "")] {
      #expect(request(name, value).refusal != nil)
    }
    for (name, value) in [("x", ""), ("X_y", "é a\tb"), ("x", "<>\"")] {
      #expect(request(name, value).refusal == nil)
    }
  }

  @Test(
    "Urls are matched with their query and paths without; an absent header holds for no value and for every notValue"
  )
  func matches() {
    let request = Request(method: "GET", path: "/a?b", host: "h", headers: ["x": "1", "e": ""])
    func holds(_ match: RequestMatch) -> Bool { match.matches(request) }
    #expect(holds(RequestMatch(paths: [.exact("/a")], urls: [.regex("/a[?]b")])))
    #expect(!holds(RequestMatch(urls: [.regex("/a")])))
    #expect(
      holds(RequestMatch(headers: [HeaderMatch(name: "x", values: [.exact("1")], notValues: [.exact("2")])])))
    #expect(!holds(RequestMatch(headers: [HeaderMatch(name: "x", values: [], notValues: [.prefix("")])])))
    #expect(holds(RequestMatch(headers: [HeaderMatch(name: "e", values: [.any])])))
    #expect(!holds(RequestMatch(headers: [HeaderMatch(name: "e", values: [.presence])])))
    #expect(!holds(RequestMatch(headers: [HeaderMatch(name: "y", values: [.any])])))
    #expect(holds(RequestMatch(headers: [HeaderMatch(name: "y", values: [], notValues: [.any])])))
    #expect(holds(RequestMatch(headers: [HeaderMatch(name: "host", values: [.exact("h")])])))
  }
}

struct RequestSpaceTests {
  private static let get = RequestMatch(methods: [.exact("GET")], paths: [.prefix("/a")])

  /// What the matches say of a request.
  private func answers(_ matches: [RequestMatch], _ request: Request) -> [Bool] {
    matches.map { $0.matches(request) }
  }

  @Test("Every combination of answers that some request gives is given by a representative")
  func complete() {
    let matches = [
      Self.get, RequestMatch(paths: [.exact("/a/b"), .suffix(".html")], notPaths: [.exact("/a/c.html")]),
      RequestMatch(urls: [.regex("/a/.*[?]q=[0-9]+")], hosts: [.suffix(".Shop")]),
      RequestMatch(notMethods: [.exact("GET")]),
      RequestMatch(
        paths: [.template("/a/{*}")],
        headers: [HeaderMatch(name: "x", values: [.presence], notValues: [.exact("1")])]),
    ]
    let space = RequestSpace(matches, limit: 20_000)
    #expect(space.isComplete)
    for request in space.requests {
      #expect(request.normalized == request)
      #expect(request.refusal == nil, "\(request)")
    }
    let known = Set(space.requests.map { answers(matches, $0) })
    for method in ["GET", "POST"] {
      for path in [
        "/", "/a", "/a/b", "/a/c.html", "/x.html", "/a/x.html?q=1", "/a/?q=22", "/a?q=1", "/a/b?", "/a/b/c",
      ] {
        for host in ["", "shop", "api.SHOP"] {
          for value in [nil, "", "1", "2"] {
            let request = Request(
              method: method, path: path, host: host, headers: value.map { ["x": $0] } ?? [:])
            #expect(known.contains(answers(matches, request)), "\(request)")
          }
        }
      }
    }
  }

  @Test("Without rules there is one request, and a path that no request has is no representative")
  func small() {
    #expect(RequestSpace([], limit: 10).requests == [Request(method: "GET", path: "/", host: "example.com")])
    let odd = RequestSpace(
      [
        RequestMatch(paths: [.exact("/a/../b"), .exact("x"), .exact("/a?b"), .exact("/%41"), .exact("/100%")])
      ], limit: 1000)
    #expect(odd.isComplete)
    #expect(odd.requests.map(\.path) == ["/", "/100%"])
    let token = RequestSpace([RequestMatch(methods: [.exact("FOO")])], limit: 100)
    #expect(token.requests.map(\.method) == ["GET", "FOO"])
  }

  @Test("Beyond the limit it says so, and still has each text of each part")
  func limit() {
    let matches = (0..<6).map { number in
      RequestMatch(
        paths: [.exact("/\(number)")], hosts: [.exact("h\(number)")],
        headers: [HeaderMatch(name: "x\(number)", values: [.exact("1")])])
    }
    let space = RequestSpace(matches, limit: 200)
    #expect(!space.isComplete)
    #expect(space.requests.count == 200)
    #expect(Set(space.requests.map(\.path)).count == 7)
    #expect(Set(space.requests).count == 200)
  }
}
