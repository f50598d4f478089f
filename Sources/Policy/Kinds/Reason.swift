import CDatapath

/// Why a flow was allowed, refused or sent to a proxy. The numbers are the shared header's; the word is the same in
/// metrics, events, JSON and on the command line.
public enum Reason: UInt8, Sendable, CaseIterable, Codable {
  case none = 0
  case notSelected = 1
  case rule = 2
  case `self` = 3
  case l7Rule = 4
  case proxyAgreed = 5
  case ownNode = 6
  case auditRule = 7
  case noRule = 16
  case denyRule = 17
  case noProxy = 18
  case bypassedProxy = 19
  case directToProxy = 20
  case unknownIdentity = 21
  case noTables = 22
  case noMemory = 23
  case malformed = 24
  case unidentified = 25

  /// The word of metrics and JSON.
  public var word: String {
    switch self {
    case .none: "none"
    case .notSelected: "not-selected"
    case .rule: "rule"
    case .self: "self"
    case .l7Rule: "l7-rule"
    case .proxyAgreed: "proxy-agreed"
    case .ownNode: "own-node"
    case .auditRule: "audit-rule"
    case .noRule: "no-rule"
    case .denyRule: "deny-rule"
    case .noProxy: "no-proxy"
    case .bypassedProxy: "bypassed-proxy"
    case .directToProxy: "direct-to-proxy"
    case .unknownIdentity: "unknown-identity"
    case .noTables: "no-tables"
    case .noMemory: "no-memory"
    case .malformed: "malformed"
    case .unidentified: "unidentified"
    }
  }

  /// The sentence for people.
  public var sentence: String {
    switch self {
    case .none: "not judged"
    case .notSelected: "no policy selects the workload in this direction"
    case .rule: "a rule allows it"
    case .self: "a workload always reaches itself"
    case .l7Rule: "rules about requests decide, in the proxy"
    case .proxyAgreed: "it comes through the proxy that judged it"
    case .ownNode: "a workload and the node it runs on always reach each other"
    case .auditRule: "an AUDIT rule matches, which is reported and nothing else"
    case .noRule: "policies select the workload and no rule matches"
    case .denyRule: "a DENY rule matches"
    case .noProxy: "rules about requests decide and no proxy takes the flow"
    case .bypassedProxy: "rules about requests decide and it did not come through the proxy"
    case .directToProxy: "a program connected to a proxy's port on its own"
    case .unknownIdentity: "the proxy speaks for an identity that no policy set knows"
    case .noTables: "the tables of the generation are missing"
    case .noMemory: "no memory for the socket's state"
    case .malformed: "the packet's headers cannot be read"
    case .unidentified: "a process in a managed subtree that is no workload's yet"
    }
  }
}
