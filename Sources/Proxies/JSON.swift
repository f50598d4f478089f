/// A JSON text to be written: members stay in the order they were given, so the same input is the same text.
/// Only a writer; nothing here is read back.
enum JSON: Sendable {
  case object([(String, JSON)])
  case array([JSON])
  case string(String)
  case number(Int)
  case bool(Bool)

  /// Without any white space.
  var compact: String {
    var text = ""
    write(to: &text, indent: nil)
    return text
  }

  /// One member or element a line, indented by two spaces, with a final newline.
  var pretty: String {
    var text = ""
    write(to: &text, indent: 0)
    return text + "\n"
  }

  /// `indent` is the depth of this value; nil writes it on one line.
  private func write(to text: inout String, indent: Int?) {
    switch self {
    case .object(let members):
      JSON.enclose("{", "}", count: members.count, indent: indent, in: &text) { index, text in
        JSON.quote(members[index].0, in: &text)
        text += indent == nil ? ":" : ": "
        members[index].1.write(to: &text, indent: indent.map { $0 + 1 })
      }
    case .array(let elements):
      JSON.enclose("[", "]", count: elements.count, indent: indent, in: &text) { index, text in
        elements[index].write(to: &text, indent: indent.map { $0 + 1 })
      }
    case .string(let string): JSON.quote(string, in: &text)
    case .number(let number): text += String(number)
    case .bool(let bool): text += bool ? "true" : "false"
    }
  }

  private static func enclose(
    _ open: String, _ close: String, count: Int, indent: Int?, in text: inout String,
    each: (Int, inout String) -> Void
  ) {
    func line(_ depth: Int, in text: inout String) {
      text += "\n" + String(repeating: "  ", count: depth)
    }
    text += open
    for index in 0..<count {
      if index > 0 { text += "," }
      if let indent { line(indent + 1, in: &text) }
      each(index, &text)
    }
    if let indent, count > 0 { line(indent, in: &text) }
    text += close
  }

  /// RFC 8259 section 7: quotation mark, backslash and U+0000 to U+001F must be escaped, nothing else has to
  /// be.
  private static func quote(_ string: String, in text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{0}"..<"\u{20}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

extension JSON: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral
{
  init(dictionaryLiteral members: (String, JSON)...) { self = .object(members) }
  init(arrayLiteral elements: JSON...) { self = .array(elements) }
  init(stringLiteral string: String) { self = .string(string) }
  init(integerLiteral number: Int) { self = .number(number) }
  init(booleanLiteral bool: Bool) { self = .bool(bool) }
}
