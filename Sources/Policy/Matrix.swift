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
    var members = set.endpoints.keys.sorted().map { member(.endpoint($0)) }
    members += set.nodes.keys.sorted().map { member(.node($0)) }
    members += outside.map { name, address in
      var member = member(.address(address))
      member.name = name
      return member
    }
    var matrix = Matrix(endpoints: members.map(\.name), ports: [:])
    for (`protocol`, port) in ports {
      var rows: [String: [String: String]] = [:]
      for (from, source) in members.enumerated() {
        var row: [String: String] = [:]
        row.reserveCapacity(members.count)
        for (to, destination) in members.enumerated() {
          let isSelf = from == to && source.subject != nil
          row[destination.name] = isSelf ? "self" : word(source, destination, `protocol`, port)
        }
        rows[source.name] = row
      }
      matrix.ports["\(port)/\(`protocol`.rawValue)"] = rows
    }
    return matrix
  }

  /// One row and column, with the policies that select it: asked once, not for every pair.
  private struct Member {
    var name: String
    /// nil: an address outside.
    var subject: Endpoint?
    var peer: Evaluator.OtherEnd
    var egress: Selecting
    var ingress: Selecting
  }

  private func member(_ party: Party) -> Member {
    let subject = subject(party)
    return Member(
      name: party.description, subject: subject, peer: peer(party),
      egress: subject.map { selecting($0, .egress) } ?? Selecting(),
      ingress: subject.map { selecting($0, .ingress) } ?? Selecting())
  }

  private func word(
    _ source: Member, _ destination: Member, _ protocol: TransportProtocol, _ port: UInt16
  ) -> String {
    func verdict(_ direction: Direction, _ own: Member, _ other: Member, _ policies: Selecting) -> Verdict {
      guard let subject = own.subject, !policies.isEmpty else { return .allowed }
      let question = Question(
        direction: direction, subject: subject, addresses: subject.addresses, peer: other.peer,
        protocol: `protocol`, port: port)
      return ruling(policies, question).verdict
    }
    let leaving = verdict(.egress, source, destination, source.egress)
    let entering = verdict(.ingress, destination, source, destination.ingress)
    switch (leaving, entering) {
    case (.denied, .denied): return "denied-both"
    case (.denied, _): return "denied-egress"
    case (_, .denied): return "denied-ingress"
    case (.proxied, _), (_, .proxied): return "proxied"
    default: return "allowed"
    }
  }
}
