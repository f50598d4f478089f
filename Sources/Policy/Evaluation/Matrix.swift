/// The answer of `weir matrix`; encoded as the JSON the design gives.
public struct Matrix: Sendable, Codable {
  public var endpoints: [String]
  /// port -> source -> destination -> allowed, proxied, denied-egress, denied-ingress, denied-both or self
  public var ports: [String: [String: [String: String]]]
}

extension Evaluator {
  /// Every endpoint and node of the set and the outside addresses given, each to each.
  /// - Parameter outside: addresses as they are to be called, `ip:192.0.2.1`.
  public func matrix(
    ports: [(TransportProtocol, UInt16)], outside: [(name: String, address: IPAddress)]
  ) -> Matrix {
    var parties = set.endpoints.keys.sorted().map { (name: $0.description, party: Party.endpoint($0)) }
    parties += set.nodes.keys.sorted().map { ("node/\($0)", .node($0)) }
    parties += outside.map { ($0.name, .address($0.address)) }
    var matrix = Matrix(endpoints: parties.map(\.name), ports: [:])
    for (`protocol`, port) in ports {
      var verdicts = ClassVerdicts(self, `protocol`, port)
      let members = parties.map { name, party in
        Member(name: name, party: party, subject: subject(party), class_: verdicts.class_(of: party, in: set))
      }
      var selecting = SelectedPolicies(self)
      var rows: [String: [String: String]] = [:]
      for source in members {
        var row: [String: String] = [:]
        row.reserveCapacity(members.count)
        for destination in members {
          func verdict(_ direction: Direction, _ own: Member, _ other: Member) -> Verdict {
            guard own.subject != nil else { return .allowed }
            if let subject = own.class_?.subject, let peer = other.class_ {
              return verdicts.verdict(direction, of: subject, to: peer)
            }
            return selecting.verdict(direction, own, other, `protocol`, port)
          }
          let isSelf = source.name == destination.name && source.subject != nil
          row[destination.name] =
            isSelf
            ? "self"
            : Matrix.word(verdict(.egress, source, destination), verdict(.ingress, destination, source))
        }
        rows[source.name] = row
      }
      matrix.ports["\(port)/\(`protocol`.rawValue)"] = rows
    }
    return matrix
  }

  /// One row and column.
  private struct Member {
    var name: String
    var party: Party
    /// nil: an address outside.
    var subject: Endpoint?
    var class_: ClassVerdicts.Class?
  }

  /// The naive answers, each member's policies looked for once and not for every pair.
  private struct SelectedPolicies {
    private let evaluator: Evaluator
    private var found: [String: [Direction: Selecting]] = [:]

    init(_ evaluator: Evaluator) { self.evaluator = evaluator }

    mutating func verdict(
      _ direction: Direction, _ own: Member, _ other: Member, _ protocol: TransportProtocol, _ port: UInt16
    ) -> Verdict {
      guard let subject = own.subject else { return .allowed }
      let policies = found[own.name]?[direction] ?? evaluator.selecting(subject, direction)
      found[own.name, default: [:]][direction] = policies
      if policies.isEmpty { return .allowed }
      let question = Question(
        direction: direction, subject: subject, addresses: subject.addresses, peer: evaluator.peer(other.party),
        protocol: `protocol`, port: port)
      return evaluator.ruling(policies, question).verdict
    }
  }
}

extension Matrix {
  fileprivate static func word(_ leaving: Verdict, _ entering: Verdict) -> String {
    switch (leaving, entering) {
    case (.denied, .denied): "denied-both"
    case (.denied, _): "denied-egress"
    case (_, .denied): "denied-ingress"
    case (.proxied, _), (_, .proxied): "proxied"
    default: "allowed"
    }
  }
}
