import Policy

extension Command {
  public static let matrix = Command(
    name: "matrix", summary: "say who may reach whom", usage: "PATH... --port 80/TCP [--port ...] [--endpoint ip:ADDRESS ...] [--joined]",
    details: """
      Every endpoint and node of the files against every other, and the outside addresses named. Reads files alone.
      By default every kind of policy that has an opinion must allow.
      """,
    options: [
      .value("--port", value: "PORT/PROTOCOL", repeatable: true, "destination port, or an ICMP type"),
      .value("--endpoint", value: "ip:ADDRESS", repeatable: true, "an address outside, as one more row and column"),
      PolicyFiles.joined, format,
    ]
  ) { arguments throws(Failure) in
    let asJSON = try arguments.wantsJSON()
    if !arguments.has("--port") { throw Failure("no --port given; name at least one, as in --port 80/TCP") }
    var ports: [(TransportProtocol, UInt16)] = []
    for text in arguments.all("--port") { ports.append(try PolicyFiles.port(text)) }
    let set = try PolicyFiles.readValid(arguments)
    var outside: [(name: String, address: IPAddress)] = []
    for text in arguments.all("--endpoint") {
      // An endpoint or node of the files is in the matrix already.
      if case .address(let address) = try PolicyFiles.party(text, in: set, option: "--endpoint") {
        outside.append((text, address))
      }
    }
    let matrix = Evaluator(set).matrix(ports: ports, outside: outside)
    Output.standard.write(
      asJSON
        ? JSON.text(matrix, pretty: true) + "\n" : MatrixText.text(matrix, coloured: Output.standard.isColoured))
    return 0
  }
}

enum MatrixText {
  /// A table per port: sources down, destinations across.
  static func text(_ matrix: Matrix, coloured: Bool) -> String {
    matrix.ports.sorted { $0.key < $1.key }.map { port, sources in
      let rows = matrix.endpoints.map { source in
        [source] + matrix.endpoints.map { sources[source]?[$0] ?? "-" }
      }
      return Table(rows, header: [port] + matrix.endpoints).text(coloured: coloured)
    }.joined(separator: "\n")
  }
}
