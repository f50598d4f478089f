/// Walks the nodes of one document and takes down everything that is wrong, each with its place and path.
/// What is read is nil where it was wrong; nobody sees that, because a file with a problem contributes
/// nothing.
final class Decoding {
  let findings: Findings
  private(set) var objects = Objects()
  private(set) var claims: [Claim] = []
  /// Where the value that is read stands. In memory of its own: it changes with every field, and the checks that
  /// Swift makes at each change of a class's property would cost a twentieth of a reading.
  private let path = UnsafeMutablePointer<FieldPath>.allocate(capacity: 1)

  init(_ findings: Findings) {
    self.findings = findings
    path.initialize(to: FieldPath())
  }

  deinit {
    path.deinitialize(count: 1)
    path.deallocate()
  }

  /// Which fields a mapping may have.
  struct Shape: Sendable {
    /// For messages: "a NetworkPolicyPort".
    var what: String
    var read: [String]
    /// Documented fields that do not matter here: taken as they are.
    var passed: Set<String>
    /// Documented fields that would change the meaning and are not understood yet.
    var refused: Set<String>
    /// The same, each with the reason.
    var unsupported: [String: String]
    /// `read` and `passed` by their length: what nearly every key is found in without hashing.
    private var known: [[String]]

    init(
      what: String, read: [String], passed: Set<String> = [], refused: Set<String> = [],
      unsupported: [String: String] = [:]
    ) {
      self.what = what
      self.read = read
      self.passed = passed
      self.refused = refused
      self.unsupported = unsupported
      known = Array(repeating: [], count: 64)
      for name in read + passed.sorted() { known[name.utf8.count & 63].append(name) }
    }

    func knows(_ key: String) -> Bool { known[key.utf8.count & 63].contains(key) }
  }

  struct Fields {
    let node: YAML.Node
    let entries: [YAML.Entry]

    /// null is the same as absent, as in the API.
    subscript(name: String) -> YAML.Node? {
      let length = name.utf8.count
      for entry in entries where entry.key.utf8.count == length && entry.key == name {
        return entry.node.isNull ? nil : entry.node
      }
      return nil
    }
  }

  func place(_ node: YAML.Node) -> Place {
    Place(file: findings.file, line: Int(node.line), column: Int(node.column))
  }

  func problem(_ node: YAML.Node, _ message: @autoclosure () -> String) {
    findings.add(line: Int(node.line), column: Int(node.column), path.pointee, message())
  }

  func problem(_ node: YAML.Node, field: String, _ message: @autoclosure () -> String) {
    path.pointee.steps.append(.key(field))
    problem(node, message())
    path.pointee.steps.removeLast()
  }

  func add(_ object: Object) { objects.add(object) }

  /// Says that nothing else may have this name, cgroup or address, which is what `node` says.
  func claim(_ key: Claim.Key, by owner: String, at node: YAML.Node) {
    claims.append(Claim(key: key, owner: owner, place: place(node), field: path.pointee.description))
  }
}

// MARK: - Mappings and lists

extension Decoding {
  /// The mapping's fields after every name has been looked at.
  func fields(_ node: YAML.Node, _ shape: Shape) -> Fields? {
    guard case .mapping(let entries) = node.value else {
      expected(shape.what + " (a mapping)", node)
      return nil
    }
    for entry in entries where !shape.knows(entry.key) {
      if let reason = shape.unsupported[entry.key] {
        if entry.node.isNull { continue }
        problem(entry.keyNode, field: entry.key, "\(quoted(entry.key)) is not supported: \(reason)")
      } else if shape.refused.contains(entry.key) {
        problem(entry.keyNode, field: entry.key, "\(quoted(entry.key)) is not supported by this version")
      } else {
        problem(entry.keyNode, field: entry.key, unknown(entry.key, shape))
      }
    }
    return Fields(node: node, entries: entries)
  }

  private func unknown(_ key: String, _ shape: Shape) -> String {
    let known = shape.passed.union(shape.read).union(shape.refused).union(shape.unsupported.keys)
    var message = "unknown field \(quoted(key)) in \(shape.what)"
    if let meant = likely(key, among: known) {
      message += "; did you mean \(quoted(meant))?"
    } else if shape.passed.isEmpty {
      message += "; expected \(shape.read.map { quoted($0) }.joined(separator: ", "))"
    }
    return message
  }

  func field<T>(_ name: String, of fields: Fields, _ read: (YAML.Node) -> T?) -> T? {
    guard let node = fields[name] else { return nil }
    path.pointee.steps.append(.key(name))
    defer { path.pointee.steps.removeLast() }
    return read(node)
  }

