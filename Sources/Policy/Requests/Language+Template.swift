/// Istio's path templates. Istio writes `*` for `{*}` and `**` for `{**}`
/// (pilot/pkg/security/authz/matcher/template.go) and Envoy makes a regular expression of that, which must
/// match the whole path without query and fragment (source/extensions/path/uri_template_lib).
extension Language {
  /// What an operator takes of a segment: RFC 3986 `pchar`. In the template itself `*` cannot stand for
  /// itself.
  private static let segment = "*a-zA-Z0-9._~%!$&'()+,;:@=\\-"

  private enum Part {
    case literal(String)
    case one
    case several
  }

  /// Whether a path is one: Istio takes everything with either operator in it for a template.
  static func isTemplate(_ path: String) -> Bool {
    let bytes = Array(path.utf8)
    return bytes.firstRange(of: Array("{*}".utf8)) != nil || bytes.firstRange(of: Array("{**}".utf8)) != nil
  }

  /// What Istio's validation (pkg/config/security, CheckValidPathTemplate) or Envoy refuses.
  static func fault(inTemplate text: String) -> String? {
    do throws(LanguageFault) {
      _ = try parts(text)
      return nil
    } catch {
      return error.description
    }
  }

  static func template(_ text: String) throws(LanguageFault) -> Pattern {
    try RegexParser.pattern(try regex(ofTemplate: text))
  }

  /// The same language in RE2's syntax.
  static func regex(ofTemplate text: String) throws(LanguageFault) -> String {
    var regex = ""
    for part in try parts(text) {
      switch part {
      case .literal(let text): regex += "/" + text.map { "$()+.".contains($0) ? "\\\($0)" : "\($0)" }.joined()
      case .one: regex += "/[\(segment)]+"
      case .several: regex += "/[\(segment)/]*"
      }
    }
    return regex
  }

  private static func parts(_ text: String) throws(LanguageFault) -> [Part] {
    guard text.utf8.first == UInt8(ascii: "/") else {
      throw LanguageFault(problem: "a path template begins with a slash", position: 1)
    }
    let allowed = ByteSet(Array(segmentBytes))
    var parts: [Part] = []
    var position = 2
    var ended = false
    let pieces = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    for (index, piece) in pieces.enumerated() {
      defer { position += piece.unicodeScalars.count + 1 }
      if piece == "{*}" || piece == "{**}" {
        guard !ended else {
          throw LanguageFault(
            problem: "{**} must be the last operator of a path template", position: position)
        }
        ended = piece == "{**}"
        parts.append(ended ? .several : .one)
        continue
      }
      if piece.isEmpty, index == pieces.count - 1 {
        parts.append(.literal(""))
        continue
      }
      guard !piece.isEmpty else {
        throw LanguageFault(problem: "a path template has no empty segment", position: position)
      }
      for (offset, scalar) in piece.unicodeScalars.enumerated()
      where !scalar.isASCII || !allowed.contains(UInt8(truncatingIfNeeded: scalar.value)) {
        let problem =
          scalar == "{" || scalar == "}"
          ? "{*} and {**} are a whole segment of a path template, and there is no other operator"
          : "\(quoted(String(scalar))) cannot stand in a path template"
        throw LanguageFault(problem: problem, position: position + offset)
      }
      parts.append(.literal(String(piece)))
    }
    return parts
  }

  private static var segmentBytes: [UInt8] {
    (0x21...0x7e).filter { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "-._~%!$&'()+,;:@=".utf8.contains(byte)
      }
    }
  }
}

extension Match {
  /// A template or regular expression in RE2's syntax; nil for one with a fault, and for the other kinds.
  package var regex: String? {
    switch self {
    case .template(let text): try? Language.regex(ofTemplate: text)
    case .regex(let text): Language.fault(inRegex: text) == nil ? text : nil
    default: nil
    }
  }
}
