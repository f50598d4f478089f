/// Ports as the policies of the policy.networking.k8s.io group write them.
extension Decoding {
  private static let protocolMembers: [(name: String, kind: TransportProtocol)] = [
    ("tcp", .tcp), ("udp", .udp), ("sctp", .sctp),
  ]
  private static let protocolShape = Shape(
    what: "a protocol", read: protocolMembers.map(\.name) + ["destinationNamedPort"])
  private static let portUnion = Shape(what: "a port", read: ["number", "range"])
  private static let oldPortShape = Shape(what: "a port", read: ["portNumber", "portRange", "namedPort"])

  /// `protocols` of a ClusterNetworkPolicy's rule, one entry.
  func adminProtocol(_ node: YAML.Node) -> PortMatch? {
    guard let fields = fields(node, Decoding.protocolShape),
      exactlyOne(of: Decoding.protocolShape.read, in: fields)
    else { return nil }
    for (name, kind) in Decoding.protocolMembers where fields[name] != nil {
      let shape = Shape(what: quoted(name), read: ["destinationPort"])
      return field(name, of: fields) { node -> ClosedRange<UInt16>? in
        guard let fields = self.fields(node, shape) else { return nil }
        return required("destinationPort", of: fields) { destinationPort($0) }
      }.map { PortMatch(protocol: kind, number: .range($0)) }
    }
    return field("destinationNamedPort", of: fields) { nonEmptyString($0) }
      .map { PortMatch(protocol: nil, number: .named($0)) }
  }

  private func destinationPort(_ node: YAML.Node) -> ClosedRange<UInt16>? {
    guard let fields = fields(node, Decoding.portUnion),
      exactlyOne(of: Decoding.portUnion.read, in: fields)
    else { return nil }
    let shape = Shape(what: "a range of ports", read: ["start", "end"])
    return field("number", of: fields) { port($0).map { $0...$0 } }
      ?? field("range", of: fields) { node in self.fields(node, shape).flatMap { portRange(of: $0) } }
  }

  /// `ports` of an AdminNetworkPolicy's or BaselineAdminNetworkPolicy's rule, one entry.
  func adminPort(_ node: YAML.Node) -> PortMatch? {
    guard let fields = fields(node, Decoding.oldPortShape),
      exactlyOne(of: Decoding.oldPortShape.read, in: fields)
    else { return nil }
    if fields["namedPort"] != nil {
      return field("namedPort", of: fields) { nonEmptyString($0) }
        .map { PortMatch(protocol: nil, number: .named($0)) }
    }
    return field("portNumber", of: fields) { node -> PortMatch? in
      let shape = Shape(what: "`portNumber`", read: ["protocol", "port"])
      guard let fields = self.fields(node, shape) else { return nil }
      let kind = protocolField(of: fields)
      let port = required("port", of: fields) { self.port($0) }
      guard let kind, let port else { return nil }
      return PortMatch(protocol: kind, number: .range(port...port))
    }
      ?? field("portRange", of: fields) { node -> PortMatch? in
        let shape = Shape(what: "`portRange`", read: ["protocol", "start", "end"])
        guard let fields = self.fields(node, shape) else { return nil }
        let kind = protocolField(of: fields)
        let range = portRange(of: fields)
        guard let kind, let range else { return nil }
        return PortMatch(protocol: kind, number: .range(range))
      }
  }

  /// `start` and `end`, which must be more.
  private func portRange(of fields: Fields) -> ClosedRange<UInt16>? {
    let start = required("start", of: fields) { port($0) }
    let end = required("end", of: fields) { port($0) }
    guard let start, let end else { return nil }
    guard start < end else {
      _ = field("end", of: fields) { problem($0, "expected more than `start` (\(start)), found `\(end)`") }
      return nil
    }
    return start...end
  }
}

// MARK: - What these kinds need of lists and unions

extension Decoding {
  /// Says what is wrong with a mapping that is to have one field, whichever it is.
  func exactlyOne(of names: [String], in fields: Fields) -> Bool {
    let given = fields.entries.filter { !$0.node.isNull }.map(\.key)
    if given.count == 1 { return true }
    let found =
      switch given.count {
      case 0: "none"
      case 1...3: given.map { quoted($0) }.joined(separator: " and ")
      default: "\(given.count)"
      }
    problem(
      fields.node,
      "expected exactly one of \(names.map { quoted($0) }.joined(separator: ", ")), found \(found)")
    return false
  }

  /// A list of so many items; nil where the field is absent.
  func sizedList<T>(
    _ name: String, of fields: Fields, _ sizes: ClosedRange<Int>, what: String, _ read: (YAML.Node) -> T?
  ) -> [T]? {
    field(name, of: fields) { node in
      if case .sequence(let items) = node.value, !sizes.contains(items.count) {
        let bounds =
          sizes.lowerBound == 0 ? "at most \(sizes.upperBound)" : "\(sizes.lowerBound) to \(sizes.upperBound)"
        problem(node, "expected \(bounds) \(what), found \(items.count)")
      }
      return list(node, of: what, read)
    }
  }

  /// nil where it is empty, which the API has for absent.
  func stringOrEmpty(_ node: YAML.Node, _ rule: (String) -> String?) -> String? {
    guard let text = string(node), !text.isEmpty else { return nil }
    return string(node, rule)
  }

  func wholeNumber(_ node: YAML.Node, in range: ClosedRange<Int>, what: String) -> Int? {
    let bounds = "from \(range.lowerBound) to \(range.upperBound)"
    guard case .integer(let value) = node.value else {
      expected("\(what) \(bounds)", node)
      return nil
    }
    guard let number = Int(exactly: value), range.contains(number) else {
      problem(node, "expected \(what) \(bounds), found \(quoted(node.text))")
      return nil
    }
    return number
  }
}
