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

  private func lab(_ node: Node, _ name: String) throws -> String {
    try node.lab.cgroup("judged/shop/\(name)")
  }
}

extension String {
  fileprivate func replacingName(_ word: String, _ other: String) -> String {
    split(separator: word, omittingEmptySubsequences: false).joined(separator: other)
  }
}
