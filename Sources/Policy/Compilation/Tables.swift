import CDatapath

/// The entries of one generation, as the kernel half reads them (each table is described in wire.h), and what
/// the proxies are told beside them. Made by `compile`; deterministic for the same set and numbers.
public struct Tables: Sendable {
  public var workloads: [(key: UInt64, value: weir_workload)] = []
  public var addresses: [(key: weir_address_key, value: weir_address)] = []
  public var cells: [(key: weir_cell_key, value: UInt32)] = []
  public var identities: [(key: UInt32, value: weir_identity)] = []
  public var proxies: [(key: UInt32, value: weir_proxy)] = []
  public var pairs: [(key: weir_pair_key, value: UInt32)] = []
  public var ports: [(key: weir_ports_key, value: weir_ruling)] = []
  /// What each proxy is told, in a deterministic order.
  public var l7: [Name: [L7Rule]] = [:]
  /// What each proxy is to report beside that: AUDIT and dry-run rules that would refuse a request.
  public var shadows: [Name: [L7Rule]] = [:]

  public init() {}
}

/// One rule for a proxy: requests from these identities to this target are allowed where all of `require`
/// hold and none of `unless` matches. A request that no L7Rule allows is refused.
public struct L7Rule: Sendable, Hashable {
  /// The deciding rule's full name, for logs: `AuthorizationPolicy shop/api rules[0]`.
  public var name: String
  /// The number that stands for the destination in the synthetic source address (wire.h).
  public var target: UInt16
  /// Source identities; nil: every source.
  public var identities: [UInt32]?
  /// Destination ports; nil: every port.
  public var ports: [ClosedRange<UInt16>]?
  /// AND of ORs: one of each list must match. Empty: every request; the lists in it are never empty.
  public var require: [[RequestMatch]]
  /// DENY rules that overlap: none may match.
  public var unless: [RequestMatch]

  public init(
    name: String, target: UInt16, identities: [UInt32]?, ports: [ClosedRange<UInt16>]?,
    require: [[RequestMatch]], unless: [RequestMatch]
  ) {
    self.name = name
    self.target = target
    self.identities = identities
    self.ports = ports
    self.require = require
    self.unless = unless
  }
}

/// A rule as verdicts name it.
public struct RuleName: Sendable, Hashable, Codable, CustomStringConvertible {
  public var kind: String
  public var namespace: String
  public var name: String
  /// The path in the object, `ingress[0].from[1]`; empty for the object's default deny.
  public var rule: String

  public init(kind: String, namespace: String, name: String, rule: String) {
    self.kind = kind
    self.namespace = namespace
    self.name = name
    self.rule = rule
  }

  public var description: String { "\(kind) \(Name(namespace, name))" + (rule.isEmpty ? "" : " \(rule)") }
}
