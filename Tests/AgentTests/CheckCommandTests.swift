import Policy
import Testing

@testable import Agent

/// What `weir check` and `weir diff` print, without the binary.
struct CheckCommandTests {
  private static let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()

  private func report(_ example: String) -> (report: CheckReport, path: String) {
    let path = "\(Self.root)/examples/\(example)"
    return (CheckReport(Reading(paths: [path]), paths: [path]), path)
  }

  @Test func aConflictIsOneLineWithPlaceLevelAndIdAndUnderItTheProof() {
    let (report, path) = report("conflicts/deny-buries-allow")
    let lines = report.text(paths: [path]).split(separator: "\n").map(String.init)
    #expect(lines[0].hasPrefix("\(path)/policies.yaml:8: error: "))
    #expect(lines[0].hasSuffix(" [deny-buries-allow]"))
    #expect(lines.contains { $0.hasPrefix("  see AuthorizationPolicy shop/no-admin rules[0] (") })
    #expect(
      lines.contains("  witness: shop/web -> shop/api 80/TCP is denied with the rule, and denied without it"))
    #expect(lines.contains("  explain: weir explain \(path) --from shop/web --to shop/api --port 80/TCP"))
    #expect(lines.contains { $0.hasPrefix("  fix: ") })
    #expect(lines.last == "2 files, 5 objects, no errors, 1 conflict (1 error)")
  }

  @Test func withoutAConflictOnlyTheCountsArePrinted() {
    let (report, path) = report("conflicts/none/star-wars.yaml")
    #expect(report.conflicts.isEmpty && report.errors.isEmpty)
    #expect(report.text(paths: [path]).split(separator: "\n").count == 1)
  }

  @Test func theJSONHasTheKeysOfTheDesign() {
    let text = JSON.text(report("conflicts/families-contradict").report)
    for key in [
      "conflicts", "id", "severity", "message", "policies", "witness", "fix", "kind", "rule", "line",
    ] {
      #expect(text.contains("\"\(key)\":"))
    }
    #expect(text.contains("\"with\":\"denied\"") && text.contains("\"without\":\"denied\""))
    #expect(text.contains("\"id\":\"families-contradict\""))
  }

  @Test(arguments: [
    (["conflicts/joined-differs"], 0), (["conflicts/joined-differs", "--fail-on=info"], 1),
    (["conflicts/selects-nothing"], 1), (["conflicts/selects-nothing", "--fail-on=error"], 0),
    (["conflicts/never-matches", "--fail-on=error"], 1), (["conflicts/never-matches", "--fail-on=never"], 0),
  ])
  func theExitStatusFollowsFailOn(words: [String], status: Int) {
    let words = ["\(Self.root)/examples/\(words[0])"] + words.dropFirst() + ["-o", "json"]
    #expect(Int(Command.check.main(words)) == status)
  }

  @Test func aDifferenceIsSaidWithItsRuleAndExitStatus1() {
    let path = "\(Self.root)/examples/conflicts"
    func set(_ name: String) -> PolicySet { Reading(paths: ["\(path)/\(name)"]).set }
    var new = set("families-contradict")
    new.authorizationPolicies = []
    let diff = PolicyDiff(old: set("families-contradict"), new: new)
    let text = DiffText.text(diff, old: "OLD", new: "NEW")
    #expect(text.contains("opened: shop/batch -> shop/api, 8080/TCP (denied before, allowed after)\n"))
    #expect(text.contains("  by: NetworkPolicy shop/api ingress[0].from[1] ("))
    #expect(text.contains("  explain: weir explain NEW --from shop/batch --to shop/api --port 8080/TCP\n"))
    #expect(Command.diff.main(["\(path)/shadowed", "\(path)/shadowed"]) == 0)
    #expect(Command.diff.main(["\(path)/shadowed", "\(path)/two-proxies"]) == 1)
  }
}
