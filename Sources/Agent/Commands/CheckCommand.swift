import Policy

extension Command {
  public static let check = Command(
    name: "check", summary: "validate policy files", usage: "PATH... [-o json]",
    details:
      "Reads files and directories as the agent does, without privileges. Exit status 1 when one is wrong.",
    options: [format]
  ) { arguments throws(Failure) in
    let asJSON = try arguments.wantsJSON()
    let reading = try PolicyFiles.read(arguments.positionals)
    let report = CheckReport(reading, paths: arguments.positionals)
    Output.standard.write(asJSON ? JSON.text(report, pretty: true) + "\n" : report.text)
    return report.errors.isEmpty ? 0 : 1
  }
}

/// The answer of `weir check`.
struct CheckReport: Codable {
  /// Contradictions between policies; none are looked for yet.
  struct Conflict: Codable {}

  var files: Int
  var objects: Int
  var errors: [Problem]
  var conflicts: [Conflict] = []

  init(_ reading: Reading, paths: [String]) {
    files = reading.files
    objects = reading.objects
    errors = reading.problems
    if errors.isEmpty, let error = CheckReport.compileError(reading.set) {
      errors = [Problem(file: paths.joined(separator: " "), message: error.description)]
    }
  }

  var text: String {
    var text = errors.map { Log.oneLine($0.description) + "\n" }.joined()
    func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
    text += "\(count(files, "file")), \(count(objects, "object")), "
    return text + (errors.isEmpty ? "no errors\n" : "\(count(errors.count, "error"))\n")
  }

  /// Whether the set fits into the tables, were every workload and proxy here.
  private static func compileError(_ set: PolicySet) -> CompileError? {
    var presence = Presence()
    var id: UInt64 = 0
    for endpoint in set.endpoints.values where endpoint.cgroup != nil {
      id += 1
      presence.workloads[endpoint.name] = id
    }
    for name in set.proxies.keys {
      id += 1
      presence.proxies[name] = id
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
