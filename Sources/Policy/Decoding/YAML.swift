import CYAML

/// YAML as Kubernetes reads it (sigs.k8s.io/yaml: YAML 1.1 scalars, then JSON's types), with the place of
/// every value. JSON is read by the same parser.
enum YAML {
  struct Node: Sendable {
    enum Value: Sendable {
      case null
      case bool(Bool)
      case integer(Int64)
      /// A number that is no 64-bit whole number. Nothing weir reads is one.
      case number
      case string
      case sequence([Node])
      case mapping([Entry])
    }

    var value: Value
    /// A scalar as written, escapes resolved; empty for the others.
    var text: String
    /// Counted from 1; columns in characters.
    var line: Int32
    var column: Int32

    var isNull: Bool { if case .null = value { true } else { false } }
  }

  struct Entry: Sendable {
    var key: String
    var line: Int32
    var column: Int32
    var node: Node

    var keyNode: Node { Node(value: .string, text: key, line: line, column: column) }
  }

  /// What one file may hold; beyond it the file is refused before it costs time or memory.
  enum Limit {
    static let bytes = 16 << 20
    /// Values after aliases are put in place, in the whole file: the answer to alias bombs.
    static let nodes = 1_000_000
    static let documents = 100_000
    static let depth = 64
    /// libyaml compares each %TAG directive with all before it.
    static let tagDirectives = 1000
  }
}

extension YAML {
  /// The documents of one file, one after the other. The bytes must outlive it and be UTF-8 without NUL.
  struct Parser: ~Copyable {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let findings: Findings
    private var path = FieldPath()
    private var anchors: [String: Built] = [:]
    private var nodes = 0
    private var documents = 0

    /// A value with what its aliases have to be charged for.
    private struct Built {
      var node: Node
      var nodes: Int
      var height: Int
    }

    init(_ bytes: UnsafeBufferPointer<UInt8>, findings: Findings) {
      parser = .allocate(capacity: 1)
      parser.initialize(to: yaml_parser_t())
      self.findings = findings
      // Without memory it fails, and so does the first event then.
      _ = yaml_parser_initialize(parser)
      yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
      yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
    }

    deinit {
      yaml_parser_delete(parser)
      parser.deallocate()
    }

    /// The next document's value; an empty one is null. nil after the last.
    mutating func next() throws(Problem) -> Node? {
      while true {
        var event = try nextEvent()
        defer { yaml_event_delete(&event) }
        switch event.type {
        case YAML_STREAM_END_EVENT: return nil
        case YAML_DOCUMENT_START_EVENT:
          documents += 1
          if documents > Limit.documents {
            throw problem(event.start_mark, "more than \(Limit.documents) documents in one file; split it")
          }
          anchors.removeAll()
          var first = try nextEvent()
          defer { yaml_event_delete(&first) }
          return try value(first, depth: 1).node
        default: continue
        }
      }
    }

    private func nextEvent() throws(Problem) -> yaml_event_t {
      var event = yaml_event_t()
      guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxProblem() }
      return event
    }

    private mutating func value(_ event: yaml_event_t, depth: Int) throws(Problem) -> Built {
      if event.type == YAML_ALIAS_EVENT { return try alias(event, depth: depth) }
      nodes += 1
      let before = nodes
      guard nodes <= Limit.nodes else { throw tooLarge(event) }
      guard depth <= Limit.depth else {
        throw problem(event.start_mark, "nested deeper than \(Limit.depth) levels")
      }
      var built: Built
      let anchor: UnsafeMutablePointer<yaml_char_t>?
      switch event.type {
      case YAML_SEQUENCE_START_EVENT:
        anchor = event.data.sequence_start.anchor
        try refuseTag(event.data.sequence_start.tag, known: "tag:yaml.org,2002:seq", event)
        built = try sequence(event, depth: depth)
      case YAML_MAPPING_START_EVENT:
        anchor = event.data.mapping_start.anchor
        try refuseTag(event.data.mapping_start.tag, known: "tag:yaml.org,2002:map", event)
        built = try mapping(event, depth: depth)
      default:
        anchor = event.data.scalar.anchor
        built = Built(node: try scalar(event), nodes: 1, height: 1)
      }
      built.nodes = nodes - before + 1
      // Known only from here on: a value cannot contain itself.
      if let anchor { anchors[String(cString: anchor)] = built }
      return built
    }

    private mutating func alias(_ event: yaml_event_t, depth: Int) throws(Problem) -> Built {
      let name = event.data.alias.anchor.map { String(cString: $0) } ?? ""
      guard let built = anchors[name] else {
        throw problem(
          event.start_mark, "the alias \(quoted("*" + name)) has no anchor before it that is complete")
      }
      nodes += built.nodes
      guard nodes <= Limit.nodes else { throw tooLarge(event) }
      guard depth + built.height - 1 <= Limit.depth else {
        throw problem(event.start_mark, "nested deeper than \(Limit.depth) levels through aliases")
      }
      return built
    }

    private mutating func sequence(_ start: yaml_event_t, depth: Int) throws(Problem) -> Built {
      var items: [Node] = []
      var height = 0
      while true {
        var event = try nextEvent()
        defer { yaml_event_delete(&event) }
        if event.type == YAML_SEQUENCE_END_EVENT { break }
        path.steps.append(.index(items.count))
        defer { path.steps.removeLast() }
        let item = try value(event, depth: depth + 1)
        height = max(height, item.height)
        items.append(item.node)
      }
      return Built(node: node(.sequence(items), start), nodes: 0, height: height + 1)
    }

