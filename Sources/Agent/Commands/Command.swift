/// One subcommand: what it is called, what it takes, and what it does.
public struct Command: Sendable {
  public var name: String
  /// One line for the list of commands.
  public var summary: String
  /// What follows the name in the usage line.
  var usage: String
  /// Paragraphs under the usage line; may be empty.
  var details = ""
  var options: [Option] = []
  /// The exit status: 0 fine, 1 findings.
  var body: @Sendable (Arguments) throws(Failure) -> Int32

  static let format = Option.value("-o", "--output", value: "FORMAT", "json for data instead of a table")
  static let runDirectory = Option.value(
    "--run-dir", value: "DIR", "the agent's run directory (\(Configuration.defaultRunDirectory))")
  static let bpffs = Option.value(
    "--bpffs", value: "DIR", "where the agent's pins are (\(Configuration.defaultBpffs))")
  private static let helpOption = Option.flag("-h", "--help", help: "this text")

  /// Runs it on the words after its name. Answers the exit status: 2 after one line on standard error that
  /// says what is wrong, where, and what to do.
  public func main(_ words: [String]) -> Int32 {
    do throws(Failure) {
      let arguments = try Arguments.parse(words, options: options + [Command.helpOption])
      if arguments.has("-h") {
        Output.standard.write(help)
        return 0
      }
      return try body(arguments)
    } catch {
      Output.error.write("weir \(name): \(Log.oneLine(error.description))\n")
      return 2
    }
  }

  public var help: String {
    var text = "usage: weir \(name) \(usage)\n\n\(summary)\n"
    if !details.isEmpty { text += "\n\(details)\n" }
    let rows = (options + [Command.helpOption]).map { option in
      [option.names.joined(separator: ", ") + (option.value.map { " \($0)" } ?? ""), option.help]
    }
    return text + "\noptions:\n" + Table(rows).text(indent: "  ")
  }

  /// The text of `weir help`.
  public static func overview(_ commands: [Command]) -> String {
    "usage: weir COMMAND [options]\n\n"
      + "One network policy for this machine, enforced from the socket to the request.\n\ncommands:\n"
      + Table(commands.map { [$0.name, $0.summary] }).text(indent: "  ")
      + "\n`weir help COMMAND` says more.\n"
      + "Exit status: 0 fine, 1 findings, 2 wrong usage or work that could not be done.\n"
  }

  /// The line for a command that does not exist.
  public static func unknown(_ word: String, _ commands: [Command]) -> String {
    let near = Nearest.to(word, in: commands.map(\.name)).first
    let hint = near.map { "did you mean \($0)?" } ?? "see weir help"
    return "weir: \(Log.oneLine(word)): no such command; \(hint)\n"
  }
}
