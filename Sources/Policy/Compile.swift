import CDatapath

/// What the node knows beside the files: which workloads and proxies are here, by the id of their cgroup.
public struct Presence: Sendable {
  public var workloads: [Name: UInt64]
  public var proxies: [Name: UInt64]

  public init(workloads: [Name: UInt64] = [:], proxies: [Name: UInt64] = [:]) {
    self.workloads = workloads
    self.proxies = proxies
  }
}

/// A set that cannot be put into tables: which limit, how many are wanted.
public struct CompileError: Error, Sendable, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// Turns a set into the entries of one generation. Pure; `numbers` grows by the names it has not met, unless
/// it throws.
///
/// Only policies that select a workload of this node are compiled, because only those are judged here: a
/// flow's egress where its source is, its ingress where its destination is.
public func compile(_ set: PolicySet, presence: Presence, numbers: inout Numbers) throws(CompileError)
  -> Tables
{
  var compiler = Compiler(set, presence, numbers)
  try compiler.run()
  numbers = compiler.numbers
  return compiler.tables
}

struct Compiler {
  let set: PolicySet
  let presence: Presence
  let evaluator: Evaluator
  let locals: [Local]
  var index: EndpointIndex
  var numbers: Numbers
  var tables = Tables()
  var classes = Classes()

  init(_ set: PolicySet, _ presence: Presence, _ numbers: Numbers) {
    self.set = set
    self.presence = presence
    self.numbers = numbers
    evaluator = Evaluator(set)
    index = EndpointIndex(set)
    let index = index
    locals = presence.workloads.sorted { $0.key < $1.key }.compactMap { name, cgroup in
      index.position[name].map {
        Local(endpoint: index.endpoints[$0], position: $0, cgroup: cgroup)
      }
    }
  }

  mutating func run() throws(CompileError) {
    let proxies = try writeProxies()
    let subjects = Subjects(locals, of: evaluator, index, proxies: proxies)
    let signatures = Signatures(subjects.atoms, &index)
    let cells = Cells(subjects.atoms.blocks)
    let identities = try numberIdentities()
    let targets = try numberTargets(subjects)

    writeWorkloads(subjects, signatures, identities, targets)
    writeAddresses(signatures, cells, identities)
    writeCells(subjects, signatures, cells)
    writeIdentities(signatures, identities)

    let pairs = Pairs(subjects, signatures, cells, classes)
    tables.pairs = pairs.entries
    for (position, function) in pairs.functions.all.enumerated() {
      for entry in function.entries {
        let key = weir_ports_key(function: UInt32(position + 1), entry)
        tables.ports.append((key, ruling(entry.decision)))
      }
    }
    writeL7(subjects, signatures, identities, targets)
  }

  /// A decision with its rule's number.
  private mutating func ruling(_ decision: Decision) -> weir_ruling {
    let verdict =
      switch decision.verdict {
      case .allowed: WEIR_ALLOWED
      case .denied: WEIR_DENIED
      case .proxied: WEIR_PROXIED
      }
    return weir_ruling(
      rule: decision.rule.map { numbers.rule(name($0)) } ?? 0, verdict: UInt8(verdict.rawValue),
      reason: decision.reason.rawValue, proxy: decision.proxy, pad: 0)
  }

  func name(_ rule: RuleReference) -> RuleName {
    switch rule.kind {
    case .authorization: return evaluator.authorizationPolicies[rule.policy].ruleName(rule.rule)
    case .network:
      let path = rule.rule.map { NetworkPolicy.path(rule.direction, rule: $0, peer: rule.peer) } ?? ""
      return evaluator.networkPolicies[rule.policy].ruleName(path)
    }
  }
}
