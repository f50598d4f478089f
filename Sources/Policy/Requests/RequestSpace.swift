/// Requests that stand for all requests that some rules can tell apart: one for every combination of answers
/// that the rules' lists can give. They are in the form in which a proxy judges them, and none is refused
/// before the rules but for a method that HTTP/1.1 does not know where the rules name one.
///
/// Not among them are paths that only an encoded request has in that form, `/..;x` from `/%2e%2e;x`.
public struct RequestSpace: Sendable {
  public private(set) var requests: [Request]
  /// false: there are more combinations than the limit, and some are left out.
  public private(set) var isComplete: Bool

  /// - Parameter limit: of requests, and of states while they are looked for.
  public init(_ matches: [RequestMatch], limit: Int) {
    var methods = Axis(within: Self.token, seeds: Request.methods.filter { $0 != "CONNECT" })
    var urls = Axis(within: Self.url, without: Self.unnormalized, seeds: ["/"])
    var hosts = Axis(within: Self.host, seeds: ["example.com"])
    var headers: [String: Axis] = [:]
    for match in matches {
      methods.add(match.methods + match.notMethods)
      urls.add(match.paths + match.notPaths, endsAtQuery: true)
      urls.add(match.urls)
      hosts.add(match.hosts + match.notHosts, ignoringCase: true)
      for header in match.headers {
        let values = header.values + header.notValues
        switch header.name {
        case ":method": methods.add(values)
        case ":path": urls.add(values)
        case ":authority", "host": hosts.add(values)
        default: headers[header.name, default: Axis(within: Self.value, seeds: ["x"])].add(values)
        }
      }
    }
    isComplete = true
    requests = []
    func texts(_ axis: Axis) -> [String] {
      let (texts, isComplete) = axis.texts(limit: limit)
      if !isComplete { self.isComplete = false }
      return texts
    }
    let names = headers.keys.sorted()
    let axes: [[String?]] =
      [texts(methods), texts(urls), texts(hosts)]
      + names.map { name in [nil] + (headers[name].map(texts) ?? []) }
    let (choices, isWhole) = Self.choices(axes.map(\.count), limit: limit)
    if !isWhole { isComplete = false }
    for choice in choices {
      let parts = zip(axes, choice).map { $0[$1] }
      var request = Request(method: parts[0] ?? "", path: parts[1] ?? "", host: parts[2] ?? "")
      for (name, value) in zip(names, parts.dropFirst(3)) { request.headers[name] = value }
      requests.append(request)
    }
  }

  /// One number below each count: all of them, or up to the limit first those that differ from the first in
  /// one number.
  private static func choices(_ counts: [Int], limit: Int) -> (choices: [[Int]], isWhole: Bool) {
    var total = 1
    for count in counts { total = min(limit + 1, total * count) }
    var choices: [[Int]] = []
    var known: Set<[Int]> = []
    func add(_ choice: [Int]) {
      if choices.count < limit, known.insert(choice).inserted { choices.append(choice) }
    }
    let first = counts.map { _ in 0 }
    if total > limit {
      add(first)
      for (axis, count) in counts.enumerated() {
        for number in 1..<max(1, count) {
          var choice = first
          choice[axis] = number
          add(choice)
        }
      }
    }
    var choice = first
    while choices.count < min(total, limit), !counts.contains(0) {
      add(choice)
      guard let axis = choice.indices.first(where: { choice[$0] + 1 < counts[$0] }) else { break }
      for lower in 0..<axis { choice[lower] = 0 }
      choice[axis] += 1
    }
    return (choices, total <= limit)
  }
}

extension RequestSpace {
  private static func automaton(_ regex: String, then tail: Pattern = .sequence([])) -> Automaton {
    Automaton(.sequence([(try? RegexParser.pattern(regex)) ?? .nothing, tail]))
  }

  private static let token = [Automaton(.repeated(.bytes(Request.tokenBytes), atLeast: 1, atMost: nil))]
  private static let host = [Automaton(.repeated(.bytes(Request.hostBytes), atLeast: 0, atMost: nil))]
  /// Nothing that a proxy takes off or refuses: no space at the ends, no control character.
  private static let value = [
    Language.utf8,
    automaton(#"([^\x00-\x20\x7f]([^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?"#),
  ]
  private static let url = [
    automaton(#"/[!$-;=@A-Z\[\]_a-z~]*(\?[!-"$-~]*)?"#)
  ]
  /// What `normalized` would change, or Envoy refuse: dot segments, encoded unreserved characters, NUL.
  private static let unnormalized = [
    automaton(
      "[^?]*%(2[DEde]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee]|00)", then: .anything),
    automaton("[^?]*/[.][.]?[/?;]", then: .anything),
    automaton("[^?]*/[.][.]?"),
  ]

  /// One part of a request, with what is asked about it.
  private struct Axis {
    private struct Question: Hashable {
      var match: Match
      var ignoringCase: Bool
      var endsAtQuery: Bool
    }

    private var questions: [Question] = []
    private let within: [Automaton]
    private let without: [Automaton]
    /// Texts that people know, taken before others.
    private let seeds: [String]

    init(within: [Automaton], without: [Automaton] = [], seeds: [String]) {
      self.within = within
      self.without = without
      self.seeds = seeds
    }

    mutating func add(_ matches: [Match], ignoringCase: Bool = false, endsAtQuery: Bool = false) {
      for match in matches {
        let question = Question(match: match, ignoringCase: ignoringCase, endsAtQuery: endsAtQuery)
        if !questions.contains(question) { questions.append(question) }
      }
    }

    private func texts(_ questions: [Question], limit: Int) -> [(text: String, members: [Bool])]? {
      Product(
        members: questions.map { question in
          Product.Factor(
            Language.of(question.match).automaton(ignoringCase: question.ignoringCase),
            endsAtQuery: question.endsAtQuery)
        }, within: within.map { Product.Factor($0) }, without: without.map { Product.Factor($0) }
      ).representatives(limit: limit)
    }

    private func members(_ text: String) -> [Bool] {
      questions.map { question in
        let text = question.endsAtQuery ? String(RequestMatch.path(of: text)) : text
        return question.match.matches(text, ignoringCase: question.ignoringCase)
      }
    }

    func texts(limit: Int) -> (texts: [String], isComplete: Bool) {
      var known: Set<[Bool]> = []
      var texts = seeds.filter { known.insert(members($0)).inserted }
      if let found = self.texts(questions, limit: limit) {
        texts += found.filter { known.insert($0.members).inserted }.map(\.text)
        return (texts, true)
      }
      // Too much together: each question by itself.
      for question in questions {
        for found in self.texts([question], limit: limit) ?? []
        where known.insert(members(found.text)).inserted {
          texts.append(found.text)
        }
      }
      return (texts, false)
    }
  }
}
