import Policy

extension Command {
  public static let flows = Command(
    name: "flows", summary: "follow verdicts as they are made",
    usage: "[-o json] [--count N] [--run-dir DIR]",
    details:
      "One line for each new flow: who, whom and why; with -o json one object a line. Ends with the agent.",
    options: [format, .value("--count", value: "N", "end after so many verdicts"), runDirectory]
  ) { arguments throws(Failure) in
    let asJSON = try arguments.wantsJSON()
    var left = Int.max
    if let count = arguments.last("--count") {
      guard let number = Int(count), number > 0 else {
        throw Failure("--count \(count): write a number above 0")
      }
      left = number
    }
    let client = AgentClient(arguments)
    do throws(SystemError) {
      let connection = try UnixConnection(client.socket, method: "GET", target: "/flows", milliseconds: 5000)
      var lines = LineSplitter()
      var isStarted = false
      while let bytes = try connection.next(milliseconds: nil) {
        // The head of the answer: from here on nothing is missed, and a caller may go on.
        if !isStarted && !asJSON { Output.standard.write(FlowsText.headerLine) }
        isStarted = true
        for line in lines.take(bytes) {
          let isVerdict = FlowsText.isVerdict(line)
          guard Output.standard.write(asJSON ? line + "\n" : FlowsText.line(line)) else { return 0 }
          if isVerdict { left -= 1 }
          if left == 0 { return 0 }
        }
      }
    } catch {
      throw client.unreachable(error)
    }
    return 0
  }
}

enum FlowsText {
  static let header = ["TIME", "VERDICT", "LAYER", "REASON", "FLOW", "RULE"]
  private static let widths = [24, 7, 7, 15, 40]
  /// A stream has no last row to measure, so its columns have fixed widths.
  static let headerLine = padded(header)

  struct Dropped: Codable { var dropped: Int }

  static func isVerdict(_ line: String) -> Bool { JSON.decode(Dropped.self, Array(line.utf8)) == nil }

  static func line(_ json: String) -> String {
    if let record = JSON.decode(VerdictRecord.self, Array(json.utf8)) { return padded(row(record)) }
    if let gap = JSON.decode(Dropped.self, Array(json.utf8)) {
      return "... \(gap.dropped) verdicts dropped, read faster\n"
    }
    return json + "\n"
  }

  static func row(_ record: VerdictRecord) -> [String] {
    func party(_ name: String, _ address: String?) -> String { name == "outside" ? address ?? name : name }
    let flow =
      "\(party(record.source, record.sourceAddress)) -> "
      + "\(party(record.destination, record.destinationAddress)) \(record.port)/\(record.protocol)"
    let rule = record.rule.map { $0 + (record.place.map { " (\($0))" } ?? "") } ?? "-"
    return [record.time, record.audit ? "audit" : record.verdict, record.layer, record.reason, flow, rule]
  }

  private static func padded(_ cells: [String]) -> String {
    var line = ""
    for (index, cell) in cells.enumerated() {
      let width = index < widths.count ? widths[index] : 0
      line +=
        cell + (index == cells.count - 1 ? "" : String(repeating: " ", count: max(0, width - cell.count) + 2))
    }
    return line + "\n"
  }
}

/// Lines out of pieces.
struct LineSplitter {
  private var rest: [UInt8] = []

  mutating func take(_ bytes: [UInt8]) -> [String] {
    rest += bytes
    var lines = rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let last = lines.removeLast()
    defer { rest = Array(last) }
    return lines.filter { !$0.isEmpty }.map { String(decoding: $0, as: UTF8.self) }
  }
}
