import CDatapath
import Datapath
import Policy

/// Everything `/metrics` shows, taken at one moment.
struct Metrics {
  struct Node {
    var version = ""
    var layout: UInt32 = 0
    var generation: UInt32 = 0
    /// Seconds since 1970 at which the generation was put in force; nil while this agent has put none.
    var generationTime: Double?
    var objects: [String: Int] = [:]
    var filesRejected = 0
    var reloads: [String: UInt64] = [:]
    var workloads = 0
    /// Cgroups with processes in Subtrees that are nobody's.
    var unidentified = 0
    var programs = 0
    /// Requests on the status socket by neither root nor the agent's user.
    var strangers: UInt64 = 0
    /// Network namespaces of workloads that the agent may not enter.
    var namespacesNotEntered = 0
    var gaps: [Gap] = []
    /// nil where the agent tries no flows.
    var probes: [ProbeResult.Kind: UInt64]?
    /// Seconds since 1970.
    var lastVerified: Double?
    var residentBytes: UInt64 = 0
    var cpuSeconds = 0.0
  }

  var node = Node()
  var maps: [MapFill] = []
  var losses: [UInt64] = []
  /// As Datapath.faults answers.
  var faults: [UInt64] = []
  var shares: [Share] = []
  var connections: [(weir_connections_key, weir_connections)] = []
  var refusals: [(weir_refusals_key, UInt64)] = []
  var names = Names()

  var text: String {
    var out = PrometheusText()
    writeNode(&out)
    writeKernel(&out)
    writeFaults(&out)
    writeShares(&out)
    writeConnections(&out)
    writeRefusals(&out)
    return out.text
  }

  private func writeNode(_ out: inout PrometheusText) {
    func one(_ name: String, _ kind: PrometheusText.Kind, _ help: String, _ value: UInt64) {
      out.family(name, kind, help)
      out.sample(name, "", value)
    }
    out.family("weir_build_info", .gauge, "1, with the version and the layout of the kernel tables.")
    out.sample(
      "weir_build_info", PrometheusText.labels(["version": node.version, "layout": "\(node.layout)"]),
      UInt64(1))
    one(
      "weir_generation", .gauge, "Number of the generation in force, as the kernel has it; 0 none.",
      UInt64(node.generation))
    if let time = node.generationTime {
      out.family("weir_generation_timestamp_seconds", .gauge, "When the generation was put in force.")
      out.sample("weir_generation_timestamp_seconds", "", time)
    }
    out.family("weir_policy_objects", .gauge, "Objects of the set in force, by kind.")
    for (kind, count) in node.objects.sorted(by: { $0.key < $1.key }) {
      out.sample("weir_policy_objects", PrometheusText.labels(["kind": kind]), UInt64(count))
    }
    one(
      "weir_files_rejected", .gauge,
      "Files of the last reading that were rejected; while not 0, an older set is in force.",
      UInt64(node.filesRejected))
    out.family("weir_reloads_total", .counter, "Readings of the files, by what came of them.")
    for (result, count) in node.reloads.sorted(by: { $0.key < $1.key }) {
      out.sample("weir_reloads_total", PrometheusText.labels(["result": result]), count)
    }
    one("weir_workloads", .gauge, "Workloads whose cgroup is there.", UInt64(node.workloads))
    one(
      "weir_unidentified", .gauge, "Cgroups in Subtrees that have processes and are no workload's yet.",
      UInt64(node.unidentified))
    one(
      "weir_programs_attached", .gauge, "Programs attached, as the kernel reports them.",
      UInt64(node.programs))
    one(
      "weir_status_requests_refused_total", .counter,
      "Requests on the status socket by neither root nor the agent's user.", node.strangers)
    one(
      "weir_namespaces_not_entered", .gauge,
      "Network namespaces of workloads that the agent may not enter: forbidden connections there are not reset.",
      UInt64(node.namespacesNotEntered))
    one(
      "weir_programs_missing", .gauge, "Programs that should run and that the kernel does not run.",
      UInt64(node.gaps.count { !$0.runs }))
    one(
      "weir_pins_missing", .gauge, "1 while something would not outlive the agent, because its pin is gone.",
      node.gaps.contains(where: \.runs) ? 1 : 0)
    if let probes = node.probes {
      out.family(
        "weir_verify_probes_total", .counter, "Flows the agent tried itself, by whether what happened was intended.")
      for kind in ProbeResult.Kind.allCases {
        out.sample(
          "weir_verify_probes_total", PrometheusText.labels(["result": kind.rawValue]), probes[kind] ?? 0)
      }
    }
    if let time = node.lastVerified {
      out.family(
        "weir_verify_last_success_timestamp_seconds", .gauge, "When flows were tried last and none was different.")
      out.sample("weir_verify_last_success_timestamp_seconds", "", time)
    }
    one("process_resident_memory_bytes", .gauge, "Resident memory of the agent.", node.residentBytes)
    out.family("process_cpu_seconds_total", .counter, "User and system time of the agent.")
    out.sample("process_cpu_seconds_total", "", node.cpuSeconds)
  }

