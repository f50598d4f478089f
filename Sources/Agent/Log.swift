import Glibc

/// One line an event on standard error, in logfmt: `time=... level=info event=generation-in-force
/// generation=3`.
struct Log {
  enum Level: String { case info, warn, error }

  typealias Fields = KeyValuePairs<String, any CustomStringConvertible>

  var descriptor: Int32 = STDERR_FILENO
  private let lost = Lost()

  /// Lines that found no room since the last one that did.
  private final class Lost { var count = 0 }

  func info(_ event: String, _ fields: Fields = [:]) { write(.info, event, fields) }
  func warn(_ event: String, _ fields: Fields = [:]) { write(.warn, event, fields) }
  func error(_ event: String, _ fields: Fields = [:]) { write(.error, event, fields) }

  private func write(_ level: Level, _ event: String, _ fields: Fields) {
    let time = Clock.timestamp(Clock.wall())
    guard hasRoom else {
      lost.count += 1
      return
    }
    if lost.count > 0 {
      put(Log.line(time: time, level: .warn, event: "log-lines-lost", fields: ["count": lost.count]))
      lost.count = 0
      guard hasRoom else {
        lost.count = 1
        return
      }
    }
    put(Log.line(time: time, level: level, event: event, fields: fields))
  }

  /// Whether who reads the log keeps up. An agent that waited for a full pipe would enforce nothing new. Where poll() says
  /// that a pipe is writable there is room for PIPE_BUF bytes: pipe(7).
  private var hasRoom: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&entry, 1, 0) != 0
  }

  private func put(_ text: String) {
    // One write per line, so that lines of several processes do not mix. A log that cannot be written is no
    // reason to stop enforcing.
    var line = String(decoding: text.utf8.prefix(Int(PIPE_BUF) - 1), as: UTF8.self) + "\n"
    _ = line.withUTF8 { Glibc.write(descriptor, $0.baseAddress, min($0.count, Int(PIPE_BUF))) }
  }

  static func line(time: String, level: Level, event: String, fields: Fields) -> String {
    var line = "time=\(time) level=\(level.rawValue) event=\(quoted(event))"
    for (key, value) in fields { line += " \(key)=\(quoted(value.description))" }
    return line
  }

  /// As it is where that is unmistakable, else in quotes with escapes: nothing from a file or a peer can end
  /// the line or move the cursor.
  static func quoted(_ value: String) -> String {
    let plain = value.unicodeScalars.allSatisfy {
      $0.value > 0x20 && $0.value < 0x7f && $0 != "\"" && $0 != "=" && $0 != "\\"
    }
    if plain && !value.isEmpty { return value }
    let escapedQuotes = value.unicodeScalars.reduce(into: "") { text, scalar in
      if scalar == "\"" || scalar == "\\" { text += "\\" }
      text.unicodeScalars.append(scalar)
    }
    return "\"" + oneLine(escapedQuotes) + "\""
  }

  /// Control characters as escapes, everything else as it is.
  static func oneLine(_ value: String) -> String {
    var text = ""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where isControl(scalar): text += "\\u{\(String(scalar.value, radix: 16))}"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  /// C0, DEL, C1, the line separators and the marks that turn the direction of writing.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7f..<0xa0, 0x2028...0x202e, 0x2066...0x2069, 0x200e, 0x200f: true
    default: false
    }
  }
}
