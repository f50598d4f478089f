import Synchronization

/// The set of texts a Match stands for, as an automaton over bytes: what matches is decided in time linear in
/// the text, and what two of them have in common can be reasoned about (`representatives`).
struct Language: Sendable {
  let automaton: Automaton
  private let match: Match

  /// A regular expression or template with a fault stands for no text at all: decoding has refused it.
  init(_ match: Match) {
    self.match = match
    automaton = Automaton(Self.pattern(match, ignoringCase: false))
  }

  /// `ignoringCase` is about exact, prefix and suffix, and about the letters of ASCII, as in Envoy's
  /// StringMatcher; a regular expression says itself what it ignores.
  func matches(_ text: String, ignoringCase: Bool = false) -> Bool {
    automaton(ignoringCase: ignoringCase).matches(text.utf8)
  }

  func automaton(ignoringCase: Bool) -> Automaton {
    switch match {
    case .exact, .prefix, .suffix:
      ignoringCase ? Automaton(Self.pattern(match, ignoringCase: true)) : automaton
    default: automaton
    }
  }

  private static func pattern(_ match: Match, ignoringCase: Bool) -> Pattern {
    func literal(_ text: String) -> Pattern {
      .sequence(text.utf8.map { .bytes(ignoringCase ? ByteSet($0).ignoringCase : ByteSet($0)) })
    }
    switch match {
    case .exact(let text): return literal(text)
    case .prefix(let text): return .sequence([literal(text), .anything])
    case .suffix(let text): return .sequence([.anything, literal(text)])
    // Every byte counts, also one that is not UTF-8, where RE2's `.+` stops.
    case .presence: return .sequence([.bytes(.all), .anything])
    case .any: return .anything
    case .template(let text): return (try? template(text)) ?? .nothing
    case .regex(let text): return (try? RegexParser.pattern(text)) ?? .nothing
    }
  }

  /// nil, or what RE2 refuses in a regular expression, or what it has and this does not: Unicode classes,
  /// `(?i)` over characters outside ASCII, `\C`.
  static func fault(inRegex text: String) -> String? {
    do throws(LanguageFault) {
      let pattern = try RegexParser.pattern(text)
      guard Automaton(pattern).nodes.count < Automaton.limit else {
        return "is too large: it has more than \(Automaton.limit) steps when its repetitions are written out"
      }
      return nil
    } catch {
      return error.description
    }
  }
}

/// What is wrong with a regular expression or template, and where.
struct LanguageFault: Error, CustomStringConvertible {
  var problem: String
  /// Of the character, from 1.
  var position: Int

  var description: String { "\(problem), at character \(position)" }
}

extension Language {
  /// The languages that have been asked for: the same few are asked again for every request.
  private static let known = Mutex<[Match: Language]>([:])

  static func of(_ match: Match) -> Language {
    if let language = known.withLock({ $0[match] }) { return language }
    let language = Language(match)
    known.withLock {
      // A bound, not a tuning: a set has as many as its policies have words.
      if $0.count >= 4096 { $0.removeAll() }
      $0[match] = language
    }
    return language
  }
}