  private func writeKernel(_ out: inout PrometheusText) {
    let maps = maps.sorted { $0.name < $1.name }
    out.family("weir_map_entries", .gauge, "Entries in a kernel map.")
    for map in maps {
      out.sample("weir_map_entries", PrometheusText.labels(["map": map.name]), UInt64(map.entries))
    }
    out.family("weir_map_max_entries", .gauge, "Entries a kernel map can hold.")
    for map in maps {
      out.sample("weir_map_max_entries", PrometheusText.labels(["map": map.name]), UInt64(map.maxEntries))
    }
    out.family("weir_lost_total", .counter, "What the programs could not report or remember.")
    for (index, count) in losses.enumerated() {
      out.sample("weir_lost_total", PrometheusText.labels(["what": Metrics.loss(index)]), count)
    }
  }

  /// A series for each reason for which a fault is counted, from the first on.
  private func writeFaults(_ out: inout PrometheusText) {
    out.family("weir_faults_total", .counter, "Flows that weir itself could not judge, by what the fail mode did.")
    for fault in Fault.list(faults) where fault.count > 0 || Metrics.faultReasons.contains(fault.reason) {
      out.sample(
        "weir_faults_total", PrometheusText.labels(["reason": fault.reason, "outcome": fault.outcome]), fault.count)
    }
  }

  private static let faultReasons = [Reason.noTables.word, Reason.noMemory.word]

  /// As many series as there are workloads: only what is not zero.
  private func writeShares(_ out: inout PrometheusText) {
    func labels(_ share: Share, _ key: String) -> String {
      PrometheusText.labels([key: share.map, "workload": share.workload])
    }
    out.family("weir_map_usage", .gauge, "Entries that a workload has in a map that all share.")
    for share in shares where share.entries > 0 {
      out.sample("weir_map_usage", labels(share, "map"), share.entries)
    }
    out.family("weir_lost_by_workload_total", .counter, "Whose the losses of weir_lost_total are.")
    for share in shares where share.lost > 0 {
      out.sample("weir_lost_by_workload_total", labels(share, "what"), share.lost)
    }
  }

  /// The word for a weir_loss.
  static func loss(_ index: Int) -> String {
    switch UInt32(index) {
    case WEIR_LOSS_EVENTS.rawValue: "events"
    case WEIR_LOSS_CONNECTIONS.rawValue: "connections"
    case WEIR_LOSS_REFUSALS.rawValue: "refusals"
    case WEIR_LOSS_EXCHANGES.rawValue: "exchanges"
    case WEIR_LOSS_STORAGE.rawValue: "storage"
    case WEIR_LOSS_SENDERS.rawValue: "senders"
    default: "unknown-\(index)"
    }
  }

