import Policy

extension Command {
  public static let run = Command(
    name: "run", summary: "run a command as a workload, or as a proxy, in a cgroup of its own",
    usage: "--name NAMESPACE/NAME [options] -- COMMAND... | --proxy NAMESPACE/NAME -- COMMAND...",
    details: """
      Makes the cgroup, tells the agent, waits until the workload is judged, and only then starts the command.
      Ends with the command and with its exit status, 128 and the signal's number if one ended it. Needs a
      running agent.
      """,
    options: [
      .value("--name", value: "NAMESPACE/NAME", "the workload's name; without a namespace it is in default"),
      .value("--label", value: "K=V", repeatable: true, "a label"),
      .value("--service-account", value: "NAME", "the service account (default)"),
      .value(
        "--port", value: "NAME=PORT/PROTOCOL", repeatable: true,
        "a named port (protocol TCP if none is given)"),
      .value("--proxy", value: "NAMESPACE/NAME", "run in the cgroup of this Proxy of the files"),
      runDirectory,
    ]
  ) { arguments throws(Failure) in
    if let extra = arguments.positionals.first {
      throw Failure("\(extra): stands before --; write weir run ... -- COMMAND")
    }
    guard let command = arguments.rest, !command.isEmpty else {
      throw Failure("no command given; write it after --")
    }
    let client = AgentClient(arguments)
    if let text = arguments.last("--proxy") {
      for option in ["--name", "--label", "--service-account", "--port"] where arguments.has(option) {
        throw Failure("\(option): does not go with --proxy, whose object is in the files")
      }
      return try CgroupRun.proxy(text, client).run(command)
    }
    guard let name = arguments.last("--name") else { throw Failure("no --name given; write NAMESPACE/NAME") }
    return try CgroupRun.workload(try WorkloadFile(name, arguments), client).run(command)
  }
}

/// The Workload object that `weir run` writes for the agent.
struct WorkloadFile {
  var name: Name
  private var labels: [(String, String)] = []
  private var serviceAccount: String?
  private var ports: [NamedPort] = []

  init(_ text: String, _ arguments: Arguments) throws(Failure) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count <= 2, parts.allSatisfy(WorkloadFile.isName),
      parts.count == 1 || parts[0].utf8.count <= 63,
      parts.count == 1 || !parts[0].contains(".")
    else {
      throw Failure(
        "--name \(text): write NAMESPACE/NAME in lower case letters, digits and -, as in shop/web")
    }
    name = parts.count == 2 ? Name(parts[0], parts[1]) : Name("default", parts[0])
    for label in arguments.all("--label") {
      guard let equals = label.firstIndex(of: "="), equals != label.startIndex else {
        throw Failure("--label \(label): write KEY=VALUE")
      }
      let key = String(label[..<equals])
      if labels.contains(where: { $0.0 == key }) { throw Failure("--label \(label): \(key) stands twice") }
      labels.append((key, String(label[label.index(after: equals)...])))
    }
    serviceAccount = arguments.last("--service-account")
    for port in arguments.all("--port") { ports.append(try WorkloadFile.port(port)) }
  }

  var fileName: String { "\(name.namespace)_\(name.name).yaml" }

  /// `mark` is its first line. Every value is in quotes: none can be anything but a string.
  func text(mark: String) -> String {
    var text = mark + "\napiVersion: weir.dev/v1alpha1\nkind: Workload\nmetadata:\n"
    text += "  name: \(JSON.text(name.name))\n  namespace: \(JSON.text(name.namespace))\n"
    if !labels.isEmpty { text += "  labels:\n" }
    for (key, value) in labels { text += "    \(JSON.text(key)): \(JSON.text(value))\n" }
    text += "spec:\n  cgroup: \(JSON.text(name.description))\n"
    if let serviceAccount { text += "  serviceAccountName: \(JSON.text(serviceAccount))\n" }
    if !ports.isEmpty { text += "  ports:\n" }
    for port in ports {
      text +=
        "  - name: \(JSON.text(port.name))\n    port: \(port.port)\n    protocol: \(port.protocol.rawValue)\n"
    }
    return text
  }

  /// RFC 1123 as Kubernetes has it for names: lower case letters, digits, `-` and `.`, neither first nor
  /// last.
  private static func isName(_ text: String) -> Bool {
    func isInner(_ byte: UInt8) -> Bool {
      isOuter(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }
    func isOuter(_ byte: UInt8) -> Bool {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
    guard let first = text.utf8.first, let last = text.utf8.last else { return false }
    return text.utf8.count <= 200 && isOuter(first) && isOuter(last) && text.utf8.allSatisfy(isInner)
  }

  private static func port(_ text: String) throws(Failure) -> NamedPort {
    let wrong = Failure("--port \(text): write NAME=PORT/PROTOCOL, as in http=8080/TCP")
    guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { throw wrong }
    guard let (transport, number) = try? PolicyFiles.port(String(text[text.index(after: equals)...])),
      transport != .icmp
    else { throw wrong }
    return NamedPort(name: String(text[..<equals]), port: number, protocol: transport)
  }
}
