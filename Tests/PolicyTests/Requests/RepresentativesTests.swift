import Testing

@testable import Policy

struct RepresentativesTests {
  private static let pool: [Match] = [
    .exact("/a"), .exact("/b"), .exact(""), .prefix("/"), .prefix("/a"), .suffix("b"), .suffix("/a"),
    .presence, .any,
    .template("/a/{*}"), .template("/{**}/b"), .template("/{*}"), .regex("/a|/b"), .regex("[^/]*"),
    .regex("(a|b)*"),
    .regex("/(a|/)+"), .regex("a.b"), .regex("^/?$"), .regex(".*\\bb\\b.*"), .regex("(?i)A+"),
    .regex("a{2,3}"), .exact("A"),
  ]

  @Test(
    "There is one text for every combination of memberships that any short text has, and each text has its own"
  )
  func complete() throws {
    var random = SystemRandomNumberGenerator()
    let texts = RandomRegexTests.texts(of: ["a", "b", "/", "A"], upTo: 4).map { String($0) }
    for round in 0..<60 {
      let ignoringCase = round % 4 == 0
      let matches = (0..<Int.random(in: 1...4, using: &random)).compactMap { _ in
        Self.pool.randomElement(using: &random)
      }
      let languages = matches.map { Language($0) }
      let found = try #require(
        Language.representatives(of: languages, ignoringCase: ignoringCase, limit: 10_000))
      func members(_ text: String) -> [Bool] {
        languages.map { $0.matches(text, ignoringCase: ignoringCase) }
      }
      for (text, expected) in found {
        #expect(members(text) == expected, "\(matches): \(text.debugDescription)")
      }
      let combinations = Dictionary(uniqueKeysWithValues: found.map { ($0.members, $0.text) })
      for text in texts {
        let shortest = try #require(combinations[members(text)], "\(matches): \(text)")
        #expect(shortest.utf8.count <= text.utf8.count, "\(matches): \(text) \(shortest)")
      }
    }
  }

  @Test("Readable texts are preferred, others are found where nothing readable can be told apart")
  func readable() throws {
    let both = try #require(
      Language.representatives(of: [Language(.prefix("/a")), Language(.any)], limit: 100))
    #expect(both.map(\.text) == ["", "/a"])
    let odd = try #require(
      Language.representatives(of: [Language(.regex(".*")), Language(.regex("é+"))], limit: 100))
    #expect(Set(odd.map(\.text)) == ["", "é", "\n"])
    let never = try #require(Language.representatives(of: [Language(.regex("a$b"))], limit: 100))
    #expect(never.map(\.members) == [[false]])
  }

  @Test("Beyond the limit there is no answer, and no long wait for it")
  func limit() {
    let suffixes = (0..<30).map { Language(.regex(".*a.{\($0)}b.*")) }
    #expect(Language.representatives(of: suffixes, limit: 2000) == nil)
  }
}
