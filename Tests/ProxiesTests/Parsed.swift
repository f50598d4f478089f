import FoundationEssentials

/// A JSON document as read back, so that tests look at what a text says and not at how it is written.
enum Parsed: Codable, Equatable {
  case object([String: Parsed])
  case array([Parsed])
  case string(String)
  case number(Int)
  case bool(Bool)
  case null

  init(_ text: String) throws {
    self = try JSONDecoder().decode(Parsed.self, from: Data(text.utf8))
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([Parsed].self) {
      self = .array(value)
    } else if let value = try? container.decode([String: Parsed].self) {
      self = .object(value)
    } else {
      self = .null
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .object(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .bool(let value): try container.encode(value)
    case .null: try container.encodeNil()
    }
  }

  func text() throws -> String { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }

  /// null where there is no such member.
  subscript(key: String) -> Parsed {
    get { members[key] ?? .null }
    set {
      var members = members
      members[key] = newValue
      self = .object(members)
    }
  }

  /// null beyond the end.
  subscript(index: Int) -> Parsed {
    get { elements.indices.contains(index) ? elements[index] : .null }
    set {
      var elements = elements
      elements[index] = newValue
      self = .array(elements)
    }
  }

  var members: [String: Parsed] {
    if case .object(let members) = self { members } else { [:] }
  }

  var elements: [Parsed] {
    if case .array(let elements) = self { elements } else { [] }
  }
}

extension Parsed: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral
{
  init(dictionaryLiteral members: (String, Parsed)...) {
    self = .object(Dictionary(members) { _, last in last })
  }
  init(arrayLiteral elements: Parsed...) { self = .array(elements) }
  init(stringLiteral string: String) { self = .string(string) }
  init(integerLiteral number: Int) { self = .number(number) }
  init(booleanLiteral bool: Bool) { self = .bool(bool) }
}
