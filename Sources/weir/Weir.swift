import Agent
import Glibc

@main
struct Weir {
  static let commands: [Command] = [
    .agent, .run, .check, .explain, .matrix, .diff, .status, .flows, .workloads, .wait, .detach, .proxy, .verify,
    .version,
  ]
  /// Of those that are in no list.
  static let hidden: [Command] = [.canary]

  static func main() {
    // A reader that went away ends the output, not the process.
    signal(SIGPIPE, SIG_IGN)
    exit(run(Array(CommandLine.arguments.dropFirst())))
  }

  static func run(_ words: [String]) -> Int32 {
    guard let word = words.first else {
      Output.error.write("weir: no command given; see weir help\n")
      return 2
    }
    if ["help", "--help", "-h"].contains(word) { return help(words.dropFirst().first) }
    if word == "--version" { return Command.version.main([]) }
    guard let command = (commands + hidden).first(where: { $0.name == word }) else {
      Output.error.write(Command.unknown(word, commands))
      return 2
    }
    return command.main(Array(words.dropFirst()))
  }

  static func help(_ word: String?) -> Int32 {
    guard let word else {
      Output.standard.write(Command.overview(commands))
      return 0
    }
    guard let command = commands.first(where: { $0.name == word }) else {
      Output.error.write(Command.unknown(word, commands))
      return 2
    }
    Output.standard.write(command.help)
    return 0
  }
}
