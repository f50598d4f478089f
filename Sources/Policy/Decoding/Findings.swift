import Glibc

/// The way from a document's root to a value: `spec.ingress[0].ports[1].port`,
/// `metadata.labels[example.com/app]`.
struct FieldPath: CustomStringConvertible {
  enum Step {
    case key(String)
    case index(Int)
  }

  var steps: [Step] = []

  var description: String {
    var text = ""
    for step in steps {
      switch step {
      case .index(let index): text += "[\(index)]"
      case .key(let key):
        if key.isEmpty || key.utf8.count > 64 || !key.utf8.allSatisfy(FieldPath.isPlain) {
          text += "[\(shown(key))]"
        } else {
          text += text.isEmpty ? key : ".\(key)"
        }
      }
    }
    return text
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}

/// The problems of one file, as many as a person can use: a file with a million of them must not cost a
/// million lines.
final class Findings {
  static let limit = 1000

  let file: String
  private let bytes: [UInt8]
  private(set) var problems: [Problem] = []

  init(file: String, bytes: [UInt8]) {
    self.file = file
    self.bytes = bytes
  }

  /// What more is found is not listed: there is no use in looking on.
  var isFull: Bool { problems.count > Findings.limit }

  func problem(line: Int, column: Int, _ path: FieldPath, _ message: String) -> Problem {
    Problem(file: file, line: line, column: column, field: path.description, message: message)
  }

  func add(line: Int, column: Int, _ path: FieldPath, _ message: @autoclosure () -> String) {
    guard problems.count <= Findings.limit else { return }
    guard problems.count < Findings.limit else {
      add(Problem(file: file, message: "more than \(Findings.limit) problems; the rest is not listed"))
      return
    }
    add(problem(line: line, column: column, path, message()))
  }

  func add(_ problem: Problem) { problems.append(problem) }

  /// The place of a byte, for what is found before lines are counted: both from 1, the column in characters.
  func lineAndColumn(ofByte offset: Int) -> (line: Int, column: Int) {
    var line = 1
    var lineStart = 0
    while let end = bytes.offset(of: UInt8(ascii: "\n"), from: lineStart), end < offset {
      line += 1
      lineStart = end + 1
    }
    // Continuation bytes are no characters of their own.
    let column = bytes[lineStart..<min(offset, bytes.count)].count { $0 & 0xc0 != 0x80 } + 1
    return (line, column)
  }
}

extension [UInt8] {
  /// The first place of a byte at or after `start`.
  func offset(of byte: UInt8, from start: Int) -> Int? {
    withUnsafeBytes { buffer in
      guard start < buffer.count, let base = buffer.baseAddress,
        let found = memchr(base + start, Int32(byte), buffer.count - start)
      else { return nil }
      return UnsafeRawPointer(found) - base
    }
  }
}
