/// One option of a command.
public struct Option: Sendable {
  /// `--policies`, and another spelling: `-o`.
  var names: [String]
  /// What its value is called in the help; nil for a switch.
  var value: String?
  var isRepeatable = false
  var help: String

  /// Takes a value: `--name VALUE` or `--name=VALUE`.
  static func value(_ names: String..., value: String, repeatable: Bool = false, _ help: String) -> Option {
    Option(names: names, value: value, isRepeatable: repeatable, help: help)
  }

  static func flag(_ names: String..., help: String) -> Option {
    Option(names: names, value: nil, help: help)
  }
}

/// A command line after its options were checked against a command's list.
public struct Arguments: Sendable {
  var values: [String: [String]] = [:]
  var positionals: [String] = []
  /// What stands after `--`; nil without one.
  var rest: [String]?

  func last(_ name: String) -> String? { values[name]?.last }
  func all(_ name: String) -> [String] { values[name] ?? [] }
  func has(_ name: String) -> Bool { values[name] != nil }

  /// `-o json` asks for data instead of a table.
  func wantsJSON() throws(Failure) -> Bool {
    switch last("-o") {
    case nil, "table": return false
    case "json": return true
    case let other?: throw Failure("-o \(other): no such format; there are table and json")
    }
  }

  /// Checks words against options. An option's values are kept under its first name.
  static func parse(_ words: [String], options: [Option]) throws(Failure) -> Arguments {
    var arguments = Arguments()
    var words = words[...]
    while let word = words.popFirst() {
      if word == "--" {
        arguments.rest = Array(words)
        break
      }
      guard word.hasPrefix("-"), word != "-" else {
        arguments.positionals.append(word)
        continue
      }
      let equals = word.firstIndex(of: "=")
      let name = equals.map { String(word[..<$0]) } ?? word
      guard let option = options.first(where: { $0.names.contains(name) }) else {
        let near = Nearest.to(name, in: options.flatMap(\.names)).first
        throw Failure("\(name): no such option" + (near.map { "; did you mean \($0)?" } ?? "; see --help"))
      }
      let key = option.names[0]
      if let called = option.value {
        let given = equals.map { String(word[word.index(after: $0)...]) } ?? words.popFirst()
        guard let given, !given.isEmpty else { throw Failure("\(name): needs a value, \(name) \(called)") }
        if arguments.has(key) && !option.isRepeatable { throw Failure("\(name): stands twice; give it once") }
        arguments.values[key, default: []].append(given)
      } else if equals != nil {
        throw Failure("\(name): takes no value")
      } else {
        arguments.values[key] = []
      }
    }
    return arguments
  }
}

/// Names close to one that was mistyped.
enum Nearest {
  /// The closest first; none that is further away than a third of its length.
  static func to(_ word: String, in names: some Sequence<String>) -> [String] {
    names.map { (name: $0, distance: distance(word, $0)) }
      .filter { $0.distance <= max(2, $0.name.count / 3) }
      .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
      .map(\.name)
  }

  /// How many characters must be changed, added or removed.
  static func distance(_ a: String, _ b: String) -> Int {
    let b = Array(b)
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let above = row[j + 1]
        row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
        diagonal = above
      }
    }
    return row[b.count]
  }
}
