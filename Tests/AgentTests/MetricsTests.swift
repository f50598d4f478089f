import CDatapath
import Datapath
import Policy
import Testing

@testable import Agent

struct MetricsTests {
  private func numbers() -> Numbers {
    var numbers = Numbers()
    _ = numbers.workload(Name("shop", "web"))
    _ = numbers.workload(Name("shop", "api"))
    _ = numbers.rule(
      RuleName(kind: "NetworkPolicy", namespace: "shop", name: "api", rule: "ingress[0].from[1]"))
    _ = numbers.rule(RuleName(kind: "NetworkPolicy", namespace: "shop", name: "deny", rule: ""))
    return numbers
  }

  private func connection(_ source: UInt32, _ destination: UInt32) -> weir_connections_key {
    weir_connections_key(
      source: source, destination: destination, port: 80, protocol: 6,
      reporter: UInt8(WEIR_REPORTER_SOURCE.rawValue))
  }

  @Test func everyFamilyHasHelpAndTypeOnceAndEverySampleAFamily() throws {
    var metrics = Metrics()
    metrics.names = Names(numbers())
    metrics.node.generationTime = 1.5
    metrics.node.objects = ["NetworkPolicy": 2]
    metrics.node.reloads = ["installed": 1]
    metrics.maps = [
      try #require(
        JSON.decode(MapFill.self, Array(#"{"name":"workloads","entries":1,"maxEntries":2}"#.utf8)))
    ]
    metrics.losses = [0, 1, 2, 3, 4]
    let missing = Int(WEIR_REASON_NO_TABLES.rawValue) * 2
    metrics.faults = Array(repeating: 0, count: Int(WEIR_REASON_LAST.rawValue) * 2)
    metrics.faults[missing] = 7
    metrics.node.unidentified = 3
    metrics.shares = [Share(map: "senders", workload: "shop/web", entries: 3, share: 0.1, lost: 4)]
    metrics.connections = [(connection(1, 2), weir_connections())]
    metrics.refusals = [(weir_refusals_key(), 1)]
    let lines = metrics.text.split(separator: "\n")
    var families: Set<Substring> = []
    for (index, line) in lines.enumerated() where line.hasPrefix("# TYPE ") {
      let words = line.split(separator: " ")
      #expect(families.insert(words[2]).inserted, "\(line)")
      #expect(lines[index - 1].hasPrefix("# HELP \(words[2]) "))
      #expect(["counter", "gauge", "histogram"].contains(words[3]))
    }
    var samples: Set<Substring> = []
    for line in lines where !line.hasPrefix("#") {
      let name = line.prefix { $0 != "{" && $0 != " " }
      let bare = ["_bucket", "_sum", "_count"].reduce(name) { $0.hasSuffix($1) ? $0.dropLast($1.count) : $0 }
      #expect(families.contains(name) || families.contains(bare), "\(line)")
      guard let blank = line.lastIndex(of: " ") else { continue }
      #expect(Double(line[line.index(after: blank)...]) != nil, "\(line)")
      #expect(samples.insert(line[..<blank]).inserted, "\(line)")
    }
    #expect(metrics.text.hasSuffix("\n"))
    #expect(metrics.text.contains(#"weir_lost_total{what="storage"} 4"#))
    #expect(metrics.text.contains(#"weir_faults_total{reason="no-tables",outcome="refused"} 7"#))
    #expect(metrics.text.contains(#"weir_faults_total{reason="no-memory",outcome="allowed"} 0"#))
    #expect(!metrics.text.contains(#"reason="no-rule""#) && metrics.text.contains("\nweir_unidentified 3\n"))
    #expect(metrics.text.contains(#"weir_map_max_entries{map="workloads"} 2"#))
    #expect(metrics.text.contains(#"weir_map_usage{map="senders",workload="shop/web"} 3"#))
    #expect(metrics.text.contains(#"weir_lost_by_workload_total{what="senders",workload="shop/web"} 4"#))
  }

  @Test func `the largest share of each map comes first, and those outside are one`() throws {
    let maps = [
      try #require(JSON.decode(MapFill.self, Array(#"{"name":"refusals","entries":9,"maxEntries":100}"#.utf8)))
    ]
    let usage = [
      (UInt32(1), weir_usage(entries: (0, 0, 2), lost: (7, 0, 0, 0, 0, 0), second: 0, refusals: 0, allowed: 0)),
      (UInt32(2), weir_usage(entries: (0, 0, 5), lost: (0, 0, 0, 0, 0, 0), second: 0, refusals: 0, allowed: 0)),
      (1 | WEIR_FROM_OUTSIDE, weir_usage(entries: (0, 0, 1), lost: (0, 0, 0, 0, 0, 0), second: 0, refusals: 0, allowed: 0)),
      (2 | WEIR_FROM_OUTSIDE, weir_usage(entries: (0, 0, 2), lost: (0, 0, 0, 0, 0, 0), second: 0, refusals: 0, allowed: 0)),
      (WEIR_EVERYBODY, weir_usage(entries: (0, 0, 10), lost: (7, 0, 0, 0, 0, 0), second: 0, refusals: 0, allowed: 0)),
    ]
    let shares = Share.all(usage, maps, Names(numbers()))
    #expect(
      shares == [
        Share(map: "events", workload: "shop/web", entries: 0, share: 0, lost: 7),
        Share(map: "refusals", workload: "shop/api", entries: 5, share: 0.05, lost: 0),
        Share(map: "refusals", workload: "outside", entries: 3, share: 0.03, lost: 0),
        Share(map: "refusals", workload: "shop/web", entries: 2, share: 0.02, lost: 0),
      ])
    #expect(Share.top(1, of: shares).map(\.workload) == ["shop/web", "shop/api"])
  }

  @Test func `what is counted together is called other`() {
    #expect(Names.port(0, 6) == "other" && Names.port(0, 17) == "other" && Names.port(80, 6) == "80")
    #expect(Names.port(0, 1) == "0" && Names.port(0, 47) == "0", "ICMP has types, GRE nothing")
    #expect(Names().workload(WEIR_OTHER) == "other" && Names().workload(0) == "outside")
  }

  @Test func aHistogramIsCumulativeInSecondsAndEndsWithInfinity() {
    var value = weir_connections()
    value.rtt.0 = 1
    value.rtt.2 = 2
    value.rtt.19 = 4
    value.rtt_us_sum = 2_500_000
    value.rtt_count = 7
    var metrics = Metrics()
    metrics.names = Names(numbers())
    metrics.connections = [(connection(1, 2), value)]
    let labels =
      #"source="shop/web",destination="shop/api",port="80",protocol="TCP",reporter="source""#
    let text = metrics.text
    #expect(text.contains("weir_rtt_seconds_bucket{\(labels),le=\"1.6e-05\"} 1\n"))
    #expect(text.contains("weir_rtt_seconds_bucket{\(labels),le=\"3.2e-05\"} 1\n"))
    #expect(text.contains("weir_rtt_seconds_bucket{\(labels),le=\"6.4e-05\"} 3\n"))
    #expect(text.contains("weir_rtt_seconds_bucket{\(labels),le=\"4.194304\"} 3\n"))
    #expect(text.contains("weir_rtt_seconds_bucket{\(labels),le=\"+Inf\"} 7\n"))
    #expect(text.contains("weir_rtt_seconds_sum{\(labels)} 2.5\n"))
    #expect(text.contains("weir_rtt_seconds_count{\(labels)} 7\n"))
    #expect(
      text.split(separator: "\n").count { $0.hasPrefix("weir_rtt_seconds_bucket") } == Int(WEIR_BUCKETS))
  }

