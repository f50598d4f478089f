import Glibc

extension YAML.Quick {
  /// Where `Quick` is in the text, and the scalars it reads there.
  struct Cursor: ~Copyable {
    /// Bytes behind the text that may be read: a line feed, so that every line has an end, and zeros.
    static let padding: [UInt8] = [UInt8(ascii: "\n")] + [UInt8](repeating: 0, count: 15)

    private let bytes: UnsafePointer<UInt8>
    private let count: Int
    var at = 0
    private(set) var line: Int32 = 1
    private(set) var lineStart = 0
    /// Of the line that begins at `at`; -1 where there is none, or the marker of a document instead.
    private(set) var indent = -1
    private(set) var isMarker = false
    private var known: Interned

    init(_ bytes: UnsafePointer<UInt8>, count: Int) {
      self.bytes = bytes
      self.count = count
      known = Interned(bytes)
    }

    /// Printable ASCII and line feeds, and no `%`, with which directives begin.
    static func isOrdinary(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
      let lineFeed = UInt8(ascii: "\n")
      var index = 0
      guard let base = UnsafeRawPointer(text.baseAddress) else { return true }
      let (low, span) = (SIMD16<UInt8>(repeating: 0x20), SIMD16<UInt8>(repeating: 0x5e))
      let (ends, percents) = (SIMD16<UInt8>(repeating: lineFeed), SIMD16<UInt8>(repeating: UInt8(ascii: "%")))
      while index + 16 <= text.count {
        let some = base.loadUnaligned(fromByteOffset: index, as: SIMD16<UInt8>.self)
        let strange = (((some &- low) .> span) .& (some .!= ends)) .| (some .== percents)
        if any(strange) { return false }
        index += 16
      }
      return text[index...].allSatisfy {
        ($0 &- 0x20 <= 0x5e || $0 == lineFeed) && $0 != UInt8(ascii: "%")
      }
    }

    var byte: UInt8 { bytes[at] }
    var isLineEnd: Bool { byte == UInt8(ascii: "\n") || isComment }
    private var isComment: Bool { byte == UInt8(ascii: "#") && bytes[at - 1] == UInt8(ascii: " ") }
    func column(of offset: Int) -> Int32 { Int32(truncatingIfNeeded: offset - lineStart + 1) }

    /// `-` as the mark of a list's item.
    var isDash: Bool {
      byte == UInt8(ascii: "-") && (bytes[at + 1] == UInt8(ascii: " ") || bytes[at + 1] == UInt8(ascii: "\n"))
    }

    mutating func passBlanks() { while byte == UInt8(ascii: " ") { at += 1 } }

    /// Only blanks and a comment may be left in the line; then to the next one that has something.
    mutating func endLine() throws(Declined) {
      passBlanks()
      if isComment { passLine() }
      guard byte == UInt8(ascii: "\n") else { throw Declined() }
      at += 1
      line += 1
      try beginLine()
    }

    /// `---`
    mutating func passMarker() {
      at += 3
      isMarker = false
    }

    private mutating func passLine() { while byte != UInt8(ascii: "\n") { at += 1 } }

    /// To the first line from here on that has something.
    mutating func beginLine() throws(Declined) {
      indent = -1
      while at < count {
        lineStart = at
        passBlanks()
        if byte == UInt8(ascii: "#") { passLine() }
        if byte != UInt8(ascii: "\n") { break }
        at += 1
        line += 1
      }
      if at >= count { return }
      if at > lineStart || (byte != UInt8(ascii: "-") && byte != UInt8(ascii: ".")) {
        indent = at - lineStart
        return
      }
      // Three in a row at the start of a line end a document.
      if byte == bytes[at + 1], byte == bytes[at + 2] {
        guard byte == UInt8(ascii: "-"), bytes[at + 3] == UInt8(ascii: "\n") || bytes[at + 3] == UInt8(ascii: " ")
        else { throw Declined() }
        isMarker = true
        return
      }
      indent = 0
    }

    // MARK: Scalars

    /// The text of these bytes. Words that a file repeats share their storage.
    mutating func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String { known.text(bytes) }

