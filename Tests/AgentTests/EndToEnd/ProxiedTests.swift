import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  private enum StockEnvoy {
    static let path: String = {
      if let named = getenv("WEIR_ENVOY") { return String(cString: named) }
      let package = (0..<4).reduce(#filePath) { path, _ in Files.directory(of: path) }
      return package + "/.build/envoy/envoy"
    }()
    /// In CI a test that cannot run is a failure, so there it runs and fails.
    static let isExpected = access(path, X_OK) == 0 || getenv("CI") != nil
  }

  /// web may do everything at api; batch only GET below `path`, which a proxy decides.
  private static func requests(below path: String) -> String {
    """
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: api, namespace: shop}
    spec:
      selector: {matchLabels: {app: api}}
      action: ALLOW
      rules:
      - from: [{source: {principals: ["cluster.local/ns/shop/sa/web"]}}]
      - from: [{source: {principals: ["cluster.local/ns/shop/sa/batch"]}}]
        to: [{operation: {methods: ["GET"], paths: ["\(path)/*"]}}]

    """
  }

  private static let proxy = """
    apiVersion: weir.dev/v1alpha1
    kind: Proxy
    metadata: {name: envoy, namespace: shop}
    spec: {type: Envoy, cgroup: shop/envoy, listen: {addresses: ["127.0.0.1", "::1"], port: 15006}}
    ---

    """

  private func startEnvoy(_ node: Node) throws {
    let bootstrap = try node.weir(
      "proxy", "bootstrap", "shop/envoy", "--policies", node.policies, "--run-dir", node.runDirectory)
    #expect(bootstrap.status == 0, "\(bootstrap.stderr)")
    let file = node.lab.files + "/envoy.json"
    try Files.replace(file, with: Array(bootstrap.stdout.utf8))
    _ = try node.lab.spawn(
      in: "node",
      [
        "/bin/sh", "-c", "log=$1; shift; exec \"$@\" >\"$log\" 2>&1", "sh", node.lab.files + "/envoy.log",
        Node.binary, "run", "--run-dir", node.runDirectory, "--proxy", "shop/envoy", "--", StockEnvoy.path,
        "-c", file, "--disable-hot-restart", "--reject-unknown-dynamic-fields", "--concurrency", "1",
        "--log-level", "warning",
      ])
    _ = try eventually("Envoy to have its rules") {
      try node.status().proxies.allSatisfy { $0.acknowledgement == .acknowledged } ? true : nil
    }
  }

  private func expectRequestsJudged(_ batch: Child, _ comment: Comment) throws {
    for (request, answer) in [
      ("GET /public/a", "200"), ("POST /public/a", "403"), ("GET /stock/a", "403"), ("GET /public/b", "200"),
    ] {
      #expect(try batch.ask(request).hasPrefix(answer), "\(comment): \(request)")
    }
  }

  @Test(.enabled(if: StockEnvoy.isExpected, "no Envoy: scripts/install-envoy .build/envoy"))
  func `requests are judged by a stock Envoy, whatever happens to the agent, and refused without Envoy`()
    throws
  {
    try Node.use { node in
      try node.write(
        "all.yaml",
        node.workload("web") + node.workload("api") + node.workload("batch") + Self.proxy
          // Were Envoy's upstream connection its own, api would not take it.
          + PolicyText.egress("batch", ports: [8081])
          + PolicyText.ingress("api", from: "batch", ports: [8081])
          + PolicyText.ingress("api", from: "web", ports: [8081]).replacingName("api-ingress", "api-web"))
      try node.write("requests.yaml", Self.requests(below: "/public"))
      _ = try lab(node, "envoy")
      let started = try node.start()
      try #require(started.inForce, "\(started.problems)")
      _ = try node.traffic("api", "api", "8081")
      try startEnvoy(node)
      let batch = try node.traffic("batch", "http", "8081")
      let web = try node.traffic("web", "http", "8081")
      try expectRequestsJudged(batch, "at first")
      #expect(try web.ask("POST /stock/a") == "200 new")
      for workload in ["batch", "web"] {
        let direct = try node.client(workload)
        #expect(try direct.ask("connect 127.0.0.1 15006") == "EACCES", "\(workload) to the proxy's port")
      }
      let arrived = [
        "source": "shop/batch", "destination": "shop/api", "port": "8081", "reporter": "destination",
      ]
      let upstream = try Scrape(node.scrape()).value("weir_connections_opened_total", arrived)
      #expect(upstream ?? 0 >= 1, "api sees batch, not Envoy")

      // One connection, open throughout: the next request on it meets the new rules.
      let first = try node.status().generation
      try node.write("requests.yaml", Self.requests(below: "/stock"))
      let answer = try node.reload()
      #expect(answer.isTaken && answer.status.generation > first)
      #expect(try batch.ask("GET /public/a") == "403 kept")
      #expect(try batch.ask("GET /stock/a") == "200 kept")
      try node.write("requests.yaml", Self.requests(below: "/public"))
      #expect(try node.reload().isTaken)
      #expect(try batch.ask("GET /public/a") == "200 kept")

      node.killAgent()
      try expectRequestsJudged(batch, "without the agent, on the open connection")
      #expect(try batch.ask("new") == "ok")
      try expectRequestsJudged(batch, "without the agent, on a new connection")
      #expect(try node.start().inForce)
      try expectRequestsJudged(batch, "with the agent back")

      for process in Cgroup.processes("\(node.root)/shop/envoy") { kill(process, SIGKILL) }
      _ = try eventually("Envoy to be gone") {
        Cgroup.processes("\(node.root)/shop/envoy").isEmpty ? true : nil
      }
      let closed = try batch.ask("GET /public/a")
      #expect(["closed", "ECONNRESET", "EPIPE"].contains(closed), "\(closed)")
      // A killed process leaves its cgroup a moment before its listener is closed.
      _ = try eventually("the proxy's port to be closed") {
        try batch.ask("GET /public/a") == "ECONNREFUSED" ? true : nil
      }
      for _ in 0..<3 { #expect(try batch.ask("GET /public/a") == "ECONNREFUSED") }
      #expect(try web.ask("POST /stock/a") == "200 kept")
      #expect(try web.ask("new") == "ok")
      #expect(try web.ask("POST /stock/a") == "200 new")
      try startEnvoy(node)
      try expectRequestsJudged(batch, "with another Envoy")
    }
  }

  /// What batch may ask, by its own egress policy: of api less than api allows, and of a server outside any workload.
  private static let asks = """
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: batch, namespace: shop}
    spec:
      endpointSelector: {matchLabels: {app: batch}}
      egress:
      - toEndpoints: [{matchLabels: {app: api}}]
        toPorts:
        - ports: [{port: "8081", protocol: TCP}]
          rules: {http: [{method: GET, path: "/(public|stock)/a"}, {method: POST}]}
      - toEntities: [world]
        toPorts:
        - ports: [{port: "8082", protocol: TCP}]
          rules: {http: [{method: GET, path: "/public/.*"}]}
    ---
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: audit, namespace: shop}
    spec:
      selector: {matchLabels: {app: api}}
      action: AUDIT
      rules: [{to: [{operation: {paths: ["*/a"]}}]}]
    ---
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: dry, namespace: shop, annotations: {istio.io/dry-run: "true"}}
    spec:
      selector: {matchLabels: {app: api}}
      action: DENY
      rules: [{from: [{source: {principals: ["*/sa/web"]}}]}]

    """

  private func accessLog(_ node: Node) -> String {
    readFile("\(node.runDirectory)/proxies/shop_envoy/access.log") ?? ""
  }

  @Test(.enabled(if: StockEnvoy.isExpected, "no Envoy: scripts/install-envoy .build/envoy"))
  func `what a source's own policy asks is judged too, and what is not enforced is reported`() throws {
    try Node.use { node in
      try node.write(
        "all.yaml", node.workload("web") + node.workload("api") + node.workload("batch") + Self.proxy + Self.asks)
      try node.write("requests.yaml", Self.requests(below: "/public"))
      _ = try lab(node, "envoy")
      let started = try node.start()
      try #require(started.inForce, "\(started.problems)")
      _ = try node.traffic("api", "api", "8081")
      _ = try node.traffic(nil, "api", "8082")
      try startEnvoy(node)
      let batch = try node.traffic("batch", "http", "8081")
      for (request, answer) in [
        ("GET /public/a", "200"), ("GET /public/b", "403"), ("GET /stock/a", "403"), ("POST /public/a", "403"),
      ] {
        #expect(try batch.ask(request).hasPrefix(answer), "both ask: \(request)")
      }
      let outward = try node.traffic("batch", "http", "8082")
      for (request, answer) in [("GET /public/b", "200"), ("GET /stock/b", "403"), ("POST /public/b", "403")] {
        #expect(try outward.ask(request).hasPrefix(answer), "the source asks: \(request)")
      }
      let web = try node.client("web")
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok", "a dry run refuses nothing")
      _ = try eventually("the dry run to be reported") {
        node.logText.contains("would-refuse") && node.logText.contains("AuthorizationPolicy shop/dry") ? true : nil
      }
      let audited = try eventually("the access log") {
        accessLog(node).split(separator: "\n").first {
          $0.contains("AuthorizationPolicy shop/audit rules[0]") && $0.contains("\"path\":\"/public/a\"")
        }
      }
      #expect(audited.contains("\"code\":200"))
      #expect(!accessLog(node).split(separator: "\n").contains {
        $0.contains("AuthorizationPolicy shop/audit") && $0.contains("\"path\":\"/public/b\"")
      })
    }
  }

  @Test(.enabled(if: StockEnvoy.isExpected, "no Envoy: scripts/install-envoy .build/envoy"))
  func `under --audit everything passes and the proxy says what it would have refused`() throws {
    try Node.use { node in
      node.options = ["--audit"]
      try node.write(
        "all.yaml",
        node.workload("web") + node.workload("api") + node.workload("batch") + Self.proxy
          + PolicyText.egress("web", ports: []))
      try node.write("requests.yaml", Self.requests(below: "/public"))
      _ = try lab(node, "envoy")
      try #require(try node.start().inForce)
      _ = try node.traffic("api", "api", "8081")
      let before = try node.traffic("batch", "http", "8081")
      #expect(try before.ask("GET /stock/a").hasPrefix("200"), "without a proxy")
      try startEnvoy(node)
      let batch = try node.traffic("batch", "http", "8081")
      #expect(try batch.ask("GET /public/a").hasPrefix("200"))
      #expect(try batch.ask("GET /stock/a").hasPrefix("200"))
      let web = try node.client("web")
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
      _ = try eventually("the refusal to be reported") {
        node.logText.contains("NetworkPolicy shop/web-egress") ? true : nil
      }
      let told = try eventually("the access log") {
        accessLog(node).split(separator: "\n").first { $0.contains("\"path\":\"/stock/a\"") }
      }
      #expect(told.contains("\"code\":200") && told.contains("\"shadowVerdict\":\"denied\""), "\(told)")
      let passed = accessLog(node).split(separator: "\n").first { $0.contains("\"path\":\"/public/a\"") }
      #expect(passed?.contains("\"shadowVerdict\":\"allowed\"") == true, "\(passed ?? "")")
    }
  }

  private func lab(_ node: Node, _ name: String) throws -> String {
    try node.lab.cgroup("judged/shop/\(name)")
  }
}

extension String {
  fileprivate func replacingName(_ word: String, _ other: String) -> String {
    split(separator: word, omittingEmptySubsequences: false).joined(separator: other)
  }
}
