/// The set of texts a Match stands for.
struct Language {
  init(_ match: Match) {}

  func matches(_ text: String) -> Bool { false }
}
