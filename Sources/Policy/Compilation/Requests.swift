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
    var found: [Alternative] = []
    for mine in alternatives {
      for theirs in other.alternatives {
        var require = mine.require
        for list in theirs.require where !require.contains(list) { require.append(list) }
        let rule = mine.require.isEmpty ? theirs.rule : mine.rule
        found.append(Alternative(rule: rule, require: require))
      }
    }
    return Requests(
      alternatives: found, unless: unless + other.unless.filter { !unless.contains($0) },
      shadows: shadows + other.shadows.filter { !shadows.contains($0) })
  }
}
