/// The answer of `weir matrix`; encoded as the JSON the design gives.
public struct Matrix: Sendable, Codable {
  public var endpoints: [String]
  /// port -> source -> destination -> allowed, proxied, denied-egress, denied-ingress, denied-both or self
  public var ports: [String: [String: [String: String]]]
}

extension Evaluator {
  /// Every endpoint of the set and the outside addresses given, each to each.
  /// - Parameter outside: addresses as they are to be called, `ip:192.0.2.1`.
  public func matrix(
    ports: [(TransportProtocol, UInt16)], outside: [(name: String, address: IPAddress)]
  ) -> Matrix {
    var members = set.endpoints.values.sorted { $0.name < $1.name }.map { endpoint in
      Member(
        name: endpoint.name.description, endpoint: endpoint, peer: peer(.endpoint(endpoint.name)),
        egress: selecting(endpoint, .egress), ingress: selecting(endpoint, .ingress))
    }
    let nobody = Selecting(network: [], authorization: [])
    members += outside.map { name, address in
      Member(
        name: name, endpoint: nil, peer: peer(.address(address)), egress: nobody, ingress: nobody)
    }
    var matrix = Matrix(endpoints: members.map(\.name), ports: [:])
    for (`protocol`, port) in ports {
      var rows: [String: [String: String]] = [:]
      for source in members {
        for destination in members {
          rows[source.name, default: [:]][destination.name] = word(
            source, destination, `protocol`, port)
        }
      }
      matrix.ports["\(port)/\(`protocol`.rawValue)"] = rows
    }
    return matrix
  }

  /// One row and column, with the policies that select it: asked once, not for every pair.
  private struct Member {
    var name: String
    var endpoint: Endpoint?
    var peer: Evaluator.OtherEnd
    var egress: Selecting
    var ingress: Selecting
  }

  private func word(
    _ source: Member, _ destination: Member, _ protocol: TransportProtocol, _ port: UInt16
  ) -> String {
    if source.endpoint != nil, source.name == destination.name { return "self" }
    let leaving = source.endpoint.map { subject in
      egress(
        source.egress,
        Question(
          direction: .egress, subject: subject, peer: destination.peer, protocol: `protocol`, port: port))
    }
    let entering = destination.endpoint.map { subject in
      ingress(
        destination.ingress,
        Question(
          direction: .ingress, subject: subject, peer: source.peer, protocol: `protocol`, port: port))
    }
    switch (leaving?.verdict ?? .allowed, entering?.verdict ?? .allowed) {
    case (.denied, .denied): return "denied-both"
    case (.denied, _): return "denied-egress"
    case (_, .denied): return "denied-ingress"
    case (_, .proxied): return "proxied"
    default: return "allowed"
    }
  }
}
