/// A value from a file or the command line inside a message: between backquotes, at most 64 characters, and
/// nothing in it that could move a terminal's cursor, reorder the line or end it.
func quoted(_ text: some StringProtocol) -> String { "`\(shown(text))`" }

/// The same without the backquotes, for field paths and file names; of a file's path nothing is cut off, for it is
/// where an editor or code scanning looks.
func shown(_ text: some StringProtocol, atMost limit: Int = 64) -> String {
  var result = ""
  for (count, scalar) in text.unicodeScalars.enumerated() {
    if count == limit { return result + "…" }
    switch scalar {
    case "\n": result += "\\n"
    case "\t": result += "\\t"
    case "\r": result += "\\r"
    case " "..."~": result.unicodeScalars.append(scalar)
    default:
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
  }
  return result
}

/// The known word that a misspelt one most likely meant: equal but for case, or at most two edits away.
func likely(_ word: String, among known: some Sequence<String>) -> String? {
  guard word.utf8.count <= 64 else { return nil }
  let lower = Array(word.lowercased().utf8)
  // In a short word two edits change everything.
  let limit = lower.count <= 4 ? 1 : 2
  var best: (word: String, distance: Int)?
  for candidate in known.sorted() {
    let distance = editDistance(lower, Array(candidate.lowercased().utf8))
    if distance <= limit, distance < best?.distance ?? Int.max { best = (candidate, distance) }
  }
  return best?.word
}

private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  if abs(a.count - b.count) > 2 { return Int.max }
  var row = Array(0...b.count)
  for (i, x) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, y) in b.enumerated() {
      let substituted = diagonal + (x == y ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
    }
  }
  return row[b.count]
}
