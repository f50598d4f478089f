import CDatapath
import CLinux
import Glibc
import Testing

/// The binary itself, as a shell runs it.
struct CommandLineTests {
  private struct Result {
    var status: Int32
    var output: String
    var error: String
  }

  private let place = TemporaryDirectory()

  /// Beside the test bundle.
  private var binary: String {
    let path = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) + "/weir"
  }

  private func weir(_ words: String...) throws -> Result { try weir(words) }

  private func weir(_ words: [String]) throws -> Result {
    let out = "\(place.path)/out"
    let err = "\(place.path)/err"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    var arguments: [UnsafeMutablePointer<CChar>?] = ([binary] + words).map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    try #require(
      posix_spawn(&child, binary, &actions, nil, &arguments, linux_environment()) == 0, "\(binary)")
    var status: Int32 = 0
    waitpid(child, &status, 0)
    return Result(status: status & 0x7f == 0 ? status >> 8 : -1, output: text(out), error: text(err))
  }

  private func text(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var text: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { text.append(UInt8(byte)) }
    return String(decoding: text, as: UTF8.self)
  }

  @Test(arguments: [["help"], ["--help"], ["-h"], ["help", "agent"], ["agent", "--help"], ["proxy", "-h"]])
  func helpIsOnStandardOutput(words: [String]) throws {
    let result = try weir(words)
    #expect(result.status == 0 && result.error.isEmpty)
    #expect(result.output.hasPrefix("usage: weir "))
  }

  @Test func everyCommandThatIsListedHasHelp() throws {
    let names = [
      "agent", "run", "check", "explain", "matrix", "diff", "status", "flows", "workloads", "wait", "detach", "proxy",
      "verify",
      "version",
    ]
    let overview = try weir("help").output
    for name in names {
      #expect(overview.contains("\n  \(name) "))
      let help = try weir("help", name)
      #expect(help.status == 0 && help.output.hasPrefix("usage: weir \(name) "))
    }
  }

  @Test func theVersionNamesTheLayoutToo() throws {
    #expect(try weir("version").output == "weir 0.1.0 (layout \(WEIR_LAYOUT))\n")
    #expect(
      try weir("version", "-o", "json").output == "{\n  \"layout\" : \(WEIR_LAYOUT),\n  \"version\" : \"0.1.0\"\n}\n")
  }

  @Test(arguments: [
    ([], "weir: no command given; see weir help\n"),
    (["statsu"], "weir: statsu: no such command; did you mean status?\n"),
    (["x\ny"], "weir: x\\ny: no such command; see weir help\n"),
    (["help", "nothing-like-it"], "weir: nothing-like-it: no such command; see weir help\n"),
    (["agent"], "weir agent: no --policies given; name a directory with policy files\n"),
    (["agent", "--policy", "x"], "weir agent: --policy: no such option; did you mean --policies?\n"),
    (
      ["agent", "--policies", "/nonexistent"],
      "weir agent: no --cgroup-root given; name a directory below the cgroup2 mount\n"
    ),
    (["agent", "/etc"], "weir agent: /etc: takes no arguments; policies are given with --policies /etc\n"),
    (
      ["agent", "--policies", "/nonexistent", "--cgroup-root", "/x"],
      "weir agent: open policies /nonexistent: ENOENT; name a directory that is there with --policies\n"
    ),
    (["check"], "weir check: no PATH given; name policy files or directories\n"),
    (
      ["check", "/nonexistent"],
      "weir check: open /nonexistent: ENOENT; name policy files or directories that are there\n"
    ),
    (["check", "-o", "xml", "/etc"], "weir check: -o xml: no such format; there are text, json and sarif\n"),
    (
      ["check", "--fail-on", "all", "/etc"],
      "weir check: --fail-on all: no such level; there are error, warning, info and never\n"
    ),
    (["diff", "/etc"], "weir diff: two paths are needed, OLD and NEW; each a file or a directory\n"),
    (["explain", "/tmp"], "weir explain: --from, --to and --port are all needed; see weir explain --help\n"),
    (
      ["explain", "/tmp", "--from=a", "--to=b", "--port=http"],
      "weir explain: --port http: write NUMBER/PROTOCOL with TCP, UDP, SCTP, ICMP or ICMPv6, as in 80/TCP\n"
    ),
    (["matrix", "/tmp"], "weir matrix: no --port given; name at least one, as in --port 80/TCP\n"),
    (["run", "--name", "a/b"], "weir run: no command given; write it after --\n"),
    (
      ["run", "--name", "A", "--", "true"],
      "weir run: --name A: write NAMESPACE/NAME in lower case letters, digits and -, as in shop/web\n"
    ),
    (
      ["run", "--proxy", "a/b", "--label", "x=y", "--", "true"],
      "weir run: --label: does not go with --proxy, whose object is in the files\n"
    ),
    (["proxy", "boot"], "weir proxy: boot: no such action; there is bootstrap\n"),
    (["flows", "--count", "0"], "weir flows: --count 0: write a number above 0\n"),
  ])
  func wrongUsageIsOneLineAndStatus2(words: [String], line: String) throws {
    let result = try weir(words)
    #expect(result.status == 2)
    #expect(result.error == line)
    #expect(result.output.isEmpty)
  }

  @Test(arguments: ["status", "flows", "workloads"])
  func withoutAnAgentACommandSaysWhatToDo(command: String) throws {
    let result = try weir(command, "--run-dir", place.path)
    #expect(
      result.error.hasPrefix(
        "weir \(command): connect \(place.path)/weir.sock: ENOENT; is an agent running? start one with "
          + "`weir agent`, or name its directory with --run-dir"))
    #expect(result.status == 2)
  }

  @Test func nothingToDetachIsNoError() throws {
    let result = try weir("detach", "--bpffs", "\(place.path)/none")
    #expect(result.status == 0)
    #expect(result.output == "nothing is attached: \(place.path)/none is not there\n")
  }
}