  func required<T>(_ name: String, of fields: Fields, _ read: (YAML.Node) -> T?) -> T? {
    guard let node = fields[name] else {
      problem(fields.node, field: name, "\(quoted(name)) is required")
      return nil
    }
    path.pointee.steps.append(.key(name))
    defer { path.pointee.steps.removeLast() }
    return read(node)
  }

  /// Every item that reads; an item that does not has told so.
  func list<T>(_ node: YAML.Node, of what: String, _ read: (YAML.Node) -> T?) -> [T]? {
    guard case .sequence(let items) = node.value else {
      expected("a list of \(what)", node)
      return nil
    }
    var result: [T] = []
    result.reserveCapacity(items.count)
    for (index, item) in items.enumerated() {
      path.pointee.steps.append(.index(index))
      if let value = read(item) { result.append(value) }
      path.pointee.steps.removeLast()
    }
    return result
  }

  func listField<T>(_ name: String, of fields: Fields, what: String, _ read: (YAML.Node) -> T?) -> [T] {
    field(name, of: fields) { list($0, of: what, read) } ?? []
  }

  /// A mapping of any keys to strings; `check` says what is wrong with an entry.
  func strings(_ node: YAML.Node, what: String, check: (YAML.Entry) -> Void) -> [String: String]? {
    guard case .mapping(let entries) = node.value else {
      expected("\(what) (a mapping of strings)", node)
      return nil
    }
    var result: [String: String] = [:]
    for entry in entries {
      path.pointee.steps.append(.key(entry.key))
      if let value = string(entry.node) {
        check(entry)
        result[entry.key] = value
      }
      path.pointee.steps.removeLast()
    }
    return result
  }
}

// MARK: - Scalars

extension Decoding {
  func string(_ node: YAML.Node) -> String? {
    if case .string = node.value { return node.text }
    expected("a string", node)
    return nil
  }

  func nonEmptyString(_ node: YAML.Node) -> String? {
    guard let text = string(node) else { return nil }
    if text.isEmpty { problem(node, "expected a string that is not empty") }
    return text.isEmpty ? nil : text
  }

  /// A string that `rule` has nothing against.
  func string(_ node: YAML.Node, _ rule: (String) -> String?) -> String? {
    guard let text = string(node) else { return nil }
    if let fault = rule(text) {
      problem(node, "\(fault), found \(quoted(text))")
      return nil
    }
    return text
  }

  func bool(_ node: YAML.Node) -> Bool? {
    if case .bool(let value) = node.value { return value }
    expected("true or false", node)
    return nil
  }

  /// A port number: 1 to 65535.
  func port(_ node: YAML.Node) -> UInt16? {
    guard case .integer(let value) = node.value else {
      expected("a port number", node)
      return nil
    }
    guard let port = UInt16(exactly: value), port > 0 else {
      problem(node, "expected a port number from 1 to 65535, found \(quoted(node.text))")
      return nil
    }
    return port
  }

  func address(_ node: YAML.Node) -> IPAddress? {
    guard let text = string(node) else { return nil }
    guard let address = IPAddress(text) else {
      problem(node, "expected an IPv4 or IPv6 address, found \(quoted(text))")
      return nil
    }
    return address
  }

  func oneOf<T: RawRepresentable>(_ values: [T], _ node: YAML.Node) -> T? where T.RawValue == String {
    guard let text = string(node) else { return nil }
    if let value = values.first(where: { $0.rawValue == text }) { return value }
    problem(node, choice(values.map(\.rawValue), text))
    return nil
  }

  func expected(_ what: String, _ node: YAML.Node) { problem(node, expectation(what, node)) }

  // Both make their text only for a problem that is listed: a file may hold a million of them.

  private func choice(_ words: [String], _ text: String) -> String {
    let meant = likely(text, among: words).map { "; did you mean \(quoted($0))?" } ?? ""
    return "expected \(words.joined(separator: ", ")), found \(quoted(text))\(meant)"
  }

  private func expectation(_ what: String, _ node: YAML.Node) -> String {
    let quotes = what == "a string" ? "; put it in quotes" : ""
    let found =
      switch node.value {
      case .null: "nothing (null)"
      case .bool: "the boolean \(quoted(node.text))" + quotes
      case .integer, .number: "the number \(quoted(node.text))" + quotes
      case .string: "the string \(quoted(node.text))" + (isDecimal(node) ? "; write it without quotes" : "")
      case .sequence: "a list"
      case .mapping: "a mapping"
      }
    return "expected \(what), found \(found)"
  }

  func isDecimal(_ node: YAML.Node) -> Bool { decimal(Array(node.text.utf8)[...], atMost: .max) != nil }
}
