import Glibc

/// Standard output and error. A reader that went away is no error: what is left is dropped.
public struct Output: Sendable {
  public static let standard = Output(descriptor: STDOUT_FILENO)
  public static let error = Output(descriptor: STDERR_FILENO)

  var descriptor: Int32

  /// False when nobody reads any more.
  @discardableResult
  public func write(_ text: String) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&entry, 1, -1)
      } else if errno != EINTR {
        return false
      }
    }
    return true
  }

  /// Colour is for people at a terminal who did not ask for none (no-color.org).
  var isColoured: Bool { isatty(descriptor) == 1 && getenv("NO_COLOR") == nil }
}

/// Rows of cells in aligned columns.
struct Table {
  private var rows: [[String]]
  private let isHeaded: Bool

  init(_ rows: [[String]], header: [String]? = nil) {
    self.rows = (header.map { [$0] } ?? []) + rows
    isHeaded = header != nil
  }

  func text(indent: String = "", coloured: Bool = false) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    var text = ""
    for (number, row) in rows.enumerated() {
      var line = indent
      for (column, cell) in row.enumerated() {
        let isLast = column == row.count - 1
        let padding = isLast ? "" : String(repeating: " ", count: widths[column] - cell.count + 2)
        line += (coloured ? Table.colour(cell, isHeader: isHeaded && number == 0) : cell) + padding
      }
      while line.last == " " { line.removeLast() }
      text += line + "\n"
    }
    return text
  }

  /// Red for what is refused or wrong, green for what passes, yellow for what is in between.
  static func colour(_ cell: String, isHeader: Bool = false) -> String {
    let code: String
    switch cell {
    case _ where isHeader: code = "1"
    case "allowed", "acknowledged", "yes": code = "32"
    case "proxied", "starting", "behind": code = "33"
    case "denied", "denied-egress", "denied-ingress", "denied-both", "not-running", "refused", "no":
      code = "31"
    default: return cell
    }
    return "\u{1b}[\(code)m\(cell)\u{1b}[0m"
  }
}
