/// The Prometheus text format, version 0.0.4.
struct PrometheusText {
  enum Kind: String { case counter, gauge, histogram }

  typealias Labels = KeyValuePairs<String, String>

  private(set) var text = ""

  /// The HELP and TYPE lines; the samples that follow belong to it.
  mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    let escaped = help.reduce(into: "") { text, character in
      switch character {
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      default: text.append(character)
      }
    }
    text += "# HELP \(name) \(escaped)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  mutating func sample(_ name: String, _ labels: String, _ value: UInt64) {
    text += "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(value)\n"
  }

  mutating func sample(_ name: String, _ labels: String, _ value: Double) {
    text += "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(value)\n"
  }

  /// `a="x",b="y"`, escaped.
  static func labels(_ pairs: Labels) -> String {
    pairs.map { "\($0.key)=\"\(escape($0.value))\"" }.joined(separator: ",")
  }

  private static func escape(_ value: String) -> String {
    var text = ""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}
