extension Command {
  public static let agent = Command(
    name: "agent", summary: "enforce policy directories on this machine",
    usage: "--policies DIR [--policies DIR...] --cgroup-root PATH [options]",
    details: """
      Loads its programs, attaches them below the cgroup root and keeps the kernel and the proxies equal to the
      files.
      SIGHUP reads the files again; SIGTERM ends the agent, and what is in force stays until `weir detach`.
      """,
    options: [
      .value("--policies", value: "DIR", repeatable: true, "policy files; may stand several times"),
      .value("--cgroup-root", value: "PATH", "a directory in the cgroup2 mount; workloads are below it"),
      .value("--bpffs", value: "DIR", "for the pins (\(Configuration.defaultBpffs))"),
      .value(
        "--run-dir", value: "DIR",
        "for the socket and the proxies' files (\(Configuration.defaultRunDirectory))"),
      .value(
        "--metrics", value: "ADDRESS:PORT",
        "for /metrics, /healthz, /readyz (\(Configuration.defaultMetrics))"),
      .flag("--audit", help: "judge and report everything, refuse nothing"),
    ]
  ) { arguments throws(Failure) in
    let policies = arguments.all("--policies")
    if let extra = arguments.positionals.first {
      throw Failure("\(extra): takes no arguments; policies are given with --policies \(extra)")
    }
    if policies.isEmpty { throw Failure("no --policies given; name a directory with policy files") }
    guard let root = arguments.last("--cgroup-root") else {
      throw Failure("no --cgroup-root given; name a directory below the cgroup2 mount")
    }
    var configuration = Configuration(policies: policies, cgroupRoot: root)
    configuration.bpffs = arguments.last("--bpffs") ?? configuration.bpffs
    configuration.runDirectory = arguments.last("--run-dir") ?? configuration.runDirectory
    configuration.metrics = arguments.last("--metrics") ?? configuration.metrics
    configuration.audit = arguments.has("--audit")
    let agent = try Agent(configuration)
    agent.run()
    return 0
  }
}