    /// Letters, digits and `._/-`, as every field and nearly every label has them.
    mutating func plainKey() -> UnsafeBufferPointer<UInt8> {
      let start = at
      if byte == UInt8(ascii: "-") { return slice(start, start) }
      while Cursor.isWord(byte) { at += 1 }
      return slice(start, at)
    }

    /// Whether a mapping begins here.
    var isAtKey: Bool {
      var end = at
      let quote = byte
      if quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
        end += 1
        while bytes[end] != quote, bytes[end] != UInt8(ascii: "\n") { end += 1 }
        end += 1
      } else {
        while Cursor.isWord(bytes[end]) { end += 1 }
      }
      return end > at && bytes[end] == UInt8(ascii: ":")
        && (bytes[end + 1] == UInt8(ascii: " ") || bytes[end + 1] == UInt8(ascii: "\n"))
    }

    /// A plain scalar up to the end of its line.
    mutating func plain() throws(Declined) -> UnsafeBufferPointer<UInt8> {
      let start = at
      switch byte {
      case UInt8(ascii: "-"):
        guard bytes[at + 1] != UInt8(ascii: " "), bytes[at + 1] != UInt8(ascii: "\n") else { throw Declined() }
      case UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "("),
        UInt8(ascii: "<"), UInt8(ascii: "="), UInt8(ascii: "~"), UInt8(ascii: "$"), UInt8(ascii: "^"):
        break
      default: guard Cursor.isWord(byte) else { throw Declined() }
      }
      var end = at
      while true {
        while Cursor.isWord(byte) { at += 1 }
        switch byte {
        case UInt8(ascii: "\n"):
          if at > end, bytes[at - 1] != UInt8(ascii: " ") { end = at }
          return slice(start, end)
        case UInt8(ascii: " "):
          if at > end, bytes[at - 1] != UInt8(ascii: " ") { end = at }
        case UInt8(ascii: ":"):
          guard bytes[at + 1] != UInt8(ascii: " "), bytes[at + 1] != UInt8(ascii: "\n") else { throw Declined() }
        case UInt8(ascii: "#"):
          if bytes[at - 1] == UInt8(ascii: " ") { return slice(start, end) }
        default: break
        }
        at += 1
      }
    }

    /// One word of a flow collection, with stars within.
    mutating func flowPlain() throws(Declined) -> UnsafeBufferPointer<UInt8> {
      let start = at
      guard Cursor.isWord(byte), byte != UInt8(ascii: "-") || Cursor.isAlphanumeric(bytes[at + 1]) else {
        throw Declined()
      }
      while Cursor.isWord(byte) || byte == UInt8(ascii: "*") { at += 1 }
      return slice(start, at)
    }

    /// A quoted scalar within one line; the cursor is behind it. An escape is declined but for `''`, `\"` and `\\`.
    mutating func quoted() throws(Declined) -> String {
      let quote = byte
      at += 1
      let start = at
      var escapes = false
      while true {
        switch byte {
        case UInt8(ascii: "\n"): throw Declined()
        case UInt8(ascii: "\\") where quote == UInt8(ascii: "\""):
          guard bytes[at + 1] == UInt8(ascii: "\"") || bytes[at + 1] == UInt8(ascii: "\\") else { throw Declined() }
          escapes = true
          at += 1
        case quote:
          guard quote == UInt8(ascii: "'"), bytes[at + 1] == quote else {
            let inside = slice(start, at)
            at += 1
            return escapes ? Cursor.unescape(inside, quote) : text(inside)
          }
          escapes = true
          at += 1
        default: break
        }
        at += 1
      }
    }

    private static func unescape(_ bytes: UnsafeBufferPointer<UInt8>, _ quote: UInt8) -> String {
      let mark = quote == UInt8(ascii: "'") ? quote : UInt8(ascii: "\\")
      var result: [UInt8] = []
      var index = 0
      while index < bytes.count {
        if bytes[index] == mark { index += 1 }
        result.append(bytes[index])
        index += 1
      }
      return String(decoding: result, as: UTF8.self)
    }

    /// A literal scalar, `|` or `|-`, as kubectl prints annotations; then to the next line.
    mutating func literal(under column: Int) throws(Declined) -> String {
      at += 1
      let isStripped = byte == UInt8(ascii: "-")
      if isStripped { at += 1 }
      guard byte == UInt8(ascii: "\n") else { throw Declined() }
      var result: [UInt8] = []
      var margin = 0
      var end = 0
      while true {
        // At the end of a line that belongs to it.
        let next = at + 1
        if next >= count, margin > 0 { break }
        var first = next
        while bytes[first] == UInt8(ascii: " "), margin == 0 || first - next < margin { first += 1 }
        if margin == 0 {
          margin = first - next
          guard margin > column, margin > 0, bytes[first] != UInt8(ascii: "\n") else { throw Declined() }
        }
        if bytes[first] != UInt8(ascii: "\n"), first - next < margin { break }
        at = next
        line += 1
        lineStart = next
        at = first
        passLine()
        if at >= count { throw Declined() }
        result.append(contentsOf: UnsafeBufferPointer(start: bytes + first, count: at - first))
        if at > first { end = result.count }
        result.append(UInt8(ascii: "\n"))
      }
      result.removeSubrange(end...)
      if !isStripped { result.append(UInt8(ascii: "\n")) }
      try endLine()
      return String(decoding: result, as: UTF8.self)
    }

    /// After an opening bracket: whether the closing one follows.
    mutating func opens(_ close: UInt8) -> Bool {
      at += 1
      passBlanks()
      guard byte == close else { return false }
      at += 1
      return true
    }

    /// After a value in a flow collection: whether another follows, where the cursor is then.
    mutating func continues(to close: UInt8) throws(Declined) -> Bool {
      passBlanks()
      let found = byte
      guard found == close || found == UInt8(ascii: ",") else { throw Declined() }
      at += 1
      if found == close { return false }
      passBlanks()
      return true
    }

    private func slice(_ start: Int, _ end: Int) -> UnsafeBufferPointer<UInt8> {
      UnsafeBufferPointer(start: bytes + start, count: end - start)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
      (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10
    }

    /// Letters, digits and `-._/`.
    private static func isWord(_ byte: UInt8) -> Bool {
      (byte | 0x20) &- 0x61 < 26 || byte &- 0x2d < 13 || byte == UInt8(ascii: "_")
    }
  }

  /// Words of a text that were met before.
  struct Interned: ~Copyable {
    private static let places = 512

    private struct Word {
      var offset: Int
      var length: Int
      var text: String
    }

    private let bytes: UnsafePointer<UInt8>
    private let words: UnsafeMutablePointer<Word>

    init(_ bytes: UnsafePointer<UInt8>) {
      self.bytes = bytes
      words = .allocate(capacity: Interned.places)
      words.initialize(repeating: Word(offset: 0, length: -1, text: ""), count: Interned.places)
    }

    deinit {
      words.deinitialize(count: Interned.places)
      words.deallocate()
    }

    /// Up to 15 bytes behind `word` may be read.
    func text(_ word: UnsafeBufferPointer<UInt8>) -> String {
      guard let start = word.baseAddress, word.count > 0 else { return "" }
      let raw = UnsafeRawPointer(start)
      let head = raw.loadUnaligned(as: UInt64.self)
      let first = word.count >= 8 ? head : head & (1 << UInt64(8 * word.count) - 1)
      let last = word.count > 8 ? raw.loadUnaligned(fromByteOffset: word.count - 8, as: UInt64.self) : 0
      let mixed = (first &* 0x9e37_79b9_7f4a_7c15) ^ (last &* 0xc2b2_ae3d_27d4_eb4f) ^ UInt64(word.count)
      let place = words + Int(truncatingIfNeeded: ((mixed ^ (mixed >> 32)) &* 0x9e37_79b9_7f4a_7c15) >> 55)
      if place.pointee.length == word.count, memcmp(bytes + place.pointee.offset, start, word.count) == 0 {
        return place.pointee.text
      }
      let text = String(decoding: word, as: UTF8.self)
      place.pointee = Word(offset: start - bytes, length: word.count, text: text)
      return text
    }
  }
}