    private mutating func mapping(_ start: yaml_event_t, depth: Int) throws(Problem) -> Built {
      var entries: [Entry] = []
      var height = 0
      while true {
        var event = try nextEvent()
        defer { yaml_event_delete(&event) }
        if event.type == YAML_MAPPING_END_EVENT { break }
        let key = try key(event)
        path.steps.append(.key(key.text))
        defer { path.steps.removeLast() }
        var following = try nextEvent()
        defer { yaml_event_delete(&following) }
        let item = try value(following, depth: depth + 1)
        height = max(height, item.height)
        entries.append(Entry(key: key.text, line: key.line, column: key.column, node: item.node))
      }
      reportDuplicates(entries)
      return Built(node: node(.mapping(entries), start), nodes: 0, height: height + 1)
    }

    /// A key becomes JSON's string. Where that is not what was written (`y` would become `true`), it is
    /// refused.
    private func key(_ event: yaml_event_t) throws(Problem) -> Node {
      if event.type == YAML_ALIAS_EVENT {
        throw problem(event.start_mark, "an alias cannot be a key; write the key")
      }
      guard event.type == YAML_SCALAR_EVENT else {
        throw problem(event.start_mark, "a list or mapping cannot be a key; expected a string")
      }
      let key = try scalar(event)
      switch key.value {
      case .string:
        if key.text == "<<", event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE {
          throw problem(event.start_mark, "merge keys (`<<`) are not supported: write the fields out")
        }
        return key
      case .integer(let value) where String(value) == key.text: return key
      case .bool(let value) where String(value) == key.text: return key
      default:
        let kind = if case .bool = key.value { "a boolean" } else if key.isNull { "null" } else { "a number" }
        throw problem(
          event.start_mark, "the key \(quoted(key.text)) is \(kind) in YAML 1.1; put it in quotes")
      }
    }

    private func scalar(_ event: yaml_event_t) throws(Problem) -> Node {
      let scalar = event.data.scalar
      let bytes = UnsafeBufferPointer(start: UnsafePointer(scalar.value), count: scalar.length)
      // Only an escape can have made one: the file itself has none.
      if scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE, bytes.contains(0) {
        throw problem(event.start_mark, "a string with a NUL character")
      }
      var value = Node.Value.string
      if let tag = scalar.tag {
        let name = String(cString: tag)
        guard name == "!" || name == "tag:yaml.org,2002:str" else { throw tagProblem(name, event) }
      } else if scalar.style == YAML_PLAIN_SCALAR_STYLE {
        value = YAML.resolve(bytes)
      }
      var result = node(value, event)
      result.text = String(decoding: bytes, as: UTF8.self)
      return result
    }

    private func node(_ value: Node.Value, _ event: yaml_event_t) -> Node {
      let mark = event.start_mark
      return Node(
        value: value, text: "", line: Int32(clamping: mark.line + 1), column: Int32(clamping: mark.column + 1)
      )
    }
  }
}

extension YAML.Parser {
  private func reportDuplicates(_ entries: [YAML.Entry]) {
    func report(_ entry: YAML.Entry, first: YAML.Entry) {
      var path = self.path
      path.steps.append(.key(entry.key))
      findings.add(
        line: Int(entry.line), column: Int(entry.column), path,
        "the key \(quoted(entry.key)) stands twice, first on line \(first.line), again on line \(entry.line)")
    }
    // Nearly every mapping is small, and then a dictionary costs more than it saves.
    if entries.count <= 12 {
      for (index, entry) in entries.enumerated() {
        if let first = entries[..<index].first(where: { $0.key == entry.key }) { report(entry, first: first) }
      }
      return
    }
    var seen: [String: Int] = [:]
    for (index, entry) in entries.enumerated() {
      if let first = seen[entry.key] { report(entry, first: entries[first]) } else { seen[entry.key] = index }
    }
  }

  private func refuseTag(_ tag: UnsafeMutablePointer<yaml_char_t>?, known: String, _ event: yaml_event_t)
    throws(Problem)
  {
    guard let tag else { return }
    let name = String(cString: tag)
    guard name == "!" || name == known else { throw tagProblem(name, event) }
  }

  private func tagProblem(_ name: String, _ event: yaml_event_t) -> Problem {
    problem(event.start_mark, "the tag \(quoted(name)) is not supported; leave it out")
  }

  private func tooLarge(_ event: yaml_event_t) -> Problem {
    problem(
      event.start_mark,
      "more than \(YAML.Limit.nodes) values in one file (each alias counts as all it stands for); split it"
    )
  }

  private func problem(_ mark: yaml_mark_t, _ message: String) -> Problem {
    findings.problem(line: mark.line + 1, column: mark.column + 1, path, message)
  }

  private func syntaxProblem() -> Problem {
    let parser = self.parser.pointee
    guard let text = parser.problem.map({ String(cString: $0) }) else {
      return findings.problem(line: 0, column: 0, path, "no memory to read it")
    }
    if parser.error == YAML_READER_ERROR {
      let place = findings.lineAndColumn(ofByte: parser.problem_offset)
      return findings.problem(line: place.line, column: place.column, FieldPath(), "not YAML: \(text)")
    }
    var message = "not YAML: \(text)"
    if let context = parser.context.map({ String(cString: $0) }),
      parser.context_mark.line < parser.problem_mark.line
    {
      message += " (\(context) that begins on line \(parser.context_mark.line + 1))"
    }
    if text == "found invalid Unicode character escape code" {
      message =
        "half of a surrogate pair (\\ud83d\\ude00) is no character in YAML; write the character itself"
    } else if text == "found character that cannot start any token" {
      message += "; indent with spaces, not tabs, and put values that begin with @, ` or % in quotes"
    }
    let mark = parser.problem_mark
    return findings.problem(line: mark.line + 1, column: mark.column + 1, FieldPath(), message)
  }
}
