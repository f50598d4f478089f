import Policy

/// What the commands on files have in common: reading them, and the words for endpoints and ports.
enum PolicyFiles {
  /// Reads paths that must be there.
  static func read(_ paths: [String]) throws(Failure) -> Reading {
    if paths.isEmpty { throw Failure("no PATH given; name policy files or directories") }
    for path in paths where !Files.exists(path) {
      throw Failure(
        SystemError("open", path), hint: "name policy files or directories that are there")
    }
    return Reading(paths: paths)
  }

  /// `--joined` of the commands that judge.
  static let joined = Option.flag(
    "--joined", help: "NetworkPolicy and Cilium policies are one union of allows, as Cilium reads them")

  /// Reads paths whose every file must be right, and takes `--joined` into account.
  static func readValid(_ arguments: Arguments) throws(Failure) -> PolicySet {
    var set = try readValid(arguments.positionals)
    set.joined = arguments.has("--joined")
    return set
  }

  /// Reads paths whose every file must be right: one line on standard error for each thing that is not.
  static func readValid(_ paths: [String]) throws(Failure) -> PolicySet {
    let reading = try read(paths)
    guard let last = reading.problems.last else { return reading.set }
    for problem in reading.problems.dropLast() { Output.error.write(Log.oneLine(problem.description) + "\n") }
    throw Failure(last.description)
  }

  /// `namespace/name` of an endpoint in the set, `node/NAME` of a node in it, or `ip:ADDRESS`. An address of an
  /// endpoint or node is that endpoint or node.
  static func party(_ text: String, in set: PolicySet, option: String) throws(Failure) -> Party {
    if text.hasPrefix("ip:") {
      guard let address = AddressText.parse(String(text.dropFirst(3))) else {
        throw Failure("\(option) \(text): is no address; write ip:10.0.0.1 or ip:fd00::1")
      }
      return set.party(at: address)
    }
    if text.hasPrefix("node/") {
      let name = String(text.dropFirst(5))
      if set.nodes[name] != nil { return .node(name) }
      let near = Nearest.to(name, in: set.nodes.keys).prefix(3).map { "node/\($0)" }
      let hint = near.isEmpty ? "give its v1 Node" : "did you mean \(near.joined(separator: " or "))?"
      throw Failure("\(option) \(text): no such node in the files; \(hint)")
    }
    if let name = name(text), set.endpoints[name] != nil { return .endpoint(name) }
    let known = set.endpoints.keys.map(\.description)
    let near = Nearest.to(text, in: known).prefix(3)
    let hint =
      near.isEmpty ? "write NAMESPACE/NAME, node/NAME or ip:ADDRESS" : "did you mean \(near.joined(separator: " or "))?"
    throw Failure("\(option) \(text): no such endpoint in the files; \(hint)")
  }

  /// `namespace/name`; nil for anything else.
  static func name(_ text: String) -> Name? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
    return Name(String(parts[0]), String(parts[1]))
  }

  /// `80/TCP`, `53/UDP`, `80/SCTP`, `8/ICMP`, `128/ICMPv6` (the type); without a protocol TCP.
  static func port(_ text: String) throws(Failure) -> (TransportProtocol, UInt16) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    let wrong = Failure("--port \(text): write NUMBER/PROTOCOL with TCP, UDP, SCTP, ICMP or ICMPv6, as in 80/TCP")
    guard parts.count <= 2, let number = UInt16(parts[0]) else { throw wrong }
    guard let known = TransportProtocol.named(parts.count == 2 ? parts[1] : "TCP") else { throw wrong }
    if known.isICMP ? number > 255 : number == 0 { throw wrong }
    return (known, number)
  }
}
