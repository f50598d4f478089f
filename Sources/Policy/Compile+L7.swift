/// What the proxies are told: for each destination, the requests that each source may make on each port whose
/// flows the tables send to a proxy.
extension Compiler {
  /// Sources that the rules of one destination treat alike, by signature. The first group has the outside,
  /// which has no identity, and everybody whom the rules do not tell from it.
  private struct Group {
    var sources: Subject.Sources
    var signatures: [Int]
  }

  /// An L7Rule before it has a target: equal ones of several groups or port ranges are one.
  private struct Draft: Hashable {
    var rule: RuleReference
    var allow: [RequestMatch]
    var unless: [RequestMatch]
  }

  mutating func writeL7(
    _ subjects: Subjects, _ signatures: Signatures, _ identities: [UInt32], _ targets: [Name: UInt16]
  ) {
    var bySignature: [Int: Set<UInt32>] = [:]
    for (position, identity) in identities.enumerated() {
      bySignature[signatures.ofEndpoint[position], default: []].insert(identity)
    }
    for proxy in set.proxies.keys { tables.l7[proxy] = [] }
    var known: [Int: [L7Rule]] = [:]
    for (local, subject) in zip(locals, subjects.ofLocal) {
      guard let target = targets[local.endpoint.name], let proxy = set.proxy(for: local.endpoint)
      else { continue }
      let rules = known[subject] ?? rules(subjects.all[subject], signatures, bySignature)
      known[subject] = rules
      tables.l7[proxy.name, default: []] += rules.map { rule in
        var rule = rule
        rule.target = target
        return rule
      }
    }
    for (proxy, rules) in tables.l7 { tables.l7[proxy] = Self.withUniqueNames(rules) }
  }

  /// A name that comes again gets a number: ` #2`.
  private static func withUniqueNames(_ rules: [L7Rule]) -> [L7Rule] {
    var met: [String: Int] = [:]
    return rules.map { rule in
      var rule = rule
      met[rule.name, default: 0] += 1
      if let count = met[rule.name], count > 1 { rule.name += " #\(count)" }
      return rule
    }
  }

  private func rules(
    _ subject: Subject, _ signatures: Signatures, _ bySignature: [Int: Set<UInt32>]
  ) -> [L7Rule] {
    guard let authorization = subject.authorization else { return [] }
    let groups = Self.groups(subject, authorization, signatures)
    // Draft and ports -> the groups that get it, in the order of the groups.
    struct Key: Hashable {
      var draft: Draft
      var ports: [ClosedRange<UInt16>]
    }
    var order: [Key] = []
    var members: [Key: [Int]] = [:]
    for (number, group) in groups.enumerated() {
      for (draft, ports) in Self.drafts(authorization, group.sources) {
        let key = Key(draft: draft, ports: ports)
        if members[key] == nil { order.append(key) }
        members[key, default: []].append(number)
      }
    }
    return order.map { key in
      let numbers = members[key] ?? []
      let everybody = numbers.count == groups.count
      let members = everybody ? [] : numbers.flatMap { groups[$0].signatures }
      // 0 stands for the outside: a process of no workload is turned to the proxy, too.
      let outside: Set<UInt32> = numbers.contains(0) && !everybody ? [0] : []
      let identities = members.reduce(into: outside) { $0.formUnion(bySignature[$1] ?? []) }
      return L7Rule(
        name: name(key.draft.rule).description, target: 0,
        identities: everybody ? nil : identities.sorted(),
        ports: key.ports == [0...UInt16.max] ? nil : key.ports, allow: key.draft.allow,
        unless: key.draft.unless)
    }.filter { $0.identities != [] }
  }

  private static func groups(
    _ subject: Subject, _ authorization: Subject.Authorization, _ signatures: Signatures
  ) -> [Group] {
    var groups = [Group(sources: subject.sources(atoms: signatures.all[0].atoms), signatures: [])]
    var known = [groups[0].sources: 0]
    let told = Set(authorization.atoms.flatMap { signatures.differing[$0] ?? [] })
    for (number, signature) in signatures.all.enumerated() {
      guard told.contains(number) else {
        groups[0].signatures.append(number)
        continue
      }
      let sources = subject.sources(atoms: signature.atoms)
      let group = known[sources] ?? groups.count
      if group == groups.count {
        known[sources] = group
        groups.append(Group(sources: sources, signatures: []))
      }
      groups[group].signatures.append(number)
    }
    return groups
  }

  /// What one group is told, with the ports where it holds, in the order of ports and rules.
  private static func drafts(_ authorization: Subject.Authorization, _ sources: Subject.Sources)
    -> [(draft: Draft, ports: [ClosedRange<UInt16>])]
  {
    let starts = authorization.starts.union([0]).sorted()
    var order: [Draft] = []
    var ports: [Draft: [ClosedRange<UInt16>]] = [:]
    for (index, start) in starts.enumerated() {
      let end = index + 1 < starts.count ? starts[index + 1] - 1 : UInt16.max
      for draft in drafts(authorization, sources, port: start) {
        var ranges = ports[draft] ?? []
        if ranges.isEmpty { order.append(draft) }
        if let last = ranges.last, last.upperBound + 1 == start {
          ranges[ranges.count - 1] = last.lowerBound...end
        } else {
          ranges.append(start...end)
        }
        ports[draft] = ranges
      }
    }
    return order.map { ($0, ports[$0] ?? []) }
  }

  /// One port of one group: nothing where the flow is not proxied.
  private static func drafts(
    _ authorization: Subject.Authorization, _ sources: Subject.Sources, port: UInt16
  ) -> [Draft] {
    let decision = authorization.decide(sources, port: port)
    guard decision.verdict == .proxied, let deciding = decision.rule else { return [] }
    let unless = sources.denies.flatMap {
      Subject.Authorization.requests(authorization.denies[$0], port: port) ?? []
    }
    guard authorization.fallback != nil else {
      // No ALLOW policy: everything but what DENY rules say, in the name of the first of them.
      return [Draft(rule: deciding, allow: [RequestMatch()], unless: unless)]
    }
    let allowing = sources.allows.compactMap { index in
      Subject.Authorization.requests(authorization.allows[index], port: port).map {
        Draft(rule: authorization.allows[index].rule, allow: $0, unless: unless)
      }
    }
    // A rule that allows every request leaves nothing for the others to say.
    if let certain = allowing.first(where: { $0.allow.contains(where: \.isAny) }) { return [certain] }
    return allowing
  }
}
