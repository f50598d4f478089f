/// Where something stands in the files a user gave: path as given, line and column counted from 1.
public struct Place: Hashable, Sendable, Codable {
  public var file: String
  public var line: Int
  public var column: Int

  public init(file: String, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }
}

/// One thing wrong with one file: what, where, and what was expected. The JSON of `weir check` has these keys.
public struct Problem: Error, Hashable, Sendable, Codable, CustomStringConvertible {
  public var file: String
  /// 0 where the file as a whole is meant (it cannot be opened, is a FIFO, is too large).
  public var line: Int
  public var column: Int
  /// The path in the object, `spec.ingress[0].ports[1].port`; empty where the text itself is meant.
  public var field: String
  public var message: String

  public init(file: String, line: Int = 0, column: Int = 0, field: String = "", message: String) {
    self.file = file
    self.line = line
    self.column = column
    self.field = field
    self.message = message
  }

  /// `file:line:column: field: message`, as compilers write it.
  public var description: String {
    let position = line > 0 ? "\(file):\(line):\(column)" : file
    return field.isEmpty ? "\(position): \(message)" : "\(position): \(field): \(message)"
  }
}
