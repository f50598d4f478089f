import Glibc
import Testing

@testable import Policy

/// The sets of examples/conflicts, which docs/conflicts.md shows.
@Suite struct ConflictExampleTests {
  /// The repository, from this file.
  static let root = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()

  static func read(_ path: String) -> Reading { Reading(paths: ["\(root)/\(path)"]) }

  @Test(arguments: Conflict.allCases)
  func `an example of a conflict has that conflict and no other`(id: Conflict) {
    let reading = Self.read("examples/conflicts/\(id.rawValue)")
    #expect(reading.problems.isEmpty)
    let conflicts = Conflicts(reading.set)
    #expect(conflicts.unconfirmed == [])
    #expect(conflicts.findings.map(\.id) == [id], "\(conflicts.findings.map(\.message))")
    for finding in conflicts.findings {
      #expect(finding.severity == id.severity)
      #expect(finding.policies.first.map { $0.line > 0 && $0.file.hasSuffix(".yaml") } ?? false)
    }
  }

  @Test(arguments: [
    "across-namespaces", "admin-tier", "allow-by-label", "cilium-http", "default-deny",
    "deny-by-service-account",
    "egress-only", "http-methods-and-paths", "ip-block-with-except", "named-port", "port-range", "shop",
    "systemd-services",
  ])
  func `an ordinary set has no conflicts`(example: String) {
    let reading = Self.read("examples/\(example)/policies")
    #expect(reading.problems.isEmpty)
    let conflicts = Conflicts(reading.set)
    #expect(conflicts.unconfirmed == [])
    #expect(conflicts.findings.map { "\($0.id.rawValue): \($0.message)" } == [])
  }

  @Test func `docs/conflicts.md has every id with the witness of its example`() throws {
    let text = try Self.text("docs/conflicts.md")
    for id in Conflict.allCases {
      #expect(text.contains("\n### \(id.rawValue)\n"))
      for finding in Conflicts(Self.read("examples/conflicts/\(id.rawValue)").set).findings {
        #expect(text.contains(": \(finding.severity.rawValue): \(finding.message) [\(id.rawValue)]\n"))
        if let proof = finding.proof { #expect(text.contains("  witness: \(proof)\n"), "\(proof)") }
        #expect(text.contains("  fix: \(finding.fix)\n"))
      }
    }
  }

  private static func text(_ path: String) throws -> String {
    let file = try #require(fopen("\(root)/\(path)", "r"))
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func `a policy that only reports is not blamed for having no effect`() {
    var set = Self.read("examples/conflicts/none/star-wars.yaml").set
    for (number, action) in [AuthorizationPolicy.Action.allow, .deny, .audit].enumerated() {
      set.authorizationPolicies.append(
        AuthorizationPolicy(
          name: Name("default", "report-\(number)"), selector: nil, action: action,
          rules: [
            AuthorizationPolicy.Rule(
              from: [], to: [AuthorizationPolicy.Operation(request: RequestMatch(methods: [.exact("PUT")]))],
              place: Place(file: "a.yaml", line: 1, column: 1))
          ], dryRun: action != .audit, place: Place(file: "a.yaml", line: 1, column: 1)))
    }
    #expect(Conflicts(set).findings.map(\.id) == [.dryRun, .dryRun])
  }

  /// Sets of people who write no mistakes, in the ways that the projects' own pages teach.
  @Test(arguments: ["bookinfo", "default-deny-and-allows", "star-wars", "ambient"])
  func `a realistic set has no conflicts`(name: String) {
    let reading = Self.read("examples/conflicts/none/\(name).yaml")
    #expect(reading.problems.isEmpty, "\(reading.problems)")
    #expect(reading.objects > 3)
    let conflicts = Conflicts(reading.set)
    #expect(conflicts.unconfirmed == [])
    #expect(conflicts.findings.map { "\($0.id.rawValue): \($0.message)" } == [])
  }
}
