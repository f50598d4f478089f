import FoundationEssentials
import Testing

@testable import Policy

/// The report against what the OASIS standard (SARIF 2.1.0) requires and code scanning uses.
@Suite struct SARIFTests {
  private func report(_ set: PolicySet, problems: [Problem] = []) throws -> [String: Any] {
    let sarif = SARIF(problems: problems, findings: Conflicts(set).findings, version: "1.2.3")
    return try #require(Parsed.object(JSONEncoder().encode(sarif)) as? [String: Any])
  }

  @Test func `a report has a version, a tool with a name, and results with a message`() throws {
    let set = ConflictExampleTests.read("examples/conflicts/families-contradict").set
    let report = try report(
      set, problems: [Problem(file: "a b.yaml", line: 3, column: 7, field: "spec", message: "no")])
    #expect(
      report["version"] as? String == "2.1.0" && (report["$schema"] as? String)?.contains("2.1.0") ?? false)
    let run = try #require((report["runs"] as? [[String: Any]])?.first)
    let driver = try #require((run["tool"] as? [String: Any])?["driver"] as? [String: Any])
    #expect(driver["name"] as? String == "weir" && driver["version"] as? String == "1.2.3")
    let rules = try #require(driver["rules"] as? [[String: Any]])
    let results = try #require(run["results"] as? [[String: Any]])
    #expect(results.count == 2)
    for result in results {
      let number = try #require(result["ruleIndex"] as? Int)
      #expect(rules[number]["id"] as? String == result["ruleId"] as? String)
      #expect(["error", "warning", "note"].contains(result["level"] as? String ?? ""))
      #expect((result["message"] as? [String: Any])?["text"] is String)
      let place = try #require(
        (result["locations"] as? [[String: Any]])?.first?["physicalLocation"] as? [String: Any])
      #expect((place["artifactLocation"] as? [String: Any])?["uri"] is String)
      let region = try #require(place["region"] as? [String: Any])
      #expect((region["startLine"] as? Int ?? 0) > 0 && (region["startColumn"] as? Int ?? 0) > 0)
      #expect((result["partialFingerprints"] as? [String: String])?["weir/v1"]?.count == 16)
    }
    let uri = ((results[0]["locations"] as? [[String: Any]])?.first?["physicalLocation"] as? [String: Any])?[
      "artifactLocation"]
    #expect((uri as? [String: Any])?["uri"] as? String == "a%20b.yaml")
    let message = (results[1]["message"] as? [String: Any])?["text"] as? String ?? ""
    #expect(message.contains("Witness: ") && message.contains("Fix: "))
  }

  @Test func `every id has its sentence and its level`() throws {
    let report = try report(PolicySet())
    let run = try #require((report["runs"] as? [[String: Any]])?.first)
    let driver = (run["tool"] as? [String: Any])?["driver"] as? [String: Any]
    let rules = try #require(driver?["rules"] as? [[String: Any]])
    #expect(rules.compactMap { $0["id"] as? String } == Conflict.allCases.map(\.rawValue) + ["invalid"])
    #expect(
      rules.allSatisfy {
        (($0["shortDescription"] as? [String: Any])?["text"] as? String)?.hasSuffix(".") ?? false
      })
    #expect((run["results"] as? [Any])?.isEmpty ?? false)
  }

  @Test func `a fingerprint does not move with the lines`() throws {
    func fingerprints(_ lines: Int) -> [String] {
      let text =
        String(repeating: "#\n", count: lines)
        + "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        + "metadata: {name: a, namespace: b, annotations: {istio.io/dry-run: \"true\"}}\nspec: {action: DENY, rules: [{}]}\n"
      let conflicts = Conflicts(Reading(texts: [("a.yaml", text)]).set)
      let sarif = SARIF(problems: [], findings: conflicts.findings, version: "")
      return sarif.runs[0].results.compactMap { $0.partialFingerprints["weir/v1"] }
    }
    #expect(fingerprints(0).count == 1 && fingerprints(0) == fingerprints(9))
  }
}

/// JSON as dictionaries and arrays.
private enum Parsed {
  enum Value: Decodable {
    case object([String: Value])
    case array([Value])
    case text(String)
    case number(Int)
    case flag(Bool)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let value = try? container.decode(String.self) {
        self = .text(value)
      } else if let value = try? container.decode(Int.self) {
        self = .number(value)
      } else if let value = try? container.decode(Bool.self) {
        self = .flag(value)
      } else if let value = try? container.decode([Value].self) {
        self = .array(value)
      } else {
        self = .object(try container.decode([String: Value].self))
      }
    }

    var plain: Any {
      switch self {
      case .object(let members): members.mapValues(\.plain)
      case .array(let members): members.map(\.plain)
      case .text(let value): value
      case .number(let value): value
      case .flag(let value): value
      }
    }
  }

  static func object(_ data: Data) throws -> Any { try JSONDecoder().decode(Value.self, from: data).plain }
}