  @Test func seriesWithTheSameLabelsAreAddedUp() {
    var value = weir_connections()
    value.opened = 2
    value.sent_bytes = 10
    var metrics = Metrics()
    metrics.names = Names(numbers())
    // 7 and 8 are numbers whose names are lost: both are `removed`.
    metrics.connections = [(connection(0, 7), value), (connection(0, 8), value)]
    let labels = #"source="outside",destination="removed",port="80",protocol="TCP",reporter="source""#
    #expect(metrics.text.contains("weir_connections_opened_total{\(labels)} 4\n"))
    #expect(metrics.text.contains("weir_sent_bytes_total{\(labels)} 20\n"))
  }

  @Test func aRefusalNamesItsPolicyRuleLayerAndReason() {
    var metrics = Metrics()
    metrics.names = Names(numbers())
    let key = weir_refusals_key(
      source: 1, destination: 2, rule: 2, port: 5432, protocol: 17,
      direction: UInt8(WEIR_INGRESS.rawValue), reason: UInt8(WEIR_REASON_NO_RULE.rawValue), pad: (0, 0, 0))
    metrics.refusals = [(key, 3)]
    #expect(
      metrics.text.contains(
        #"weir_refused_total{source="shop/web",destination="shop/api",port="5432",protocol="UDP","#
          + #"layer="ingress",reason="no-rule",policy="NetworkPolicy shop/deny",rule=""} 3"#))
  }

  @Test func labelValuesAndHelpAreEscaped() {
    #expect(PrometheusText.labels(["a": "x\\y\"z\n", "b": ""]) == #"a="x\\y\"z\n",b="""#)
    var text = PrometheusText()
    text.family("n", .gauge, "one\\two\nthree")
    #expect(text.text == "# HELP n one\\\\two\\nthree\n# TYPE n gauge\n")
  }

  @Test func aVerdictIsWrittenWithNamesPlacesAndTheTimeOfDay() {
    var set = PolicySet()
    let place = Place(file: "p.yaml", line: 4, column: 1)
    let rule = NetworkPolicy.Rule(
      peers: [], ports: [], peerPlaces: [place, Place(file: "p.yaml", line: 9, column: 5)], place: place)
    set.networkPolicies = [
      NetworkPolicy(
        name: Name("shop", "api"), podSelector: .everything, ingress: [rule], egress: [],
        isolatesIngress: true, isolatesEgress: false, place: place)
    ]
    var event = weir_event()
    event.time_ns = 1_000_000_000
    event.generation = 7
    event.rule = 1
    event.source = 1
    event.destination_addr = IPAddress(v4: 0x7f00_0001).wire
    event.destination_port = UInt16(8080).bigEndian
    event.protocol = 6
    event.direction = UInt8(WEIR_INGRESS.rawValue)
    event.verdict = UInt8(WEIR_DENIED.rawValue)
    event.reason = 17
    let record = VerdictRecord(event, names: Names(numbers(), set: set), wallOffset: 2_000_000_000)
    #expect(record.time == "1970-01-01T00:00:03.000Z")
    #expect(record.verdict == "denied" && record.layer == "ingress" && record.reason == "deny-rule")
    #expect(record.rule == "NetworkPolicy shop/api ingress[0].from[1]")
    #expect(record.place == "p.yaml:9")
    #expect(record.source == "shop/web" && record.destination == "outside")
    #expect(record.sourceAddress == nil && record.destinationAddress == "127.0.0.1")
    #expect(record.port == 8080 && record.protocol == "TCP" && record.sourcePort == nil)
    #expect(JSON.decode(VerdictRecord.self, Array(JSON.text(record).utf8)) == record)
    // Numbers that no enumeration has come from a newer kernel half; they must not end the process.
    event.reason = 250
    #expect(VerdictRecord(event, names: Names(), wallOffset: 0).reason == "unknown-250")
  }
}
