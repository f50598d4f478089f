import Policy

extension Command {
  public static let verify = Command(
    name: "verify", summary: "try flows, and compare what happens with what the files say",
    usage: "[--all] [--samples N] [--seed N] [-o json] [--run-dir DIR]",
    details: """
      The agent's canary opens real connections in a network namespace of its own, each time as two of this node's
      workloads, and the outcome is compared with what the policies say. At most one flow of each outcome for each two
      classes of workloads is tried, at ports that the policies name and at one that none does.
      Exit status 1 when something is different, or a program is missing.
      """,
    options: [
      .flag("--all", help: "every two classes at every port; may take minutes"),
      .value("--samples", value: "N", "how many flows (48)"),
      .value("--seed", value: "N", "the choice of another run again"), format, runDirectory,
    ]
  ) { arguments throws(Failure) in
    let asJSON = try arguments.wantsJSON()
    var query: [String] = []
    if arguments.has("--all") { query.append("all=1") }
    for name in ["samples", "seed"] {
      guard let text = arguments.last("--\(name)") else { continue }
      guard let number = UInt64(text), name == "seed" || (1...100_000).contains(number) else {
        throw Failure("--\(name) \(text): write a number above 0")
      }
      query.append("\(name)=\(number)")
    }
    let target = "/verify" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
    let answer = try VerifyAnswer(AgentClient(arguments), target)
    if let failure = answer.summary.failure { throw Failure("not verified: \(failure)") }
    Output.standard.write(
      asJSON ? JSON.text(answer, pretty: true) + "\n" : answer.text(coloured: Output.standard.isColoured))
    return answer.isFine ? 0 : 1
  }
}

/// What `weir verify` prints.
struct VerifyAnswer: Encodable {
  var summary: VerifySummary
  var findings: [ProbeResult] = []

  var isFine: Bool { findings.isEmpty && summary.different + summary.failed == 0 && summary.gaps.isEmpty }

  init(_ client: AgentClient, _ target: String) throws(Failure) {
    var lines = LineSplitter()
    var summary: VerifySummary?
    var status: Int?
    var text: [UInt8] = []
    do throws(SystemError) {
      let connection = try UnixConnection(client.socket, method: "POST", target: target, milliseconds: 10_000)
      while let piece = try connection.next(milliseconds: nil) {
        text += piece
        for line in lines.take(piece) {
          if summary == nil {
            summary = JSON.decode(VerifySummary.self, Array(line.utf8))
          } else if let finding = JSON.decode(ProbeResult.self, Array(line.utf8)) {
            findings.append(finding)
          }
        }
      }
      status = connection.status
    } catch {
      throw client.unreachable(error)
    }
    if status != 200 {
      throw Failure("not verified: \(Log.oneLine(String(decoding: text, as: UTF8.self).trimmed))")
    }
    guard let summary else {
      throw Failure("\(client.socket): \(target) cannot be understood; is the agent another version?")
    }
    self.summary = summary
  }

  func text(coloured: Bool) -> String {
    var text = ""
    if !summary.gaps.isEmpty {
      text += summary.gaps.map { "program \($0.program) \(Log.oneLine($0.why))\n" }.joined() + "\n"
    }
    if !findings.isEmpty {
      let rows = findings.map { finding in
        [
          finding.from, finding.to, finding.port, finding.address, finding.intended, finding.actual,
          (finding.rule ?? "no policy") + (finding.place.map { " (\($0))" } ?? ""),
        ]
      }
      let header = ["FROM", "TO", "PORT", "AT", "INTENDED", "ACTUAL", "BY"]
      text += Table(rows, header: header).text(coloured: coloured)
      let more = summary.different + summary.failed - findings.count
      text += (more > 0 ? "and \(more) more\n" : "") + "\n"
    }
    var parts = ["\(summary.asIntended) as intended"]
    if summary.different > 0 { parts.append("\(summary.different) different") }
    if summary.failed > 0 { parts.append("\(summary.failed) could not be tried") }
    let again = isFine ? "" : " (--seed \(summary.seed))"
    return text + "verified \(summary.probes) flows of generation \(summary.generation): "
      + parts.joined(separator: ", ") + again + "\n"
  }
}

extension String {
  /// Without blanks and newlines at its end.
  fileprivate var trimmed: String {
    var text = self
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return text
  }
}
