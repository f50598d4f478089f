/// What a proxy is told about one group of flows, over the ports: at each port one formula, or none where the kernel
/// decides alone.
struct RequestSteps: Hashable {
  struct Step: Hashable {
    var start: UInt16
    var requests: Requests?
  }

  /// Ascending from port 0.
  private(set) var steps: [Step]

  /// Of flows that the kernel may answer with any of these functions, and a proxy cannot tell apart: what all of them
  /// allow that ask about requests at all.
  /// - Parameter refusing: by which some of them may be refused without a request being asked about: then no request of
  ///   any passes. The kernel may not know the address a flow will come from when it turns it to the proxy.
  init(_ functions: [PortsFunction], refusing: [PortsFunction] = []) {
    var starts: Set<UInt16> = [0]
    for function in functions + refusing { function.tcp.forEach { starts.insert($0.start) } }
    steps = starts.sorted().map { start in
      let asked = functions.compactMap { $0.decision(onTCP: start).requests }
      let isRefused = refusing.contains { $0.decision(onTCP: start).verdict == .denied }
      if !asked.isEmpty, isRefused { return Step(start: start, requests: Requests(alternatives: [])) }
      return Step(start: start, requests: asked.dropFirst().reduce(asked.first) { $0?.and($1) })
    }
  }

  private init(steps: [Step]) { self.steps = steps }

  /// Where these ask, the others' questions too.
  func and(_ other: RequestSteps) -> RequestSteps {
    let starts = Set(steps.map(\.start)).union(other.steps.map(\.start)).sorted()
    return RequestSteps(
      steps: starts.map { start in
        guard let mine = requests(at: start) else { return Step(start: start, requests: nil) }
        return Step(start: start, requests: other.requests(at: start).map(mine.and) ?? mine)
      })
  }

  private func requests(at port: UInt16) -> Requests? { steps.last { $0.start <= port }?.requests }

  /// One rule that a proxy can be told, before it is known whose flows are meant.
  struct Draft: Hashable {
    var rule: RuleReference
    var require: [[RequestMatch]]
    var unless: [RequestMatch]
  }

  /// What is enforced.
  var drafts: [(draft: Draft, ports: [ClosedRange<UInt16>])] {
    drafts { requests in
      requests.alternatives.map { Draft(rule: $0.rule, require: $0.require, unless: requests.unless) }
    }
  }

  /// What is only reported.
  var shadows: [(draft: Draft, ports: [ClosedRange<UInt16>])] {
    drafts { requests in
      requests.shadows.map { Draft(rule: $0.rule, require: $0.require, unless: $0.unless) }
    }
  }

  /// Every draft with the ports where it holds, in the order of ports and rules.
  private func drafts(_ of: (Requests) -> [Draft]) -> [(draft: Draft, ports: [ClosedRange<UInt16>])] {
    var order: [Draft] = []
    var ports: [Draft: [ClosedRange<UInt16>]] = [:]
    for (index, step) in steps.enumerated() {
      guard let requests = step.requests else { continue }
      let end = index + 1 < steps.count ? steps[index + 1].start - 1 : UInt16.max
      for draft in of(requests) {
        var ranges = ports[draft] ?? []
        if ranges.isEmpty { order.append(draft) }
        if ranges.last?.upperBound == end { continue }
        if let last = ranges.last, step.start > 0, last.upperBound == step.start - 1 {
          ranges[ranges.count - 1] = last.lowerBound...end
        } else {
          ranges.append(step.start...end)
        }
        ports[draft] = ranges
      }
    }
    return order.map { ($0, ports[$0] ?? []) }
  }
}

extension PortsFunction {
  func decision(onTCP port: UInt16) -> Decision { tcp.last { $0.start <= port }?.decision ?? other }
}