  private func writeRefusals(_ out: inout PrometheusText) {
    var sums: [String: UInt64] = [:]
    for (key, count) in refusals {
      let rule = names.rule(key.rule)
      let labels = PrometheusText.labels([
        "source": names.workload(key.source), "destination": names.workload(key.destination),
        "port": Names.port(key.port, key.protocol), "protocol": Names.protocol(key.protocol), "layer": Names.layer(key.direction),
        "reason": Names.reason(key.reason), "policy": rule?.policy ?? "", "rule": rule?.path ?? "",
      ])
      sums[labels, default: 0] &+= count
    }
    out.family(
      "weir_refused_total", .counter,
      "Refused connects, datagrams and SYNs; once in a generation each connection no longer allowed."
    )
    for (labels, count) in sums.sorted(by: { $0.key < $1.key }) {
      out.sample("weir_refused_total", labels, count)
    }
  }

  private func writeConnections(_ out: inout PrometheusText) {
    // Two numbers may share a label (two lost names are both `removed`), and a series may stand only once.
    var sums: [String: weir_connections] = [:]
    for (key, value) in connections {
      let isSource = UInt32(key.reporter) == WEIR_REPORTER_SOURCE.rawValue
      let labels = PrometheusText.labels([
        "source": names.workload(key.source), "destination": names.workload(key.destination),
        "port": Names.port(key.port, key.protocol), "protocol": Names.protocol(key.protocol),
        "reporter": isSource ? "source" : "destination",
      ])
      sums[labels] = sums[labels].map { Metrics.sum($0, value) } ?? value
    }
    let series = sums.sorted { $0.key < $1.key }
    func counter(_ name: String, _ help: String, _ value: (weir_connections) -> UInt64) {
      out.family(name, .counter, help)
      for (labels, sum) in series { out.sample(name, labels, value(sum)) }
    }
    counter("weir_connections_opened_total", "Connections (UDP: exchanges) opened.", \.opened)
    counter("weir_connections_closed_total", "Connections closed.", \.closed)
    counter(
      "weir_sent_bytes_total", "Payload bytes the reporter's sockets sent, without retransmits.", \.sent_bytes
    )
    counter("weir_received_bytes_total", "Payload bytes the reporter's sockets received.", \.received_bytes)
    counter("weir_retransmits_total", "TCP segments sent again.", \.retransmits)
    out.family("weir_rtt_seconds", .histogram, "Smoothed TCP round-trip time.")
    for (labels, sum) in series {
      Metrics.histogram(
        "weir_rtt_seconds", labels, Metrics.buckets(sum.rtt), (sum.rtt_us_sum, sum.rtt_count), &out)
    }
    out.family("weir_connect_seconds", .histogram, "Time from connect() to an established TCP connection.")
    for (labels, sum) in series {
      Metrics.histogram(
        "weir_connect_seconds", labels, Metrics.buckets(sum.connect), (sum.connect_us_sum, sum.connect_count),
        &out)
    }
  }

  /// Cumulative buckets: bucket i ends at 1 << (i + 4) microseconds, the last has no end.
  private static func histogram(
    _ name: String, _ labels: String, _ buckets: [UInt64], _ total: (sum: UInt64, count: UInt64),
    _ out: inout PrometheusText
  ) {
    var cumulative: UInt64 = 0
    for (index, count) in buckets.enumerated() {
      cumulative += count
      let isLast = index == buckets.count - 1
      let limit = isLast ? "+Inf" : "\(Double(UInt64(1) << UInt64(index + 4)) / 1_000_000)"
      out.sample("\(name)_bucket", "\(labels),le=\"\(limit)\"", cumulative)
    }
    out.sample("\(name)_sum", labels, Double(total.sum) / 1_000_000)
    // The programs add to bucket and count one after the other; a scrape in between must still be consistent.
    out.sample("\(name)_count", labels, cumulative)
  }

  private static func buckets<T>(_ tuple: T) -> [UInt64] {
    withUnsafeBytes(of: tuple) { Array($0.bindMemory(to: UInt64.self)) }
  }

  private static func sum(_ a: weir_connections, _ b: weir_connections) -> weir_connections {
    var result = a
    withUnsafeMutableBytes(of: &result) { sums in
      withUnsafeBytes(of: b) { more in
        // The struct is nothing but __u64.
        let words = sums.bindMemory(to: UInt64.self)
        for (index, word) in more.bindMemory(to: UInt64.self).enumerated() { words[index] &+= word }
      }
    }
    return result
  }
}
