extension Requests {
  func allow(_ request: Request) -> Bool {
    !unless.contains { $0.matches(request) }
      && alternatives.contains { $0.require.allSatisfy { $0.contains { $0.matches(request) } } }
  }

  var matches: [RequestMatch] { unless + alternatives.flatMap { $0.require.flatMap { $0 } } }
}

extension Decision {
  func allows(_ request: Request) -> Bool {
    switch verdict {
    case .allowed: true
    case .denied: false
    case .proxied: requests?.allow(request) ?? false
    }
  }
}

/// Both sides' decisions of a flow, and what a person can see of them.
struct FlowDecision {
  var own: Decision
  /// nil: no policy speaks on the other side.
  var other: Decision?

  var verdict: Verdict {
    if own.verdict == .denied || other?.verdict == .denied { return .denied }
    return own.verdict == .proxied || other?.verdict == .proxied ? .proxied : .allowed
  }

  func allows(_ request: Request) -> Bool { own.allows(request) && other?.allows(request) ?? true }

  var matches: [RequestMatch] { (own.requests?.matches ?? []) + (other?.requests?.matches ?? []) }
}

/// What differs between two answers to the same flow.
enum Change: Equatable {
  case nothing
  case verdict
  /// The verdict is proxied both times, and this request is judged otherwise.
  case request(Request)
}

/// Compares decisions, and remembers the requests that the same rules tell apart.
struct Comparison {
  /// Beyond as many requests nothing is claimed.
  private static let limit = 4096
  private var known: [[RequestMatch]: RequestSpace] = [:]

  mutating func requests(_ matches: [RequestMatch]) -> RequestSpace {
    var distinct: [RequestMatch] = []
    for match in matches where !distinct.contains(match) { distinct.append(match) }
    if let known = known[distinct] { return known }
    let found = RequestSpace(distinct, limit: Self.limit)
    known[distinct] = found
    return found
  }

  mutating func change(_ before: FlowDecision, _ after: FlowDecision) -> Change {
    guard before.verdict == after.verdict else { return .verdict }
    guard before.verdict == .proxied else { return .nothing }
    if before.own.requests == after.own.requests, before.other?.requests == after.other?.requests,
      before.own.verdict == after.own.verdict, before.other?.verdict == after.other?.verdict
    {
      return .nothing
    }
    let space = requests(before.matches + after.matches)
    if let found = space.requests.first(where: { before.allows($0) != after.allows($0) }) {
      return .request(found)
    }
    // What cannot be searched whole is taken to differ: a false alarm is worse than none.
    return space.isComplete ? .nothing : .verdict
  }
}
