import CDatapath

/// What the node knows beside the files: which workloads and proxies are here, by the id of their cgroup.
public struct Presence: Equatable, Sendable {
  public var workloads: [Name: UInt64]
  public var proxies: [Name: UInt64]
  /// Of the Subtrees, by name.
  public var subtrees: [String: UInt64]
  /// The Subtree that a workload is in, the nearest one's name; workloads in none are not here.
  public var subtreeOf: [Name: String]

  public init(
    workloads: [Name: UInt64] = [:], proxies: [Name: UInt64] = [:], subtrees: [String: UInt64] = [:],
    subtreeOf: [Name: String] = [:]
  ) {
    self.workloads = workloads
    self.proxies = proxies
    self.subtrees = subtrees
    self.subtreeOf = subtreeOf
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
  var compiler = Compiler()
  return try compiler.compile(set, presence: presence, numbers: &numbers)
}

/// Compiles one generation after the other and keeps what a change of policy does not touch: who is who in the
/// inventory, and which endpoints a question means.
public struct Compiler: Sendable {
  private var known: KnownInventory?

  public init() {}

  /// As the function of the same name.
  public mutating func compile(_ set: PolicySet, presence: Presence, numbers: inout Numbers) throws(CompileError)
    -> Tables
  {
    var kept = known
    known = nil
    if let inventory = kept, !inventory.isStill(set, numbers) { kept = nil }
    var after = numbers
    let inventory: KnownInventory
    if let kept { inventory = kept } else { inventory = try KnownInventory(set, &after) }
    var compilation = Compilation(set, presence, after, inventory)
    try compilation.run()
    numbers = compilation.numbers
    known = compilation.inventory
    return compilation.tables
  }
}

/// What depends on the inventory alone.
struct KnownInventory: Sendable {
  private let stamp: UInt64
  private let given: UInt64
  var index: EndpointIndex
  /// By position in the index.
  let identities: [UInt32]
  let workloads: [UInt32]
  /// Every address with the endpoint or node that has it: of several endpoints that declare it the first by name, and
  /// endpoints go before nodes.
  let owners: [Owner]
  /// Each identity with the first endpoint that has it, ascending.
  let holders: [(identity: UInt32, first: Int, isOnly: Bool)]

  struct Owner {
    var address: IPAddress
    /// In the index, of endpoints or of nodes.
    var position: Int
    var isNode: Bool
  }

  init(_ set: PolicySet, _ numbers: inout Numbers) throws(CompileError) {
    stamp = set.inventoryStamp
    index = EndpointIndex(set)
    var identities: [UInt32] = []
    var workloads: [UInt32] = []
    identities.reserveCapacity(index.endpoints.count)
    workloads.reserveCapacity(index.endpoints.count)
    for endpoint in index.endpoints {
      identities.append(try KnownInventory.identity(of: endpoint, &numbers))
      workloads.append(numbers.workload(endpoint.name))
    }
    self.identities = identities
    self.workloads = workloads
    owners = KnownInventory.owners(index)
    holders = KnownInventory.holders(identities)
    given = numbers.given
  }

  /// Numbers that were given and then thrown away, with a generation that failed, would mean somebody else.
  func isStill(_ set: PolicySet, _ numbers: Numbers) -> Bool {
    stamp != 0 && stamp == set.inventoryStamp && given <= numbers.given
  }

  private static func owners(_ index: EndpointIndex) -> [Owner] {
    var owners: [Owner] = []
    var taken: Set<IPAddress> = []
    for (position, endpoint) in index.endpoints.enumerated() {
      for address in endpoint.addresses where taken.insert(address).inserted {
        owners.append(Owner(address: address, position: position, isNode: false))
      }
    }
    for (position, node) in index.nodes.enumerated() {
      for address in node.addresses where taken.insert(address).inserted {
        owners.append(Owner(address: address, position: position, isNode: true))
      }
    }
    return owners
  }

  private static func holders(_ identities: [UInt32]) -> [(identity: UInt32, first: Int, isOnly: Bool)] {
    var members: [UInt32: (first: Int, count: Int)] = [:]
    for (position, identity) in identities.enumerated() { members[identity, default: (position, 0)].count += 1 }
    return members.sorted { $0.key < $1.key }.map { ($0.key, $0.value.first, $0.value.count == 1) }
  }

  private static func identity(of endpoint: Endpoint, _ numbers: inout Numbers) throws(CompileError) -> UInt32 {
    let number = numbers.identity(
      namespace: endpoint.name.namespace, labels: endpoint.labels, serviceAccount: endpoint.serviceAccount)
    guard number < 1 << UInt32(WEIR_IDENTITY_BITS) else {
      throw CompileError(
        "identities: \(endpoint.name) would be number \(number), the limit is "
          + "\(1 << UInt32(WEIR_IDENTITY_BITS) - 1)")
    }
    return number
  }
}

/// One generation in the making.
struct Compilation {
  let set: PolicySet
  let presence: Presence
  let evaluator: Evaluator
  let locals: [Local]
  var inventory: KnownInventory
  var numbers: Numbers
  var tables = Tables()
  var classes = Classes()

