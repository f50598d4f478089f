import Policy

/// One flow to be tried: between two workloads of this node, at a loopback address.
struct Probe: Hashable {
  /// nil: a process that is nobody's.
  var from: Name?
  var to: Name
  var `protocol`: TransportProtocol
  var port: UInt16
  var isV6: Bool

  var address: IPAddress { isV6 ? Probe.loopback6 : Probe.loopback4 }
  var portText: String { "\(port)/\(`protocol`.rawValue)" }
  var fromText: String { from?.description ?? "ip:\(AddressText.of(address))" }

  private static let loopback4 = IPAddress(v4: 0x7f00_0001)
  private static let loopback6 = AddressText.parse("::1") ?? IPAddress(v4: 0)
}

/// What the kernel is to do with a flow, and what it did: the words of `weir matrix`, and what else can be seen.
enum FlowOutcome: String, Codable, CaseIterable {
  case allowed
  /// connect() answers EPERM.
  case deniedEgress = "denied-egress"
  /// connect() answers EACCES; to who is nobody's, it may as well be no answer.
  case deniedIngress = "denied-ingress"
  /// Turned to a proxy: where none listens, ECONNREFUSED.
  case proxied
  case noAnswer = "no-answer"
  case other
}

/// What the files say of a probe.
struct Intent: Equatable {
  var outcome: FlowOutcome
  /// Who decides; nil where nobody does.
  var ruling: Ruling?
}

extension Intent {
  /// - Parameter audited: whether what an endpoint's side refuses is let through.
  init(_ probe: Probe, _ evaluator: Evaluator, audited: (Name) -> Bool) {
    var flow = Flow(
      from: probe.from.map { .endpoint($0) } ?? .address(probe.address), to: .endpoint(probe.to),
      protocol: probe.protocol, port: probe.port)
    flow.fromAddress = probe.address
    flow.toAddress = probe.address
    // Where requests decide and no proxy takes the destination, the side that asks about them refuses.
    let isTaken = evaluator.proxy(for: probe.to) != nil
    func judged(_ ruling: Ruling) -> Ruling {
      var ruling = ruling
      if ruling.verdict == .proxied && !isTaken { ruling.verdict = .denied }
      return ruling
    }
    let ingress = judged(evaluator.ingress(flow))
    let isToAudited = audited(probe.to)
    guard let from = probe.from else {
      self = Intent.ofNobody(ingress, isToAudited)
      return
    }
    let egress = judged(evaluator.egress(flow))
    let isFromAudited = audited(from)
    if egress.verdict == .denied && !isFromAudited {
      self = Intent(outcome: .deniedEgress, ruling: egress)
    } else if ingress.verdict == .denied {
      self = Intent(outcome: isToAudited ? .allowed : .deniedIngress, ruling: ingress)
    } else if ingress.verdict == .proxied {
      self = Intent(outcome: isToAudited ? .allowed : .proxied, ruling: ingress)
    } else if egress.verdict == .proxied {
      self = Intent(outcome: isFromAudited ? .allowed : .proxied, ruling: egress)
    } else {
      self = Intent(outcome: .allowed, ruling: ingress.rule == nil ? egress : ingress)
    }
  }

  /// Nobody speaks for it, and no proxy takes it.
  private static func ofNobody(_ ingress: Ruling, _ isAudited: Bool) -> Intent {
    let isAllowed = isAudited || ingress.verdict == .allowed
    return Intent(outcome: isAllowed ? .allowed : .deniedIngress, ruling: ingress)
  }
}

/// How one probe went, as `weir verify -o json` prints it.
struct ProbeResult: Codable, Equatable {
  enum Kind: String, Codable, CaseIterable {
    case asIntended = "as-intended"
    case different
    /// The question could not be asked.
    case failed
  }

  var result: Kind
  /// `namespace/name`, or `ip:ADDRESS` for a process that is nobody's.
  var from: String
  var to: String
  /// `80/TCP`
  var port: String
  /// The address that the destination listened at.
  var address: String
  /// allowed, denied-egress, denied-ingress or proxied
  var intended: String
  /// The deciding rule's full name; absent where no policy speaks.
  var rule: String?
  /// `file:line` of it.
  var place: String?
  /// As intended; or no-answer, or what the kernel or the canary said.
  var actual: String
  var microseconds: UInt64

  var sentence: String {
    let by = rule.map { " by \($0)" + (place.map { " (\($0))" } ?? "") } ?? ""
    return "\(from) to \(to) \(port): intended \(intended)\(by), actual \(actual)"
  }
}

extension ProbeResult {
  init(_ probe: Probe, _ intent: Intent, _ answer: CanaryAnswer) {
    let outcome: FlowOutcome
    var said: String?
    var took: UInt64 = 0
    switch answer {
    case .arrived(let time): (outcome, took) = (.allowed, time)
    case .silent: outcome = .noAnswer
    case .refused(let code, let time):
      took = time
      outcome = FlowOutcome.told(code)
      if outcome == .other { said = SystemError.name(code) }
    case .broken(let step, let code):
      (outcome, said) = (.other, "\(step): \(SystemError.name(code))")
    }
    var isSame = outcome == intent.outcome
    // Its packets are dropped; only below the cgroup root there is a connect() to refuse.
    if probe.from == nil && intent.outcome == .deniedIngress {
      isSame = [.deniedIngress, .noAnswer, .proxied].contains(outcome)
    }
    var kind = isSame ? Kind.asIntended : .different
    if case .broken = answer { kind = .failed }
    self.init(probe, intent, actual: said ?? outcome.rawValue, kind)
    microseconds = took
  }

  init(_ probe: Probe, _ intent: Intent, actual: String, _ kind: Kind) {
    result = kind
    from = probe.fromText
    to = probe.to.description
    port = probe.portText
    address = AddressText.of(probe.address)
    intended = intent.outcome.rawValue
    rule = intent.ruling?.rule?.description
    place = intent.ruling?.place.map { "\($0.file):\($0.line)" }
    self.actual = actual
    microseconds = 0
  }
}

extension FlowOutcome {
  /// What an errno of connect() or sendto() means (bpf/connect.bpf.c, errno_of).
  fileprivate static func told(_ code: Int32) -> FlowOutcome {
    switch SystemError.name(code) {
    case "EPERM": .deniedEgress
    case "EACCES": .deniedIngress
    case "ECONNREFUSED": .proxied
    default: .other
    }
  }
}
