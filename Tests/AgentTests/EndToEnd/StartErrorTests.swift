import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// A start that fails: what is given, the whole of what is said, and what runs it.
  private struct WrongStart {
    var name: String
    var arguments: [String]
    var says: String
    var around: [String] = []
  }

  private func wrongStarts(_ node: Node, mount: String) -> [WrongStart] {
    func with(_ option: String, _ value: String?) -> [String] {
      var arguments = node.arguments
      guard let index = arguments.firstIndex(of: option) else { return arguments }
      arguments.replaceSubrange(index...index + 1, with: value.map { [option, $0] } ?? [])
      return arguments
    }
    let root = node.root
    let files = node.lab.files
    return [
      WrongStart(
        name: "an option that is none", arguments: node.arguments + ["--cgroup-rot", root],
        says: "--cgroup-rot: no such option; did you mean --cgroup-root?"),
      WrongStart(
        name: "an option without its value", arguments: node.arguments + ["--bpffs"],
        says: "--bpffs: needs a value, --bpffs DIR"),
      WrongStart(
        name: "a policy directory that is missing", arguments: with("--policies", "\(files)/none"),
        says: "open policies \(files)/none: ENOENT; name a directory that is there with --policies"),
      WrongStart(
        name: "a policy directory that cannot be read", arguments: with("--policies", "\(files)/closed"),
        says: "open policies \(files)/closed: EACCES; name a directory that is there with --policies",
        around: ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]),
      WrongStart(
        name: "a cgroup root that is missing", arguments: with("--cgroup-root", "\(root)/none"),
        says: "cgroup root \(root)/none: is not there; make it (mkdir \(mount)/NAME) or name another with "
          + "--cgroup-root"),
      WrongStart(
        name: "the cgroup mount as the root", arguments: with("--cgroup-root", mount),
        says: "cgroup root \(mount): is not a directory below the cgroup2 mount \(mount); make one there"),
      WrongStart(
        name: "a cgroup root that is none", arguments: with("--cgroup-root", files),
        says: "cgroup root \(files): is not a directory below the cgroup2 mount \(mount); make one there"),
      WrongStart(
        name: "pins outside bpffs", arguments: with("--bpffs", "\(files)/pins"),
        says:
          "bpffs \(files)/pins: is not on a bpf file system; mount -t bpf bpf /sys/fs/bpf, or name another "
          + "with --bpffs"),
      WrongStart(
        name: "pins that another user can take away", arguments: with("--bpffs", "\(node.lab.directory)-other"),
        says: "bpffs \(node.lab.directory)-other: belongs to uid 65534; remove it, or name another with --bpffs"),
      WrongStart(
        name: "a run directory that others can write to", arguments: with("--run-dir", "\(files)/open"),
        says: "run directory \(files)/open: others can write to it; chmod go-w it, or name another with --run-dir"),
      WrongStart(
        name: "the same with a sticky bit", arguments: with("--run-dir", "\(files)/sticky"),
        says: "run directory \(files)/sticky: others can write to it; chmod go-w it, or name another with --run-dir"),
      WrongStart(
        name: "another user's directory of workloads", arguments: with("--run-dir", "\(files)/taken"),
        says: "run directory \(files)/taken/workloads: belongs to uid 65534; remove it, or name another with --run-dir"),
      WrongStart(
        name: "no privileges", arguments: node.arguments,
        says: "load programs: EPERM: CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are missing; run as root, or with CAP_BPF, "
          + "CAP_NET_ADMIN and CAP_PERFMON",
        around: ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]),
    ]
      + ["bpf", "net_admin", "perfmon"].map { name in
        let others = ["bpf", "net_admin", "perfmon"].filter { $0 != name }
        return WrongStart(
          name: "without \(name)", arguments: node.arguments,
          says: "load programs: EPERM: CAP_\(name.uppercased()) is missing; run as root, or with CAP_BPF, CAP_NET_ADMIN "
            + "and CAP_PERFMON",
          around: withOnly(others[0], others[1]))
      }
  }

  private func expectRefused(_ node: Node, _ wrong: WrongStart) throws {
    let answer = try node.lab.run(in: "node", wrong.around + [Node.binary] + wrong.arguments)
    #expect(answer.status == 2, "\(wrong.name)")
    #expect(answer.stderr == "weir agent: \(wrong.says)\n", "\(wrong.name)")
    #expect(answer.stdout.isEmpty, "\(wrong.name)")
  }

  @Test func `a wrong start is one line, status 2, and nothing attached or pinned`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web"))
      let mount = try Cgroup.mount()
      try Files.makeDirectory("\(node.lab.files)/closed", mode: 0)
      try Files.makeDirectory("\(node.lab.files)/open", mode: 0o755)
      chmod("\(node.lab.files)/open", 0o777)
      try Files.makeDirectory("\(node.lab.files)/sticky")
      chmod("\(node.lab.files)/sticky", 0o1777)
      try Files.makeDirectory("\(node.lab.files)/taken/workloads")
      chown("\(node.lab.files)/taken/workloads", 65534, 65534)
      let other = "\(node.lab.directory)-other"
      try Files.makeDirectory(other)
      defer { rmdir(other) }
      chown(other, 65534, 65534)
      for wrong in wrongStarts(node, mount: mount) {
        try expectRefused(node, wrong)
        #expect(access(node.lab.directory, F_OK) != 0, "\(wrong.name): something is pinned")
        #expect(try Lab.attached(node.root) == 0, "\(wrong.name): something is attached")
        #expect(!Files.exists("\(node.runDirectory)/weir.sock"), "\(wrong.name): a socket is left")
      }
    }
  }

  @Test func `a port in use keeps the agent from starting, and nothing is attached`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web"))
      try node.lab.server(in: "node", at: "127.0.0.1", 9464)
      try expectRefused(
        node,
        WrongStart(
          name: "a port in use", arguments: node.arguments,
          says:
            "bind metrics address 127.0.0.1:9464: EADDRINUSE; another program listens there; name "
            + "another with --metrics"))
      #expect(access(node.lab.directory, F_OK) != 0)
      #expect(try Lab.attached(node.root) == 0)
      #expect(!Files.exists("\(node.runDirectory)/weir.sock"))
    }
  }

  @Test func `a second agent is refused and the first goes on`() throws {
    try Node.use { node in
      try node.write("all.yaml", node.workload("web") + PolicyText.egress("web", ports: [8081]))
      try node.server("web", 8082)
      let first = try node.start()
      let attached = try Lab.attached(node.root)
      var other = node.arguments
      func give(_ option: String, _ value: String) {
        if let index = other.firstIndex(of: option) { other[index + 1] = value }
      }
      let same = try node.lab.run(in: "node", [Node.binary] + other)
      #expect(same.status == 2)
      #expect(same.stderr.contains("another agent answers there; stop it first"), "\(same.stderr)")
      give("--metrics", "127.0.0.1:9465")
      let sameRunDirectory = try node.lab.run(in: "node", [Node.binary] + other)
      #expect(sameRunDirectory.status == 2)
      #expect(sameRunDirectory.stderr.split(separator: "\n").count == 1, "\(sameRunDirectory.stderr)")
      give("--run-dir", node.lab.files + "/other")
      let samePins = try node.lab.run(in: "node", [Node.binary] + other)
      #expect(samePins.status == 2)
      #expect(samePins.stderr.split(separator: "\n").count == 1, "\(samePins.stderr)")
      #expect(samePins.stderr.hasPrefix("weir agent: "), "\(samePins.stderr)")
      #expect(samePins.stderr.contains(node.lab.directory), "\(samePins.stderr)")
      print(sameRunDirectory.stderr + samePins.stderr)
      let detach = try node.weir("detach", "--bpffs", node.lab.directory)
      #expect(detach.status == 2)
      #expect(
        detach.stderr == "weir detach: \(node.lab.directory): an agent is running; stop it first\n")

      let status = try node.status()
      #expect(status.pid == first.pid && status.inForce)
      #expect(status.programs.map(\.linkId) == first.programs.map(\.linkId))
      #expect(status.programs.map(\.programId) == first.programs.map(\.programId))
      #expect(try Lab.attached(node.root) == attached)
      #expect(try node.client("web").ask("connect 127.0.0.1 8082") == "ok", "a workload reaches itself")
    }
  }
}
