import Policy

extension Command {
  public static let check = Command(
    name: "check", summary: "validate policy files and find their conflicts",
    usage: "PATH... [-o json|sarif] [--fail-on LEVEL] [--joined]",
    details: """
      Reads files and directories as the agent does, without privileges. Each conflict has a witness: a flow
      or request that `weir explain` judges the same way. docs/conflicts.md has an example of every kind.
      Exit status 1 when a file is wrong, or when there is a conflict of the level of --fail-on or above.
      """,
    options: [
      .value("-o", "--output", value: "FORMAT", "json, or sarif for code scanning, instead of text"),
      .value("--fail-on", value: "LEVEL", "error, warning (unless given), info, or never"),
      PolicyFiles.joined,
    ]
  ) { arguments throws(Failure) in
    let format = arguments.last("-o") ?? "text"
    guard ["text", "table", "json", "sarif"].contains(format) else {
      throw Failure("-o \(format): no such format; there are text, json and sarif")
    }
    let level = arguments.last("--fail-on") ?? "warning"
    guard level == "never" || Severity(rawValue: level) != nil else {
      throw Failure("--fail-on \(level): no such level; there are error, warning, info and never")
    }
    let reading = try PolicyFiles.read(arguments.positionals)
    let report = CheckReport(reading, paths: arguments.positionals, joined: arguments.has("--joined"))
    switch format {
    case "json": Output.standard.write(JSON.text(report, pretty: true) + "\n")
    case "sarif": Output.standard.write(JSON.text(report.sarif, pretty: true) + "\n")
    default: Output.standard.write(report.text(paths: arguments.positionals))
    }
    if !report.errors.isEmpty { return 1 }
    let fails =
      Severity(rawValue: level).map { level in report.conflicts.contains { $0.severity <= level } } ?? false
    return fails ? 1 : 0
  }
}

/// The answer of `weir check`.
struct CheckReport: Codable {
  var files: Int
  var objects: Int
  var errors: [Problem]
  /// Looked for where every file is right: what half a set contradicts says little.
  var conflicts: [Finding] = []

  init(_ reading: Reading, paths: [String], joined: Bool = false) {
    files = reading.files
    objects = reading.objects
    errors = reading.problems
    guard errors.isEmpty else { return }
    var set = reading.set
    set.joined = joined
    if let error = CheckReport.compileError(set) {
      errors = [Problem(file: paths.joined(separator: " "), message: error.description)]
    }
    conflicts = Conflicts(set).findings
  }

  var sarif: SARIF { SARIF(problems: errors, findings: conflicts, version: Version.text) }

  /// One line for each error; for each conflict one, and under it the rules, the witness, how to see it, and
  /// the fix.
  func text(paths: [String]) -> String {
    var text = errors.map { Log.oneLine($0.description) + "\n" }.joined()
    for finding in conflicts {
      let place = finding.policies.first.map { "\($0.file):\($0.line)" } ?? ""
      text +=
        Log.oneLine("\(place): \(finding.severity.rawValue): \(finding.message) [\(finding.id.rawValue)]")
        + "\n"
      for policy in finding.policies.dropFirst() {
        text += "  see " + Log.oneLine("\(policy.text) (\(policy.file):\(policy.line))") + "\n"
      }
      if let proof = finding.proof { text += "  witness: \(Log.oneLine(proof))\n" }
      if let explain = finding.witness?.explain {
        text +=
          "  explain: weir explain \(Log.oneLine(paths.joined(separator: " "))) \(Log.oneLine(explain))\n"
      }
      text += "  fix: \(Log.oneLine(finding.fix))\n"
    }
    func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
    text += "\(count(files, "file")), \(count(objects, "object")), "
    text += errors.isEmpty ? "no errors" : count(errors.count, "error")
    if !conflicts.isEmpty {
      let each = Severity.allCases.compactMap { severity -> String? in
        let number = conflicts.count { $0.severity == severity }
        return number == 0 ? nil : "\(number) \(severity.rawValue)"
      }
      text += ", \(count(conflicts.count, "conflict")) (\(each.joined(separator: ", ")))"
    }
    return text + "\n"
  }

  /// Whether the set fits into the tables, were every workload and proxy here.
  private static func compileError(_ set: PolicySet) -> CompileError? {
    var presence = Presence()
    var id: UInt64 = 0
    for endpoint in set.endpoints.values where endpoint.isWorkload {
      id += 1
      presence.workloads[endpoint.name] = id
    }
    for name in set.proxies.keys {
      id += 1
      presence.proxies[name] = id
    }
    for name in set.subtrees.keys {
      id += 1
      presence.subtrees[name] = id
    }
    var numbers = Numbers()
    do {
      _ = try compile(set, presence: presence, numbers: &numbers)
      return nil
    } catch {
      return error
    }
  }
}
