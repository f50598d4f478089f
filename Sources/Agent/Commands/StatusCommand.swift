import Policy

extension Command {
  public static let status = Command(
    name: "status", summary: "say what is in force", usage: "[-o json] [--run-dir DIR] [--bpffs DIR]",
    details: "Asks the agent, which asks the kernel. Exit status 1 when something is not in force.",
    options: [format, runDirectory, bpffs]
  ) { arguments throws(Failure) in
    let asJSON = try arguments.wantsJSON()
    let status: Status
    do throws(Failure) { status = try AgentClient(arguments).ask("GET", "/status", as: Status.self) } catch {
      let directory = arguments.last("--bpffs") ?? Configuration.defaultBpffs
      // The pins are the enforcement; an agent only changes it.
      let goesOn =
        Files.names(in: directory).isEmpty ? "" : "; enforcement continues from the pins in \(directory)"
      throw Failure(error.description + goesOn)
    }
    Output.standard.write(
      asJSON
        ? JSON.text(status, pretty: true) + "\n"
        : StatusText.text(status, coloured: Output.standard.isColoured))
    let isBehind = status.proxies.contains { $0.acknowledgement != .acknowledged }
    return status.inForce && !isBehind && status.gaps.isEmpty && status.verify.differences.isEmpty ? 0 : 1
  }

  public static let workloads = Command(
    name: "workloads", summary: "list the endpoints the agent knows", usage: "[-o json] [--run-dir DIR]",
    details: """
      Below them, as `unidentified`, the cgroups in Subtrees that have processes and are nobody's yet.
      MAY: what any process of it holds that gets around a policy: net_raw, net_admin, bpf, sys_admin.
      """,
    options: [format, runDirectory]
  ) { arguments throws(Failure) in
    let asJSON = try arguments.wantsJSON()
    let list = try AgentClient(arguments).ask("GET", "/workloads", as: [WorkloadStatus].self)
    if asJSON {
      Output.standard.write(JSON.text(list, pretty: true) + "\n")
      return 0
    }
    let rows = list.map { workload in
      [
        workload.name, workload.cgroup == nil ? "-" : workload.present ? "yes" : "no", "\(workload.identity)",
        StatusText.or([workload.serviceAccount].filter { !$0.isEmpty }), StatusText.or(workload.may), StatusText.or(workload.addresses), StatusText.or(workload.ports),
        StatusText.or(workload.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }),
        (workload.cgroup ?? "-") + (workload.looks.map { " (\($0))" } ?? ""),
      ]
    }
    let header = ["NAME", "HERE", "IDENTITY", "ACCOUNT", "MAY", "ADDRESSES", "PORTS", "LABELS", "CGROUP"]
    Output.standard.write(Table(rows, header: header).text(coloured: Output.standard.isColoured))
    return 0
  }
}

enum StatusText {
  private static let subtreeHeader = [
    "NAME", "HERE", "MODE", "UNIDENTIFIED", "ON FAULT", "WORKLOADS", "UNKNOWN", "CGROUP",
  ]

  private static func row(_ subtree: SubtreeStatus) -> [String] {
    [
      subtree.name, subtree.present ? "yes" : "no", subtree.audit ? "audit" : "enforcing", subtree.unidentified,
      subtree.onFault, "\(subtree.workloads)", "\(subtree.unknown)", subtree.cgroup,
    ]
  }

  static func or(_ list: [String]) -> String { list.isEmpty ? "-" : list.joined(separator: ",") }

  private static func verify(_ status: VerifyStatus) -> String {
    if let why = status.unavailable { return "not available: \(Log.oneLine(why))" }
    if let first = status.differences.first {
      let more = status.differences.count > 1 ? "; and \(status.differences.count - 1) more" : ""
      return "different: \(Log.oneLine(first.sentence))\(more)"
    }
    guard let at = status.at, let generation = status.generation else { return "not yet" }
    let failed = status.failed > 0 ? "; \(status.failed) could not be tried" : ""
    let broken = status.failure.map { "; broken off: \(Log.oneLine($0))" } ?? ""
    return "\(status.probes - status.failed) flows of generation \(generation) as intended, at \(at)\(failed)\(broken)"
  }

