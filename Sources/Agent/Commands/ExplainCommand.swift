import Policy

extension Command {
  public static let explain = Command(
    name: "explain", summary: "say whether a flow is allowed, and by what",
    usage: "PATH... --from E --to E --port 80/TCP [--method GET --path /x --host h --header k=v] [--joined]",
    details: """
      An endpoint E is NAMESPACE/NAME, node/NAME or ip:ADDRESS. Reads files alone: no agent, no privileges.
      Under each layer stand the rules that matched and did not decide (lost), and the policies that select the
      endpoint and have no rule that matched (no match). Exit status 1 when the flow is denied.
      By default every kind of policy that has an opinion must allow.
      """,
    options: [
      .value("--from", value: "E", "who connects"), .value("--to", value: "E", "to whom"),
      .value(
        "--port", value: "PORT/PROTOCOL", "destination port or ICMP type; without a protocol TCP"),
      .value("--method", value: "METHOD", "of an HTTP request (GET)"),
      .value("--path", value: "PATH", "of an HTTP request (/)"),
      .value("--host", value: "HOST", "of an HTTP request"),
      .value("--header", value: "K=V", repeatable: true, "of an HTTP request"), PolicyFiles.joined,
      format,
    ]
  ) { arguments throws(Failure) in
    let asJSON = try arguments.wantsJSON()
    guard let from = arguments.last("--from"), let to = arguments.last("--to"),
      let port = arguments.last("--port")
    else { throw Failure("--from, --to and --port are all needed; see weir explain --help") }
    let (transport, number) = try PolicyFiles.port(port)
    let request = try ExplainText.request(arguments)
    let set = try PolicyFiles.readValid(arguments)
    var flow = Flow(
      from: try PolicyFiles.party(from, in: set, option: "--from"),
      to: try PolicyFiles.party(to, in: set, option: "--to"), protocol: transport, port: number)
    // An endpoint that is named by an address uses that one.
    if from.hasPrefix("ip:") { flow.fromAddress = AddressText.parse(String(from.dropFirst(3))) }
    if to.hasPrefix("ip:") { flow.toAddress = AddressText.parse(String(to.dropFirst(3))) }
    let explanation = Evaluator(set).explain(flow, request: request)
    Output.standard.write(
      asJSON
        ? JSON.text(explanation, pretty: true) + "\n"
        : ExplainText.text(explanation, coloured: Output.standard.isColoured))
    return explanation.verdict == Verdict.allowed.rawValue ? 0 : 1
  }
}

enum ExplainText {
  /// nil where nothing about a request was asked.
  static func request(_ arguments: Arguments) throws(Failure) -> Request? {
    var headers: [String: String] = [:]
    for header in arguments.all("--header") {
      guard let equals = header.firstIndex(of: "="), equals != header.startIndex else {
        throw Failure("--header \(header): write KEY=VALUE")
      }
      headers[header[..<equals].lowercased()] = String(header[header.index(after: equals)...])
    }
    let asked = ["--method", "--path", "--host", "--header"].contains { arguments.has($0) }
    if !asked { return nil }
    let path = arguments.last("--path") ?? "/"
    if !path.hasPrefix("/") { throw Failure("--path \(path): a request's path starts with /") }
    return Request(
      method: arguments.last("--method") ?? "GET", path: path,
      host: arguments.last("--host") ?? headers["host"] ?? "", headers: headers)
  }

  /// One line per layer and those that lost in it, then the verdict.
  static func text(_ explanation: Explanation, coloured: Bool) -> String {
    var rows: [[String]] = []
    for layer in explanation.layers {
      rows.append([layer.layer + (layer.side.map { " \($0)" } ?? ""), layer.verdict, layer.reason, who(layer)])
      rows += losers(layer)
    }
    for audit in explanation.audit ?? [] {
      let would = audit.action == "AUDIT" ? "reported" : "would be \(audit.verdict)"
      rows.append(["audit", would, audit.action, name(audit.policy)])
    }
    rows.append(["verdict", explanation.verdict])
    var text = Table(rows).text(coloured: coloured)
    if explanation.enforced == false {
      text += "not enforced: \(explanation.why ?? "no proxy takes the flow")\n"
    }
    return text
  }

  private static func who(_ layer: Explanation.Layer) -> String {
    if let policy = layer.policy { return name(policy) }
    return Reason.allCases.first { $0.word == layer.reason }?.sentence ?? ""
  }

  /// At most eight, so that the answer stays on the screen; `-o json` has all.
  private static func losers(_ layer: Explanation.Layer) -> [[String]] {
    let shown = layer.considered.prefix(8)
    let rest = layer.considered.count - shown.count
    return shown.map { ["", "", $0.rule.isEmpty ? "no match" : "lost", name($0)] }
      + (rest > 0 ? [["", "", "", "and \(rest) more; -o json names them"]] : [])
  }

  private static func name(_ policy: Explanation.Policy) -> String {
    let name = policy.namespace.isEmpty ? policy.name : "\(policy.namespace)/\(policy.name)"
    let rule = policy.rule.isEmpty ? "" : " \(policy.rule)"
    return "\(policy.kind) \(name)\(rule) (\(policy.file):\(policy.line))"
  }
}
