import Policy

extension Command {
  public static let diff = Command(
    name: "diff", summary: "say what a change of policy opens and closes",
    usage: "OLD NEW [-o json] [--joined]",
    details: """
      OLD and NEW are a file or a directory each, with the inventory in both. Meaning is compared, not text:
      what is said otherwise and means the same is no difference. Each entry is a rule and the flows that are
      judged otherwise because of it. Exit status 1 when there is a difference.
      """,
    options: [PolicyFiles.joined, format]
  ) { arguments throws(Failure) in
    let asJSON = try arguments.wantsJSON()
    guard arguments.positionals.count == 2 else {
      throw Failure("two paths are needed, OLD and NEW; each a file or a directory")
    }
    var sets: [PolicySet] = []
    for path in arguments.positionals {
      var set = try PolicyFiles.readValid([path])
      set.joined = arguments.has("--joined")
      sets.append(set)
    }
    let diff = PolicyDiff(old: sets[0], new: sets[1])
    Output.standard.write(
      asJSON
        ? JSON.text(diff, pretty: true) + "\n"
        : DiffText.text(diff, old: arguments.positionals[0], new: arguments.positionals[1]))
    return diff.isEmpty ? 0 : 1
  }
}

enum DiffText {
  private static let shown = 6

  static func text(_ diff: PolicyDiff, old: String, new: String) -> String {
    if diff.isEmpty { return "no difference\n" }
    var text = ""
    if !diff.added.isEmpty { text += "added: \(list(diff.added))\n" }
    if !diff.removed.isEmpty { text += "removed: \(list(diff.removed))\n" }
    for entry in diff.opened { text += self.text(entry, "opened", entry.isLost ? old : new, old, new) }
    for entry in diff.closed { text += self.text(entry, "closed", entry.isLost ? old : new, old, new) }
    return text
  }

  private static func text(
    _ entry: PolicyDiff.Entry, _ word: String, _ side: String, _ old: String, _ new: String
  ) -> String {
    var text = "\(word): \(list(entry.from)) -> \(list(entry.to)), \(list(entry.ports))"
    text += " (\(entry.before) before, \(entry.after) after)\n"
    if let rule = entry.rule {
      let what = entry.isLost ? "lost" : "by"
      text += "  \(what): " + Log.oneLine("\(rule.text) (\(rule.file):\(rule.line))") + "\n"
    }
    for request in entry.requests ?? [] {
      let headers = request.headers.sorted { $0.key < $1.key }.map { " \($0.key): \($0.value)" }.joined()
      let host = request.host.isEmpty ? "" : " host \(request.host)"
      text += "  such as: " + Log.oneLine("\(request.method) \(request.path)\(host)\(headers)") + "\n"
    }
    return text
      + "  explain: weir explain \(Log.oneLine(entry.isLost ? old : new)) \(Log.oneLine(entry.explain))\n"
  }

  /// The first few, and how many there are.
  private static func list(_ names: [String]) -> String {
    let first = names.prefix(shown).map(Log.oneLine).joined(separator: ", ")
    return names.count > shown ? "\(first) and \(names.count - shown) more (\(names.count))" : first
  }
}