  static func text(_ status: Status, coloured: Bool) -> String {
    let generation = status.generation == 0 ? "none" : "\(status.generation)"
    let missing = status.gaps.filter { !$0.runs }
    let state =
      status.inForce
      ? "in force" : missing.isEmpty ? "not as the files say" : "not in force: \(missing.count) programs missing"
    var rows = [
      ["generation", "\(generation), \(state)" + (status.since.map { ", since \($0)" } ?? "")],
      ["mode", status.audit ? "audit: nothing is refused" : "enforcing"],
      ["set", "\(status.files) files, \(status.objects) objects, \(status.workloads) workloads here"],
      ["rejected", status.filesRejected == 0 ? "none" : "\(status.filesRejected) files"],
      ["cgroup root", status.cgroupRoot], ["policies", status.policies.joined(separator: " ")],
      ["agent", "weir \(status.version), pid \(status.pid), since \(status.started)"],
    ]
    if let privileges = status.privileges {
      rows.append([
        "privileges",
        (privileges.capabilities.isEmpty ? "no capability" : privileges.capabilities.joined(separator: " "))
          + (privileges.noNewPrivileges ? ", no new ones" : ", new ones possible")
          + (privileges.seccomp ? ", system calls filtered" : ", every system call"),
      ])
    }
    if status.namespacesNotEntered > 0 {
      rows.append([
        "not entered", "\(status.namespacesNotEntered) network namespaces: forbidden connections there are not reset",
      ])
    }
    if let former = status.formerLayouts {
      rows.append(["programs", "still layout \(Agent.text(former))'s, until the files are in force"])
    }
    if let failure = status.failure { rows.append(["failure", failure]) }
    let lost = status.losses.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map {
      "\($0.value) \($0.key)"
    }
    for (number, what) in status.missing.enumerated() { rows.append([number == 0 ? "kernel lacks" : "", what]) }
    let faults = status.faults.map { "\($0.count) \($0.outcome): \($0.reason)" }
    rows.append(["faults", faults.isEmpty ? "none" : faults.joined(separator: ", ")])
    rows.append(["lost", lost.isEmpty ? "nothing" : lost.joined(separator: ", ")])
    rows.append(["verify", verify(status.verify)])
    var text = Table(rows).text()
    func section(_ title: String, _ rows: [[String]], _ header: [String]) {
      if rows.isEmpty { return }
      text += "\n\(title)\n" + Table(rows, header: header).text(indent: "  ", coloured: coloured)
    }
    if !status.problems.isEmpty {
      text += "\nproblems\n" + status.problems.map { "  \(Log.oneLine($0.description))\n" }.joined()
    }
    section(
      "not as it should be",
      status.gaps.map { [$0.program, $0.runs ? "runs" : "missing", Log.oneLine($0.why)] }, ["PROGRAM", "STATE", "WHY"])
    section(
      "proxies",
      status.proxies.map {
        [$0.name, $0.acknowledgement.rawValue, $0.generation ?? "-", or($0.listen), $0.cgroup]
      },
      ["NAME", "STATE", "GENERATION", "LISTENS", "CGROUP"])
    section("subtrees", status.subtrees.map(row), subtreeHeader)
    section(
      "programs, as the kernel reports them",
      status.programs.map {
        [$0.name, $0.hook, "\($0.programId)", "\($0.linkId)", $0.cgroupId == 0 ? "-" : "\($0.cgroupId)"]
      },
      ["NAME", "HOOK", "PROGRAM", "LINK", "CGROUP"])
    section(
      "maps", status.maps.map { [$0.name, "\($0.entries)", "\($0.maxEntries)"] }, ["NAME", "ENTRIES", "OF"])
    section(
      "who has most of what all share",
      status.usage.map {
        let share = $0.share > 0 ? "\(Int(($0.share * 100).rounded(.up)))%" : "-"
        return [$0.map, $0.workload, "\($0.entries)", share, "\($0.lost)"]
      }, ["MAP", "WORKLOAD", "ENTRIES", "SHARE", "LOST"])
    section(
      "last refusals", status.refusals.suffix(10).map(FlowsText.row), FlowsText.header)
    return text
  }
}
