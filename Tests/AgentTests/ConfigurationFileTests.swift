import Policy
import Testing

@testable import Agent

struct ConfigurationFileTests {
  private let place = TemporaryDirectory()

  private func completed(_ text: String, _ words: String...) throws -> Arguments {
    place.write("c.yaml", text)
    return try Arguments.parse(["--config", "\(place.path)/c.yaml"] + words, options: Command.agent.options)
      .completed()
  }

  @Test func `a configuration file has the options' names, and the command line wins`() throws {
    let text = """
      # a node
      policies: [/etc/weir/policies, /srv/more]
      cgroup-root: /sys/fs/cgroup/weir
      metrics: 127.0.0.1:9464
      audit: true
      joined: false
      enter-namespaces: true
      no-seccomp: false
      """
    let alone = try completed(text)
    #expect(alone.all("--policies") == ["/etc/weir/policies", "/srv/more"])
    #expect(alone.last("--cgroup-root") == "/sys/fs/cgroup/weir" && alone.last("--metrics") == "127.0.0.1:9464")
    #expect(alone.has("--audit") && !alone.has("--joined") && alone.last("--bpffs") == nil)
    #expect(alone.has("--enter-namespaces") && !alone.has("--no-seccomp"))
    let both = try completed(text, "--policies", "/tmp/p", "--metrics=[::1]:1", "--joined")
    #expect(both.all("--policies") == ["/tmp/p"] && both.last("--metrics") == "[::1]:1" && both.has("--joined"))
    #expect(both.last("--cgroup-root") == "/sys/fs/cgroup/weir")
    #expect(try completed("").all("--policies").isEmpty)
  }

  @Test(
    "what is wrong in a configuration file is said with its place",
    arguments: [
      ("polices: [a]\n", "1:1: polices: unknown field `polices` in an agent's configuration; did you mean `policies`?"),
      ("policies: a\n", "1:11: policies: expected a list of strings, found the string `a`"),
      ("audit: 1\n", "1:8: audit: expected true or false, found the number `1`"),
      ("metrics: 9464\n", "1:10: metrics: expected a string, found the number `9464`; put it in quotes"),
      ("on-fault: true\n", "1:11: on-fault: expected a string, found the boolean `true`; put it in quotes"),
      ("bpffs: ''\n", "1:8: bpffs: expected a string that is not empty"),
      ("audit: true\naudit: false\n", "2:1: audit: the key `audit` stands twice, first on line 1, again on line 2"),
      ("audit: true\n---\naudit: true\n", "3:1: a second document; expected one"),
      ("- a\n", "1:1: expected an agent's configuration (a mapping), found a list"),
      ("a: [\n", "2:1: not YAML: did not find expected node content"),
    ])
  func wrong(text: String, says: String) {
    let error = #expect(throws: Failure.self) { try completed(text) }
    #expect(error?.description == "\(place.path)/c.yaml:\(says)")
  }

  @Test func `a configuration file that is not there is said`() {
    let words = ["--config", "\(place.path)/none"]
    #expect(throws: Failure("\(place.path)/none: cannot be read: there is no such file or directory")) {
      try Arguments.parse(words, options: Command.agent.options).completed()
    }
  }
}
