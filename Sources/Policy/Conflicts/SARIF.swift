/// The report of `weir check` in the Static Analysis Results Interchange Format 2.1.0 (OASIS), as code
/// scanning reads it.
public struct SARIF: Sendable, Codable {
  public struct Run: Sendable, Codable {
    public var tool: Tool
    public var results: [Result]
    public var columnKind = "unicodeCodePoints"
  }

  public struct Tool: Sendable, Codable { public var driver: Driver }

  public struct Driver: Sendable, Codable {
    public var name = "weir"
    public var version: String
    public var rules: [Rule]
  }

  public struct Text: Sendable, Codable { public var text: String }

  public struct Rule: Sendable, Codable {
    public struct Configuration: Sendable, Codable { public var level: String }

    public var id: String
    public var shortDescription: Text
    public var help: Text
    public var defaultConfiguration: Configuration
  }

  public struct Result: Sendable, Codable {
    public var ruleId: String
    public var ruleIndex: Int
    /// error, warning or note
    public var level: String
    public var message: Text
    public var locations: [Location]
    public var relatedLocations: [Location]?
    public var partialFingerprints: [String: String]
  }

  public struct Location: Sendable, Codable {
    public struct Physical: Sendable, Codable {
      public var artifactLocation: Artifact
      public var region: Region?
    }

    public struct Artifact: Sendable, Codable { public var uri: String }

    public struct Region: Sendable, Codable {
      public var startLine: Int
      public var startColumn: Int?
    }

    public var id: Int?
    public var physicalLocation: Physical
    public var message: Text?
  }

  public var schema = "https://json.schemastore.org/sarif-2.1.0.json"
  public var version = "2.1.0"
  public var runs: [Run]

  enum CodingKeys: String, CodingKey {
    case schema = "$schema"
    case version, runs
  }

  /// Of a file that cannot be decoded, or a set that does not fit.
  public static let invalid = "invalid"

  public init(problems: [Problem], findings: [Finding], version: String) {
    let ids = Conflict.allCases
    let rules =
      ids.map { id in
        Rule(
          id: id.rawValue, shortDescription: Text(text: id.summary),
          help: Text(text: "\(id.summary) docs/conflicts.md has an example."),
          defaultConfiguration: Rule.Configuration(level: id.severity.level))
      } + [
        Rule(
          id: Self.invalid, shortDescription: Text(text: "A file is not what the API server would accept."),
          help: Text(text: "The message says what was expected."),
          defaultConfiguration: Rule.Configuration(level: "error"))
      ]
    var results = problems.map { problem in
      Result(
        ruleId: Self.invalid, ruleIndex: ids.count, level: "error",
        message: Text(text: problem.field.isEmpty ? problem.message : "\(problem.field): \(problem.message)"),
        locations: [Location(problem.file, problem.line, problem.column)], relatedLocations: nil,
        partialFingerprints: [
          "weir/v1": Self.fingerprint([Self.invalid, problem.file, problem.field, problem.message])
        ])
    }
    results += findings.map { finding in
      let index = ids.firstIndex(of: finding.id) ?? 0
      let others = finding.policies.dropFirst().enumerated().map { number, policy in
        var location = Location(policy.file, policy.line, policy.column)
        location.id = number + 1
        location.message = Text(text: policy.text)
        return location
      }
      return Result(
        ruleId: finding.id.rawValue, ruleIndex: index, level: finding.severity.level,
        message: Text(text: finding.sentences),
        locations: finding.policies.prefix(1).map { Location($0.file, $0.line, $0.column) },
        relatedLocations: others.isEmpty ? nil : others,
        // Lines move; what the rules are called does not.
        partialFingerprints: [
          "weir/v1": Self.fingerprint([finding.id.rawValue] + finding.policies.map(\.text))
        ])
    }
    runs = [Run(tool: Tool(driver: Driver(version: version, rules: rules)), results: results)]
  }

  /// FNV-1a: equal on every machine and run.
  private static func fingerprint(_ parts: [String]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for part in parts {
      for byte in Array(part.utf8) + [0] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension SARIF.Location {
  fileprivate init(_ file: String, _ line: Int, _ column: Int) {
    self.init(
      id: nil,
      physicalLocation: SARIF.Location.Physical(
        artifactLocation: SARIF.Location.Artifact(uri: Self.uri(file)),
        region: line > 0
          ? SARIF.Location.Region(startLine: line, startColumn: column > 0 ? column : nil) : nil),
      message: nil)
  }

  /// RFC 3986: what is not allowed in a path is written as its bytes.
  private static func uri(_ file: String) -> String {
    let path =
      file.hasPrefix("/") ? "file://" + file : file.hasPrefix("./") ? String(file.dropFirst(2)) : file
    return path.utf8.map { byte -> String in
      let isPlain =
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
        || "/._-~:@!$&'()*+,;=".utf8.contains(byte)
      if isPlain { return String(UnicodeScalar(byte)) }
      return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }.joined()
  }
}

extension Severity {
  fileprivate var level: String {
    switch self {
    case .error: "error"
    case .warning: "warning"
    case .info: "note"
    }
  }
}

extension Finding {
  /// Message, witness and fix, for a reader who has only one text.
  fileprivate var sentences: String {
    var text = message + "."
    if let proof { text += " Witness: \(proof)." }
    return text + " Fix: \(fix)."
  }
}
