import CDatapath
import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// Two Subtrees with a workload each whose egress is closed; api listens.
  private func trialAndShop(_ node: Node, trial: String) throws {
    func workload(_ namespace: String) throws -> String {
      _ = try node.lab.cgroup("judged/\(namespace)/web")
      return """
        apiVersion: weir.dev/v1alpha1
        kind: Workload
        metadata: {name: \(namespace), namespace: shop, labels: {app: web}}
        spec: {cgroup: \(namespace)/web}
        ---

        """
    }
    _ = try node.lab.cgroup("judged/api")
    try node.write(
      "all.yaml",
      Pods.subtree("trial", "trial", more: trial) + Pods.subtree("live", "live") + workload("trial")
        + workload("live") + node.workload("api") + PolicyText.egress("web", ports: []))
    try node.server("api", 8081)
  }

  @Test func `in an audited Subtree nothing is refused, and what would have been is told`() throws {
    try Node.use { node in
      try trialAndShop(node, trial: ", audit: true")
      try node.start()
      let flows = try node.lab.spawn(
        in: "node", [Node.binary, "flows", "--count", "2", "-o", "json", "--run-dir", node.runDirectory])
      let (trial, live) = (
        try node.lab.client(in: "judged/trial/web"), try node.lab.client(in: "judged/live/web")
      )
      usleep(300_000)
      #expect(try live.ask("connect 127.0.0.1 8081") == "EPERM")
      #expect(try trial.ask("connect 127.0.0.1 8081") == "ok")
      #expect(try trial.ask("send hello") == "hello")
      let records = try flows.finish().stdout.split(separator: "\n").compactMap {
        JSON.decode(VerdictRecord.self, Array($0.utf8))
      }
      #expect(records.map(\.verdict) == ["denied", "denied"] && records.map(\.audit) == [false, true], "\(records)")
      #expect(records.map(\.source) == ["shop/live", "shop/trial"])
      #expect(records.last?.rule == "NetworkPolicy shop/web-egress")
      let said = "event=would-refuse layer=egress reason=no-rule source=shop/trial destination=shop/api"
      _ = try eventually("the log") { node.logText.contains(said) ? true : nil }
      #expect(!node.logText.contains("event=refused layer=egress reason=no-rule source=shop/trial"))
      // Who is not identified there is told of, and let go; elsewhere refused.
      #expect(try node.lab.client(in: "judged/trial/stranger").ask("connect 127.0.0.1 8081") == "ok")
      #expect(try node.lab.client(in: "judged/live/stranger").ask("connect 127.0.0.1 8081") == "ECONNREFUSED")

      let status = try eventually("both strangers to be counted") {
        let status = try node.status()
        return status.subtrees.allSatisfy { $0.unknown == 1 } ? status : nil
      }
      #expect(status.subtrees.map(\.name) == ["live", "trial"] && status.subtrees.map(\.audit) == [false, true])
      #expect(status.subtrees.allSatisfy { $0.present && $0.workloads == 1 && $0.unidentified == "refuse" })
      let text = try node.weir("status", "--run-dir", node.runDirectory).stdout
      #expect(text.contains("audit      refuse"), "\(text)")
    }
  }

  @Test func `with the whole agent in audit nothing is refused anywhere`() throws {
    try Node.use { node in
      node.options = ["--audit"]
      try trialAndShop(node, trial: "")
      try node.start()
      for place in ["trial/web", "live/web", "live/stranger"] {
        let client = try node.lab.client(in: "judged/\(place)")
        #expect(try client.ask("connect 127.0.0.1 8081") == "ok", "\(place)")
        #expect(try client.ask("send hello") == "hello", "\(place)")
      }
      for source in ["shop/trial", "shop/live"] {
        _ = try eventually("the log") {
          node.logText.contains("event=would-refuse layer=egress reason=no-rule source=\(source)") ? true : nil
        }
      }
      #expect(!node.logText.contains("event=refused"))
    }
  }

  @Test(arguments: ["refuse", "allow"])
  func `where weir's own tables are missing the fail mode decides, counted`(mode: String) throws {
    try Node.use { node in
      node.options = ["--on-fault", mode]
      try trialAndShop(node, trial: "")
      let generation = try node.start().generation
      let outsider = try node.lab.client(in: "judged/nobody")
      #expect(try outsider.ask("connect 127.0.0.1 8081") == "ok")
      #expect(try node.status().faults.isEmpty)
      let script = Files.directory(of: #filePath) + "/lose.py"
      let pin = "\(node.lab.directory)/v\(WEIR_LAYOUT)/maps/workloads"
      let lost = try node.lab.run(in: "node", ["python3", script, pin, "\(generation % UInt32(WEIR_SLOTS))"])
      try #require(lost.status == 0, "\(lost.stderr)")
      #expect(try outsider.ask("connect 127.0.0.1 8081") == (mode == "allow" ? "ok" : "EPERM"))
      let outcome = mode == "allow" ? "allowed" : "refused"
      let fault = try #require(try node.status().faults.first)
      #expect(fault.reason == "no-tables" && fault.outcome == outcome && fault.count > 0)
      // Every packet of what is open counts, so there may be more by now.
      let series = "weir_faults_total{reason=\"no-tables\",outcome=\"\(outcome)\"} "
      let scrape = try node.scrape()
      #expect(scrape.contains(series) && !scrape.contains("\(series)0\n"))
      let text = try node.weir("status", "--run-dir", node.runDirectory).stdout
      #expect(text.contains(" \(outcome): no-tables"), "\(text)")
    }
  }
}
