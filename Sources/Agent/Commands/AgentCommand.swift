import Policy

extension Command {
  public static let agent = Command(
    name: "agent", summary: "enforce policy directories on this machine",
    usage: "--policies DIR [--policies DIR...] --cgroup-root PATH [options] | --config FILE [options]",
    details: """
      Loads its programs, attaches them below the cgroup root and keeps the kernel and the proxies equal to the
      files.
      A configuration file is a mapping of these options without their dashes: policies (a list), cgroup-root, bpffs,
      run-dir, metrics, on-fault (a word), audit, joined, enter-namespaces, no-seccomp and no-verify (true or false).
      What stands on the command line wins.
      --rehearse says what a start with the other options would do and whether it would work, and changes nothing: before an
      upgrade, with the new binary, while the agent runs. Exit status 1 and a line for each reason when it would not.
      SIGHUP reads the files again; SIGTERM ends the agent, and what is in force stays until `weir detach`.
      """,
    options: [
      .value("--config", value: "FILE", "a YAML file with these options"),
      .value("--policies", value: "DIR", repeatable: true, "policy files; may stand several times"),
      .value("--cgroup-root", value: "PATH", "a directory in the cgroup2 mount; workloads are below it"),
      .value("--bpffs", value: "DIR", "for the pins (\(Configuration.defaultBpffs))"),
      .value(
        "--run-dir", value: "DIR",
        "for the socket and the proxies' files (\(Configuration.defaultRunDirectory))"),
      .value(
        "--metrics", value: "ADDRESS:PORT",
        "for /metrics, /healthz, /readyz (\(Configuration.defaultMetrics))"),
      .value(
        "--on-fault", value: "refuse|allow",
        "what a fault of weir's own does to a flow of which not even the Subtree is known (refuse)"),
      .flag("--audit", help: "judge and report everything, refuse nothing"),
      .flag(
        "--joined", help: "NetworkPolicy and Cilium's kinds allow together; else each that has an opinion must allow"),
      .flag(
        "--enter-namespaces",
        help: "keep CAP_SYS_ADMIN and CAP_SYS_PTRACE, to reset forbidden connections in other network namespaces"),
      .flag("--no-seccomp", help: "leave the filter of system calls out, for who debugs the agent"),
      .flag("--no-verify", help: "start no canary, which tries flows every half minute and for weir verify"),
      .flag("--rehearse", help: "only say what a start would do"),
      .value("-o", "--output", value: "FORMAT", "with --rehearse: json for data instead of a table"),
    ]
  ) { given throws(Failure) in
    let arguments = try given.completed()
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
    configuration.failOpen = try arguments.failsOpen()
    configuration.audit = arguments.has("--audit")
    configuration.joined = arguments.has("--joined")
    configuration.enterNamespaces = arguments.has("--enter-namespaces")
    configuration.seccomp = !arguments.has("--no-seccomp")
    configuration.verify = !arguments.has("--no-verify")
    let asJSON = try arguments.wantsJSON()
    if arguments.has("--rehearse") {
      let report = Rehearse.report(configuration)
      Output.standard.write(asJSON ? JSON.text(report, pretty: true) + "\n" : Rehearse.text(report))
      return report.works ? 0 : 1
    }
    if arguments.has("-o") { throw Failure("-o: goes with --rehearse") }
    let agent = try Agent(configuration)
    try agent.run()
    return 0
  }
}

extension Arguments {
  fileprivate func failsOpen() throws(Failure) -> Bool {
    switch last("--on-fault") {
    case nil, "refuse": return false
    case "allow": return true
    case let other?: throw Failure("--on-fault \(other): write refuse or allow")
    }
  }

  /// The options of the file that `--config` names, for those that the command line does not have.
  func completed() throws(Failure) -> Arguments {
    guard let path = last("--config") else { return self }
    let settings = Settings(
      path: path, what: "an agent's configuration",
      keys: [
        "policies": .texts, "cgroup-root": .text, "bpffs": .text, "run-dir": .text, "metrics": .text,
        "on-fault": .text,
        "audit": .flag, "joined": .flag, "enter-namespaces": .flag, "no-seccomp": .flag, "no-verify": .flag,
      ])
    guard let last = settings.problems.last else {
      var all = self
      for (key, values) in settings.values where !has("--" + key) { all.values["--" + key] = values }
      return all
    }
    for problem in settings.problems.dropLast() { Output.error.write(Log.oneLine(problem.description) + "\n") }
    throw Failure(last.description)
  }
}