  init(_ set: PolicySet, _ presence: Presence, _ numbers: Numbers, _ inventory: KnownInventory) {
    self.set = set
    self.presence = presence
    self.numbers = numbers
    self.inventory = inventory
    let index = inventory.index
    let locals = presence.workloads.sorted { $0.key < $1.key }.compactMap { name, cgroup in
      index.position[name].map {
        Local(endpoint: index.endpoints[$0], position: $0, cgroup: cgroup)
      }
    }
    self.locals = locals
    evaluator = Evaluator(set.speaking(to: locals.map(\.endpoint)))
  }

  mutating func run() throws(CompileError) {
    let proxies = try writeProxies()
    let subjects = Subjects(locals, of: evaluator, proxies: proxies)
    let signatures = Signatures(
      subjects.atoms, &inventory.index,
      proxies: subjects.all.contains { $0.egress.asksForRequests } ? takers(proxies) : nil)
    inventory.index.keep(subjects.atoms.all)
    let cells = Cells(subjects.atoms.addresses)
    let targets = try numberTargets(subjects)

    writeWorkloads(subjects, signatures, targets)
    writeSubtrees()
    writeAddresses(signatures, cells)
    writeCells(subjects, signatures, cells)
    writeIdentities(signatures)

    let pairs = Pairs(subjects, signatures, cells, classes)
    tables.pairs = pairs.entries
    let asked = try numberRequests(pairs)
    for (position, function) in pairs.functions.all.enumerated() {
      for entry in function.entries {
        let key = weir_ports_key(function: UInt32(position + 1), entry)
        tables.ports.append((key, ruling(entry.decision, target: asked[position] ?? 0)))
      }
    }
    writeRules(Requesting(subjects: subjects, signatures: signatures, cells: cells, targets: targets), pairs, asked)
  }

  /// A decision with its rule's number.
  private mutating func ruling(_ decision: Decision, target: UInt16) -> weir_ruling {
    let verdict =
      switch decision.verdict {
      case .allowed: WEIR_ALLOWED
      case .denied: WEIR_DENIED
      case .proxied: WEIR_PROXIED
      }
    return weir_ruling(
      rule: decision.rule.map { numbers.rule(evaluator.name($0)) } ?? 0,
      shadow: decision.shadow.map { numbers.rule(evaluator.name($0)) } ?? 0,
      target: decision.verdict == .proxied ? target : 0, verdict: UInt8(verdict.rawValue),
      reason: decision.reason.rawValue, proxy: decision.proxy,
      shadow_reason: decision.shadowReason.rawValue, pad: (0, 0))
  }
}

extension PolicySet {
  /// Without the policies that select none of these endpoints.
  fileprivate func speaking(to members: [Endpoint]) -> PolicySet {
    var index = EndpointIndex(self, members: members)
    let namespaces = index.namespaces
    var set = self
    set.networkPolicies = networkPolicies.filter { !index.select($0.podSelector, in: $0.name.namespace).isEmpty }
    set.ciliumPolicies = ciliumPolicies.filter { policy in
      guard case .endpoints(let selector) = policy.subject else { return false }
      return !index.select(selector, from: "").isEmpty
    }
    set.adminPolicies = adminPolicies.filter { !index.select($0.subject, from: "").isEmpty }
    set.authorizationPolicies = authorizationPolicies.filter { policy in
      let everywhere = policy.name.namespace == AuthorizationPolicy.rootNamespace
      return (everywhere ? namespaces : [policy.name.namespace]).contains {
        !index.select(policy.selector, in: $0).isEmpty
      }
    }
    return set
  }
}

extension Evaluator {
  func name(_ rule: RuleReference) -> RuleName {
    switch rule.family {
    case .authorization: return authorizationPolicies[rule.policy].ruleName(rule.rule)
    case .network:
      let path = rule.rule.map { NetworkPolicy.path(rule.direction, rule: $0, peer: rule.peer) } ?? ""
      return networkPolicies[rule.policy].ruleName(path)
    case .admin: return name(rule, adminPolicies[rule.policy])
    case .baseline: return name(rule, baselinePolicies[rule.policy])
    case .cilium:
      let policy = ciliumPolicies[rule.policy]
      guard let index = rule.rule else { return policy.ruleName("") }
      let written = policy.rules(rule.direction, denying: rule.denying)[index]
      return policy.ruleName(
        rule.direction, denying: rule.denying, rule: index, peer: rule.peer.flatMap { written.peers?[$0] },
        ports: rule.ports.map { written.ports[$0] })
    }
  }

  private func name(_ rule: RuleReference, _ policy: AdminPolicy) -> RuleName {
    policy.ruleName(rule.direction, rule: rule.rule ?? 0, peer: rule.peer ?? 0)
  }
}
