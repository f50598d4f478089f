/// How much a finding weighs.
public enum Severity: String, Sendable, Codable, CaseIterable, Comparable {
  /// A rule has no effect, or the opposite of what it says.
  case error
  /// Probably not meant.
  case warning
  /// Good to know.
  case info

  /// The worse is the lesser: findings are listed worst first.
  public static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }

  private var rank: Int {
    switch self {
    case .error: 0
    case .warning: 1
    case .info: 2
    }
  }
}

/// A contradiction between policies, or between a policy and the inventory: an entry of `conflicts` in the
/// JSON of `weir check`.
public struct Finding: Sendable, Codable {
  /// A rule, or a whole policy (an empty rule).
  public struct Policy: Sendable, Codable, Hashable {
    public var kind, namespace, name, rule, file: String
    public var line, column: Int

    /// `NetworkPolicy shop/db ingress[0].from[1]`
    public var text: String {
      "\(kind) \(Name(namespace, name))" + (rule.isEmpty ? "" : " \(rule)")
    }
  }

  public var id: Conflict
  public var severity: Severity
  /// One sentence.
  public var message: String
  /// The rule that the finding is about first, then those that make it so.
  public var policies: [Policy]
  public var witness: Witness?
  /// What to do about it.
  public var fix: String
}

/// What proves a finding: a flow or request and its verdict with and without the rule; for what is not there,
/// what was looked for.
public struct Witness: Sendable, Codable {
  public struct Request: Sendable, Codable {
    public var method, path, host: String
    public var headers: [String: String]
  }

  /// As the command line writes them: `shop/web`, `node/n1`, `ip:192.0.2.1`, `80/TCP`.
  public var from, to, port: String?
  public var request: Request?
  /// allowed, denied or proxied. Of two rules that disagree: by the first alone, and by the second alone.
  public var with, without: String?
  /// What was looked for, and among how many.
  public var sought: String?
  public var among: Int?
  /// What follows `weir explain PATH...` to see it.
  public var explain: String?
}

extension Finding {
  /// The witness in one line.
  public var proof: String? {
    guard let witness else { return nil }
    if let sought = witness.sought { return "\(sought): none among \(witness.among ?? 0)" }
    guard let flow = witness.flow, let with = witness.with else { return nil }
    guard let without = witness.without else { return "\(flow) is \(with)" }
    switch id {
    case .adminTie: return "\(flow) is \(with) by the first alone, and \(without) by the second alone"
    case .joinedDiffers: return "\(flow) is \(with), and in the other reading \(without)"
    default: return "\(flow) is \(with) with the rule, and \(without) without it"
    }
  }
}

extension Witness {
  fileprivate var flow: String? {
    guard let from, let to, let port else { return nil }
    var text = "\(from) -> \(to) \(port)"
    guard let request else { return text }
    text += " \(request.method) \(request.path)"
    if !request.host.isEmpty { text += " host \(request.host)" }
    for (name, value) in request.headers.sorted(by: { $0.key < $1.key }) { text += " \(name): \(value)" }
    return text
  }
}
