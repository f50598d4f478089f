/// What a flow that is sent to a proxy may ask for, before it is told to one: a request passes where one of the
/// alternatives holds and nothing of `unless`.
struct Requests: Hashable {
  struct Alternative: Hashable {
    var rule: RuleReference
    /// AND of ORs.
    var require: [[RequestMatch]]
  }

  /// A rule of a policy that is not enforced: it would refuse what it requires, unless one of these holds.
  struct Shadow: Hashable {
    var rule: RuleReference
    var require: [[RequestMatch]]
    var unless: [RequestMatch]
  }

  var alternatives: [Alternative]
  /// DENY rules that overlap.
  var unless: [RequestMatch] = []
  /// Reported, and no more.
  var shadows: [Shadow] = []

  /// Both must agree. The rules of the one that restricts more are named; where both have several, the first's.
  func and(_ other: Requests) -> Requests {
    Requests(
      alternatives: alternatives == other.alternatives ? alternatives : product(other),
      unless: unless + other.unless.filter { !unless.contains($0) },
      shadows: shadows + other.shadows.filter { !shadows.contains($0) })
  }

  /// Each with each, without those that require all that another does, and more.
  private func product(_ other: Requests) -> [Alternative] {
    var found: [Alternative] = []
    var kept: [Set<[RequestMatch]>] = []
    for mine in alternatives {
      for theirs in other.alternatives {
        var require = mine.require
        for list in theirs.require where !require.contains(list) { require.append(list) }
        let lists = Set(require)
        if kept.contains(where: lists.isSuperset(of:)) { continue }
        for index in kept.indices.reversed() where kept[index].isSuperset(of: lists) {
          kept.remove(at: index)
          found.remove(at: index)
        }
        kept.append(lists)
        found.append(Alternative(rule: mine.require.isEmpty ? theirs.rule : mine.rule, require: require))
      }
    }
    return found
  }
}
