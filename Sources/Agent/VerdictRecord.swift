import CDatapath
import Policy

/// One verdict as `weir flows -o json` prints it.
struct VerdictRecord: Codable, Equatable {
  /// RFC 3339, UTC.
  var time: String
  var generation: UInt32
  /// allowed, denied or proxied
  var verdict: String
  /// Reason.word
  var reason: String
  /// egress or ingress
  var layer: String
  /// The deciding rule's full name; absent where no policy speaks.
  var rule: String?
  /// `file:line`; absent where the rule is no longer in the files.
  var place: String?
  /// Workloads; `outside` for nobody weir knows.
  var source: String
  var destination: String
  var sourceAddress: String?
  var destinationAddress: String?
  var sourcePort: UInt16?
  var port: UInt16
  var `protocol`: String
  /// The proxy it was turned to.
  var proxy: String?
  /// true: would have been refused and was not.
  var audit: Bool

  /// `wallOffset` turns CLOCK_MONOTONIC into nanoseconds since 1970.
  init(_ event: weir_event, names: Names, wallOffset: UInt64) {
    let decided = names.rule(event.rule)
    time = Clock.timestamp(event.time_ns &+ wallOffset)
    generation = event.generation
    switch UInt32(event.verdict) {
    case WEIR_ALLOWED.rawValue: verdict = "allowed"
    case WEIR_PROXIED.rawValue: verdict = "proxied"
    default: verdict = "denied"
    }
    reason = Names.reason(event.reason)
    layer = Names.layer(event.direction)
    rule = decided?.full
    place = decided?.place.map { "\($0.file):\($0.line)" }
    source = names.workload(event.source)
    destination = names.workload(event.destination)
    sourceAddress = AddressText.of(event.source_addr)
    destinationAddress = AddressText.of(event.destination_addr)
    let from = UInt16(bigEndian: event.source_port)
    sourcePort = from == 0 ? nil : from
    port = UInt16(bigEndian: event.destination_port)
    `protocol` = Names.protocol(event.protocol)
    proxy = names.proxy(UInt32(event.proxy))
    audit = event.audit != 0
  }
}

/// Refusals for the log: so many lines a second for those that come first, as many again of one each for workloads that
/// had none in it, so that who is refused all the time does not hide who is refused once; and then how many there were beside.
struct RateLimit {
  let perSecond: Int
  private var second: UInt64 = 0
  /// Who had a line in this second, by the number of the flow's source.
  private var heard: Set<UInt32> = []
  private var used = 0
  private var usedByFirsts = 0
  private(set) var suppressed = 0

  init(perSecond: Int = 10) { self.perSecond = perSecond }

  /// Whether one more of that source may be written at this time (CLOCK_MONOTONIC, nanoseconds).
  mutating func admits(_ source: UInt32, at time: UInt64) -> Bool {
    if time / 1_000_000_000 != second {
      second = time / 1_000_000_000
      (heard, used, usedByFirsts) = ([], 0, 0)
    }
    if used < perSecond {
      used += 1
      heard.insert(source)
      return true
    }
    if usedByFirsts < perSecond, heard.insert(source).inserted {
      usedByFirsts += 1
      return true
    }
    suppressed += 1
    return false
  }

  /// How many were not written since it was last asked.
  mutating func takeSuppressed() -> Int {
    defer { suppressed = 0 }
    return suppressed
  }
}
