import Policy

/// What was refused lately, and who follows what is judged.
struct VerdictLog {
  static let kept = 256

  private(set) var refusals: [VerdictRecord] = []
  var followers: [Follower] = []
  private var limit = RateLimit()

  mutating func take(_ record: VerdictRecord, log: Log) {
    if !followers.isEmpty {
      let line = JSON.text(record)
      for follower in followers { follower.push(line) }
    }
    // Under audit a denied verdict is one that would have been; it is kept and logged as such.
    guard record.verdict == "denied" else { return }
    if refusals.count == VerdictLog.kept { refusals.removeFirst() }
    refusals.append(record)
    if limit.admits(at: Clock.monotonic()) { write(record, log) }
  }

  mutating func reportSuppressed(_ log: Log) {
    let count = limit.takeSuppressed()
    if count > 0 { log.info("refusals-not-logged", ["count": count]) }
  }

  private func write(_ record: VerdictRecord, _ log: Log) {
    log.info(
      record.audit ? "would-refuse" : "refused",
      [
        "layer": record.layer, "reason": record.reason, "source": record.source,
        "destination": record.destination, "destination_address": record.destinationAddress ?? "",
        "port": "\(record.port)/\(record.protocol)", "rule": record.rule ?? "", "place": record.place ?? "",
        "generation": record.generation,
      ])
  }
}
