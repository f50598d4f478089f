import Policy

/// What requests a rule lets through, by Istio's documentation of AuthorizationPolicy: written down by hand,
/// one line a rule. Each rule is for a client of its own.
struct Expectation {
  var allow: [RequestMatch]
  var unless: [RequestMatch] = []
  /// `METHOD TARGET HOST`
  var passes: [String]
  var refused: [String]

  static let table: [Expectation] = [
    Expectation(
      allow: [RequestMatch()],
      passes: ["GET / h", "POST /any?q=1 h", "DELETE /x/y h:8080", "OPTIONS /x h"], refused: []),
    Expectation(
      allow: [RequestMatch(methods: [.exact("GET")])],
      passes: ["GET / h", "GET /x?q=1 h"], refused: ["POST / h", "HEAD / h", "OPTIONS / h"]),
    Expectation(
      allow: [RequestMatch(methods: [.prefix("P")])],
      passes: ["POST / h", "PUT / h", "PATCH / h"], refused: ["GET / h", "OPTIONS / h"]),
    Expectation(
      allow: [RequestMatch(methods: [.suffix("T")])], passes: ["GET / h", "PUT / h"], refused: ["PATCH / h"]),
    Expectation(allow: [RequestMatch(methods: [.presence])], passes: ["GET / h", "PURGE / h"], refused: []),
    Expectation(
      allow: [RequestMatch(notMethods: [.exact("DELETE"), .exact("PUT")])],
      passes: ["GET / h", "POST / h"], refused: ["DELETE / h", "PUT / h"]),
    // Exact: no query, normalised as RFC 3986 has it, and nothing beyond that.
    Expectation(
      allow: [RequestMatch(paths: [.exact("/api")])],
      passes: [
        "GET /api h", "GET /api?x=1 h", "GET /x/../api h", "GET /./api h", "GET /%61pi h",
        "GET /x\\..\\api h",
      ],
      refused: ["GET /api/ h", "GET /apis h", "GET /API h", "GET //api h", "GET /x?/api h", "GET / h"]),
    Expectation(
      allow: [RequestMatch(paths: [.prefix("/public/")])],
      passes: ["GET /public/ h", "GET /public/a/b?c h", "GET /public/..%2Fadmin h"],
      refused: [
        "GET /public h", "GET /private h", "GET /public/../admin h", "GET /public/%2e%2e/admin h",
        "GET /public\\..\\admin h", "GET /Public/ h",
      ]),
    Expectation(
      allow: [RequestMatch(paths: [.suffix(".html")])],
      passes: ["GET /index.html h", "GET /index.html?x h"],
      refused: ["GET /index.htm h", "GET /a?b=.html h"]),
    Expectation(allow: [RequestMatch(paths: [.presence])], passes: ["GET / h", "GET /x?y h"], refused: []),
    Expectation(
      allow: [RequestMatch(notPaths: [.prefix("/admin")])],
      passes: ["GET / h", "GET /Admin h"],
      refused: ["GET /admin h", "GET /admin/x?y h", "GET /a/../admin h"]),
    // Hosts: whatever case, and the port is part of it.
    Expectation(
      allow: [RequestMatch(hosts: [.exact("api.shop")])],
      passes: ["GET / api.shop", "GET / API.Shop", "GET http://api.shop/ other"],
      refused: ["GET / api.shop:8080", "GET / xapi.shop", "GET / api.shop.", "GET http://other/ api.shop"]),
    Expectation(
      allow: [RequestMatch(hosts: [.exact("api.shop"), .prefix("api.shop:")])],
      passes: ["GET / api.shop", "GET / api.SHOP:8080"], refused: ["GET / api.shops"]),
    Expectation(
      allow: [RequestMatch(hosts: [.suffix(".Shop")])],
      passes: ["GET / api.shop", "GET / API.SHOP"], refused: ["GET / api.shop:80", "GET / shop"]),
    Expectation(
      allow: [RequestMatch(hosts: [.presence])], passes: ["GET / h", "GET / h:1"], refused: ["GET / "]),
    Expectation(
      allow: [RequestMatch(notHosts: [.exact("api")])],
      passes: ["GET / web", "GET / api:80"], refused: ["GET / api", "GET / Api"]),
    Expectation(
      allow: [RequestMatch(methods: [.exact("GET")], paths: [.exact("/a")], hosts: [.exact("h")])],
      passes: ["GET /a h"], refused: ["POST /a h", "GET /b h", "GET /a i"]),
    Expectation(
      allow: [
        RequestMatch(methods: [.exact("GET")], paths: [.exact("/a"), .exact("/c")]),
        RequestMatch(methods: [.exact("POST")], paths: [.exact("/b")]),
      ],
      passes: ["GET /a h", "GET /c h", "POST /b h"], refused: ["GET /b h", "POST /a h"]),
    Expectation(
      allow: [RequestMatch(paths: [.prefix("/a")], notPaths: [.exact("/a/secret")])],
      passes: ["GET /a h", "GET /a/x h"], refused: ["GET /a/secret h", "GET /b h"]),
    // DENY rules that overlap.
    Expectation(
      allow: [RequestMatch()], unless: [RequestMatch(paths: [.prefix("/admin")])],
      passes: ["GET / h", "GET //admin h"], refused: ["GET /admin h", "GET /%61dmin/x h"]),
    Expectation(
      allow: [RequestMatch(methods: [.exact("GET")])],
      unless: [
        RequestMatch(paths: [.exact("/a")], hosts: [.exact("h")]), RequestMatch(notPaths: [.prefix("/")]),
        RequestMatch(paths: [.suffix(".key")]),
      ],
      passes: ["GET /a i", "GET /b h"], refused: ["GET /a h", "GET /a H", "GET /x.key?y i", "POST /b h"]),
    Expectation(
      allow: [RequestMatch()], unless: [RequestMatch(notMethods: [.exact("GET")])],
      passes: ["GET / h"], refused: ["POST / h"]),
    Expectation(allow: [RequestMatch()], unless: [RequestMatch()], passes: [], refused: ["GET / h"]),
    Expectation(
      allow: [RequestMatch()], unless: [RequestMatch(paths: [.presence])], passes: [], refused: ["GET / h"]),
    // Text that JSON or a regular expression would read otherwise.
    Expectation(
      allow: [RequestMatch(paths: [.exact("/a.b"), .prefix("/(x.y)+"), .exact("/\"q\"\\")])],
      passes: ["GET /a.b h", "GET /(x.y)+z h"], refused: ["GET /axb h", "GET /xay h"]),
  ]
}
