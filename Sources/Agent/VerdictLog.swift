import CDatapath
import Policy

/// What was refused lately, and who follows what is judged. The events are kept as they came: under a flood
/// most of them are never looked at, so names are found when somebody asks.
struct VerdictLog {
  static let kept = 256
  static let maximumFollowers = 16

  var followers: [Follower] = []
  private var refusals: [weir_event] = []
  private var limit = RateLimit()

  mutating func take(_ event: weir_event, names: Names, log: Log) {
    if !followers.isEmpty {
      let line = JSON.text(VerdictRecord(event, names: names, wallOffset: Clock.wallOffset()))
      for follower in followers { follower.push(line) }
    }
    // Under audit a denied verdict is one that would have been; it is kept and logged as such. An allowed one that
    // is told here met an AUDIT rule.
    let denied = UInt32(event.verdict) == WEIR_DENIED.rawValue
    guard denied || event.audit != 0 else { return }
    if denied { refusals.append(event) }
    // Twice as many before the older half goes, so that a flood does not move the whole array each time.
    if refusals.count >= 2 * VerdictLog.kept { refusals.removeFirst(VerdictLog.kept) }
    if limit.admits(event.source, at: Clock.monotonic()) {
      write(VerdictRecord(event, names: names, wallOffset: Clock.wallOffset()), log)
    }
  }

  /// The newest last.
  func lastRefusals(_ names: Names) -> [VerdictRecord] {
    let offset = Clock.wallOffset()
    return refusals.suffix(VerdictLog.kept).map { VerdictRecord($0, names: names, wallOffset: offset) }
  }

  mutating func reportSuppressed(_ log: Log) {
    let count = limit.takeSuppressed()
    if count > 0 { log.info("refusals-not-logged", ["count": count]) }
  }

  private func write(_ record: VerdictRecord, _ log: Log) {
    log.info(
      record.verdict == Verdict.denied.rawValue ? (record.audit ? "would-refuse" : "refused") : "audited",
      [
        "layer": record.layer, "reason": record.reason, "source": record.source,
        "destination": record.destination, "destination_address": record.destinationAddress ?? "",
        "port": "\(record.port)/\(record.protocol)", "rule": record.rule ?? "", "place": record.place ?? "",
        "generation": record.generation,
      ])
  }
}
