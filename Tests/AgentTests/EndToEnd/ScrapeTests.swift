import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  private func scraped(_ node: Node) throws -> Scrape { try Scrape(node.scrape()) }

  @Test(arguments: [
    "weir_x 1\n", "# TYPE weir_x gauge\nweir_x 1\n",
    "# HELP weir_x X.\n# TYPE weir_x gauge\nweir_x{a=\"1\"} 1\nweir_x{a=\"1\"} 1\n",
    "# HELP weir_x X.\n# TYPE weir_x gauge\nweir_x{a=\"1} 1\n",
    "# HELP weir_x X.\n# TYPE weir_x gauge\nweir_x 1",
    "# HELP h X.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
  ])
  func `the reading of a scrape is strict`(text: String) {
    #expect(throws: LabError.self) { try Scrape(text) }
  }

  @Test func `a scrape counts what was done, exactly`() throws {
    try Node.use { node in
      try node.write(
        "all.yaml",
        node.workload("web") + node.workload("api") + node.workload("db")
          + PolicyText.egress("web", ports: [8081, 8083])
          + PolicyText.ingress("db", from: "api", ports: [8083]))
      for port: UInt16 in [8081, 8082] { try node.server("api", port) }
      try node.server("db", 8083)
      try node.start()
      let transfer = try node.traffic("web", "transfer", "8081", "20", "5000", awaiting: "ok")
      _ = try transfer.finish()
      let web = try node.client("web")
      for _ in 0..<3 { #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM") }
      for _ in 0..<4 { #expect(try web.ask("connect 127.0.0.1 8083") == "EACCES") }

      let done = ["source": "shop/web", "destination": "shop/api", "port": "8081", "protocol": "TCP"]
      for reporter in ["source", "destination"] {
        let labels = done.merging(["reporter": reporter]) { $1 }
        // The last of them ends a moment after its programs did.
        let scrape = try eventually("20 connections closed at the \(reporter)") {
          let scrape = try scraped(node)
          return try scrape.value("weir_connections_closed_total", labels) == 20 ? scrape : nil
        }
        #expect(try scrape.value("weir_connections_opened_total", labels) == 20)
        #expect(try scrape.value("weir_sent_bytes_total", labels) == 100_000, "\(reporter)")
        #expect(try scrape.value("weir_received_bytes_total", labels) == 100_000, "\(reporter)")
        #expect(try scrape.value("weir_retransmits_total", labels) == 0)
        // One sample at the end of each, and others while it is open.
        #expect(try scrape.value("weir_rtt_seconds_count", labels) ?? 0 >= 20, "\(reporter)")
        let connects = try scrape.value("weir_connect_seconds_count", labels)
        #expect(connects == (reporter == "source" ? 20 : 0), "\(reporter)")
      }
      let scrape = try scraped(node)
      let refused = scrape.all("weir_refused_total")
      let egress = try scrape.value(
        "weir_refused_total",
        [
          "source": "shop/web", "port": "8082", "layer": "egress", "reason": "no-rule",
          "policy": "NetworkPolicy shop/web-egress",
        ])
      #expect(egress == 3, "\(refused)")
      let ingress = try scrape.value(
        "weir_refused_total",
        [
          "source": "shop/web", "destination": "shop/db", "port": "8083", "layer": "ingress",
          "reason": "no-rule", "policy": "NetworkPolicy shop/db-ingress",
        ])
      #expect(ingress == 4, "\(refused)")
      #expect(refused.count == 2, "\(refused)")
      #expect(scrape.all("weir_lost_total").allSatisfy { $0.value == 0 })
      let status = try node.status()
      #expect(try scrape.value("weir_generation") == Double(status.generation))
      #expect(try scrape.value("weir_programs_attached") == Double(status.programs.count))
      #expect(try scrape.value("weir_workloads") == 3)
    }
  }

  @Test func `what is sent again is counted`() throws {
    try Node.use { node in
      try node.write(
        "all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081]))
      try node.server("api", 8081)
      try node.start()
      let web = try node.client("web")
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
      #expect(try web.ask("send before") == "before")
      let labels = ["source": "shop/web", "reporter": "source", "port": "8081"]
      // The loopback of the lab's own network namespace: what is sent while it is down is lost.
      func loopback(_ state: String) throws {
        let answer = try node.lab.run(in: "node", ["ip", "link", "set", "lo", state])
        #expect(answer.status == 0, "\(answer.stderr)")
      }
      try loopback("down")
      try web.write("send after\n")
      usleep(300_000)
      try loopback("up")
      #expect(try web.line() == "after")
      #expect(try web.ask("close") == "ok")
      let again = try eventually("the connection to be counted") {
        let scrape = try scraped(node)
        guard try scrape.value("weir_connections_closed_total", labels) == 1 else { return nil as Double? }
        return try scrape.value("weir_retransmits_total", labels)
      }
      print("retransmits: \(again)")
      #expect(again >= 1)
    }
  }
}
