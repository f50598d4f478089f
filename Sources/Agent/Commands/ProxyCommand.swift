import Policy
import Proxies

extension Command {
  public static let proxy = Command(
    name: "proxy", summary: "print a proxy's start configuration",
    usage: "bootstrap NAME [PATH...] [--policies DIR...]",
    details: """
      `weir proxy bootstrap NAMESPACE/NAME` prints the bootstrap of the Proxy of that name in the files, for
      Envoy's -c. Envoy reads its rules from l7.json in the agent's run directory and does not start before the
      agent wrote it.
      Start it with --reject-unknown-dynamic-fields, and below the Proxy's cgroup (`weir run --proxy`).
      """,
    options: [
      .value("--policies", value: "DIR", repeatable: true, "where the Proxy is declared"), runDirectory,
    ]
  ) { arguments throws(Failure) in
    guard arguments.positionals.first == "bootstrap" else {
      throw Failure("\(arguments.positionals.first ?? "nothing"): no such action; there is bootstrap")
    }
    guard arguments.positionals.count > 1 else { throw Failure("bootstrap: needs the name of a Proxy") }
    let text = arguments.positionals[1]
    let set = try PolicyFiles.readValid(arguments.all("--policies") + arguments.positionals.dropFirst(2))
    let proxy = try ProxyChoice.find(text, in: set)
    let runDirectory = AgentClient(arguments).runDirectory
    let paths = Envoy.Paths(runDirectory: runDirectory, proxy: proxy.name)
    var bootstrap = Envoy.bootstrap(for: proxy, paths: paths)
    if !bootstrap.hasSuffix("\n") { bootstrap += "\n" }
    Output.standard.write(bootstrap)
    if !Files.exists(paths.rules) {
      Output.error.write(
        "weir proxy: note: \(paths.rules) is not there yet; the agent writes it, start that first\n")
    }
    return 0
  }
}

enum ProxyChoice {
  /// By `namespace/name`, or by the name alone where only one has it.
  static func find(_ text: String, in set: PolicySet) throws(Failure) -> Proxy {
    let found = set.proxies.values.filter { $0.name.description == text || $0.name.name == text }
    if found.count == 1 { return found[0] }
    let known = (found.isEmpty ? Array(set.proxies.keys) : found.map(\.name)).sorted().map(\.description)
    let hint = known.isEmpty ? "the files declare none" : "there is \(known.joined(separator: ", "))"
    throw Failure("\(text): \(found.isEmpty ? "no such Proxy" : "more than one Proxy"); \(hint)")
  }
}
