import Policy

/// Beside `Expectation.table`: templates, regular expressions, queries, headers (Cilium and Istio) and what
/// normalisation makes of a path. After the host stand headers, `name: value`, with `|` between them.
extension Expectation {
  private static func headers(_ name: String, _ values: [Match], not: [Match] = []) -> RequestMatch {
    RequestMatch(headers: [HeaderMatch(name: name, values: values, notValues: not)])
  }

  static let details: [Expectation] = [
    // Istio's path templates.
    Expectation(
      allow: [RequestMatch(paths: [.template("/foo/{*}")])],
      passes: [
        "GET /foo/bar h", "GET /foo/bar?x/y h", "GET /foo/a%2Fb h", "GET /foo/x/../y h", "GET /foo/a*b h",
      ],
      refused: [
        "GET /foo/ h", "GET /foo h", "GET /foo/a/b h", "GET /foo/[a] h", "GET /Foo/a h",
      ]),
    Expectation(
      allow: [RequestMatch(paths: [.template("/{*}/bar/{**}")])],
      passes: ["GET /a/bar/ h", "GET /a/bar/x/y/ h", "GET /a/bar//h h"],
      refused: ["GET /a/bar h", "GET /a/b/bar/x h", "GET //bar/x h", "GET /a/bar/[ h"]),
    Expectation(
      allow: [RequestMatch(paths: [.template("/{**}/end.x")], notPaths: [.template("/a/{*}/end.x")])],
      passes: ["GET /b/end.x h", "GET //end.x h", "GET /a/b/c/end.x?q h"],
      refused: ["GET /end.x h", "GET /a/b/end.x h", "GET /b/endyx h"]),
    Expectation(
      allow: [RequestMatch()], unless: [RequestMatch(paths: [.template("/admin/{**}")])],
      passes: ["GET /admin h", "GET /admins/x h", "GET /admin/[ h"],
      refused: [
        "GET /admin/ h", "GET /admin/* h", "GET /admin/x/y h", "GET /%61dmin/x h", "GET /x\\..\\admin/y h",
      ]),
    // Cilium: the whole value with its query, by RE2.
    Expectation(
      allow: [RequestMatch(methods: [.regex("GET")], urls: [.regex("/public")])],
      passes: ["GET /public h", "GET /x/../public h"],
      refused: ["GET /public?x h", "GET /public/ h", "POST /public h", "GET /publi h", "GET /PUBLIC h"]),
    Expectation(
      allow: [RequestMatch(urls: [.regex("/api/.*")])],
      passes: ["GET /api/ h", "GET /api/x?y=/z h", "GET /api//x h", "GET /api/%2e%2e%2Fx h"],
      refused: [
        "GET /api h", "GET /api?x=/api/ h", "GET /x/api/ h", "GET /api/../x h", "GET /api/%2e%2e/x h",
      ]),
    Expectation(
      allow: [RequestMatch(urls: [.regex("/path(\\?id=[0-9]{1,3})?$")])],
      passes: ["GET /path h", "GET /path?id=1 h", "GET /path?id=123 h"],
      refused: [
        "GET /path? h", "GET /path?id=1234 h", "GET /path?id=a h", "GET /path?id=1&x=2 h", "GET /path?ID=1 h",
      ]),
    Expectation(
      allow: [RequestMatch(methods: [.regex("GET|P(OST|UT)")], urls: [.regex("(?i)/v[12]/\\w+")])],
      passes: ["GET /v1/a h", "PUT /V2/b_c h", "POST /v2/9 h"],
      refused: ["PATCH /v1/a h", "GET /v3/a h", "GET /v1/ h", "GET /v1/a-b h"]),
    Expectation(
      allow: [RequestMatch(urls: [.regex("^/[^/?]+/x\\b.*")])],
      passes: ["GET /a/x h", "GET /a/x/y h", "GET /a/x?y h"],
      refused: ["GET /a/xy h", "GET /a/b/x h", "GET /?/x h"]),
    Expectation(
      allow: [RequestMatch(urls: [.regex("(/[a-z]{1,40}){1,20}")])],
      passes: ["GET /a/b/c h"], refused: ["GET /a/B h", "GET / h", "GET /a/ h"]),
    Expectation(
      allow: [RequestMatch(hosts: [.regex("api\\.shop(:[0-9]+)?")])],
      passes: ["GET / api.shop", "GET / api.shop:80"],
      refused: ["GET / API.shop", "GET / apixshop", "GET / api.shop:"]),
    Expectation(
      allow: [
        RequestMatch(methods: [.exact("GET")], urls: [.exact("/a?b=c")]), RequestMatch(urls: [.suffix("&z")]),
      ],
      passes: ["GET /a?b=c h", "POST /x?y&z h"], refused: ["GET /a h", "GET /a?b=c& h", "POST /a?b=c h"]),
    Expectation(
      allow: [RequestMatch(paths: [.any], urls: [.prefix("/a?"), .presence])], passes: ["GET /x h"],
      refused: []),
    // Headers.
    Expectation(
      allow: [headers("x-token", [.exact("1"), .prefix("ab")])],
      passes: ["GET / h x-token: 1", "GET / h X-Token: abc", "GET / h x-token:  1  "],
      refused: [
        "GET / h", "GET / h x-token: 2", "GET / h x-token: ",
        "GET / h x-tokens: 1",
      ]),
    Expectation(
      allow: [headers("x", [.any])], passes: ["GET / h x: ", "GET / h x: 1", "GET / h X: 1"],
      refused: ["GET / h", "GET / h y: 1"]),
    Expectation(
      allow: [headers("x", [.presence])], passes: ["GET / h x: 1"], refused: ["GET / h x: ", "GET / h"]),
    Expectation(
      allow: [headers("x", [], not: [.exact("bad"), .suffix("worse")])],
      passes: ["GET / h", "GET / h x: good", "GET / h x: "],
      refused: ["GET / h x: bad", "GET / h x: much worse"]),
    Expectation(
      allow: [headers("x", [], not: [.any])], passes: ["GET / h"], refused: ["GET / h x: ", "GET / h x: 1"]),
    Expectation(
      allow: [headers("x", [], not: [.presence])], passes: ["GET / h", "GET / h x: "],
      refused: ["GET / h x: 1"]),
    Expectation(
      allow: [headers("x", [.regex("v[0-9]+")], not: [.exact("v0")])],
      passes: ["GET / h x: v1"], refused: ["GET / h x: v0", "GET / h", "GET / h x: V1", "GET / h x: xv1"]),
    Expectation(
      allow: [headers("x", [.exact("1,2")])], passes: ["GET / h x: 1,2"],
      refused: ["GET / h x: 1"]),
    Expectation(
      allow: [
        RequestMatch(headers: [
          HeaderMatch(name: "a", values: [.exact("1")]), HeaderMatch(name: "b", values: [.any]),
        ])
      ],
      passes: ["GET / h a: 1|b: "], refused: ["GET / h a: 1", "GET / h b: 1", "GET / h a: 2|b: 1"]),
    Expectation(
      allow: [headers("user-agent", [.prefix("curl/")])],
      passes: ["GET / h user-agent: curl/8"], refused: ["GET / h user-agent: Curl/8", "GET / h"]),
    Expectation(
      allow: [headers("host", [.exact("Api")])], passes: ["GET / Api"],
      refused: ["GET / api", "GET / h host2: Api"]),
    Expectation(
      allow: [headers(":method", [.exact("GET")], not: []), headers(":path", [.exact("/p?q")])],
      passes: ["GET / h", "POST /p?q h"], refused: ["POST /p h"]),
    // Dot segments, encoded ones, backslashes, parameters, slashes.
    Expectation(
      allow: [RequestMatch()], unless: [RequestMatch(paths: [.prefix("/a/")])],
      passes: ["GET //a/x h", "GET /a%2Fx h", "GET /a/%2e%2e h", "GET /a/..;x=1/b h", "GET /A/ h"],
      refused: [
        "GET /a/x h", "GET /./a/x h", "GET /b/../a/ h", "GET /b/%2E%2e/a/ h", "GET /b\\../a/ h",
        "GET /%61/x h", "GET /b/.;x/../../a/ h", "GET /b/..;x/a/ h", "GET /a\\x h", "GET /a/%2e%2e%2fb h",
      ]),
    Expectation(
      allow: [RequestMatch(paths: [.exact("/%7Bx%7D"), .exact("/%2541"), .exact("/a%2fb"), .exact("/")])],
      passes: [
        "GET /{x} h", "GET /%7Bx%7D h", "GET /%4%31 h", "GET /a%2fb h", "GET /.. h", "GET /%2e h",
        "GET http://o h",
      ],
      refused: ["GET /%7bx%7d h", "GET /%41 h", "GET /a%2Fb h", "GET /a/b h", "GET // h"]),
    Expectation(
      allow: [RequestMatch(hosts: [.exact("h"), .suffix(":8080")], notHosts: [.prefix("x")])],
      passes: ["GET / h", "GET / H", "GET / y:8080", "GET / [::1]:8080"],
      refused: ["GET / x:8080", "GET / X:8080", "GET / h:80"]),
  ]

  /// What Envoy answers by itself.
  static let malformed = [
    "get / h", "FOO / h", "GET a h", "GET ?x h", "GET /a#b h", "GET /é h", "GET /?é h", "GET /%00 h",
    "GET http:///x h", "GET ftp://o/x h", "GET / a/b", "GET / é", "GET * h", "GET / h x(: 1",
    "GET / h x: a\u{1}",
  ]
}
