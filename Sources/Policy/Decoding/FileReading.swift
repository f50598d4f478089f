/// One file on its own: what it says, or what is wrong with it.
final class FileReading: Sendable {
  let objects: Objects
  let claims: [Claim]
  let problems: [Problem]

  init(file: String, bytes: [UInt8]) {
    // A byte order mark is no part of the text.
    let bytes = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? Array(bytes.dropFirst(3)) : bytes
    let decoding = FileReading.decode(file, bytes) { $0.object($1) }
    problems = decoding.findings.problems
    claims = decoding.claims
    // Nothing of a file with a problem is used.
    objects = problems.isEmpty ? decoding.objects : Objects()
  }

  /// Hands over each document that is not empty. Text that only libyaml can read is read a second time from its
  /// beginning, with a new Decoding: what was done by then does not count.
  static func decode(_ file: String, _ bytes: [UInt8], _ document: (Decoding, YAML.Node) -> Void) -> Decoding {
    quick(file, bytes, document) ?? whole(file, bytes, document)
  }

  /// nil: to be read by libyaml.
  private static func quick(_ file: String, _ bytes: [UInt8], _ document: (Decoding, YAML.Node) -> Void)
    -> Decoding?
  {
    guard bytes.withUnsafeBufferPointer(YAML.Quick.Cursor.isOrdinary) else { return nil }
    let decoding = Decoding(Findings(file: file, bytes: bytes))
    return (bytes + YAML.Quick.Cursor.padding).withUnsafeBufferPointer { padded in
      guard let base = padded.baseAddress else { return nil }
      do throws(YAML.Quick.Declined) {
        var quick = YAML.Quick(base, count: bytes.count)
        while let node = try quick.next() {
          if !node.isNull { document(decoding, node) }
          if decoding.findings.isFull { break }
        }
        return decoding
      } catch {
        return nil
      }
    }
  }

  private static func whole(_ file: String, _ bytes: [UInt8], _ document: (Decoding, YAML.Node) -> Void)
    -> Decoding
  {
    let bytes = YAML.joinSurrogates(bytes)
    let findings = Findings(file: file, bytes: bytes)
    let decoding = Decoding(findings)
    do throws(Problem) {
      try requireText(bytes, findings)
      try bytes.withUnsafeBufferPointer { (buffer) throws(Problem) in
        var parser = YAML.Parser(buffer, findings: findings)
        while let node = try parser.next() {
          if !node.isNull { document(decoding, node) }
          if decoding.findings.isFull { break }
        }
      }
    } catch {
      findings.add(error)
    }
    return decoding
  }

  private static func requireText(_ bytes: [UInt8], _ findings: Findings) throws(Problem) {
    func fail(_ offset: Int, _ message: String) -> Problem {
      let place = findings.lineAndColumn(ofByte: offset)
      return findings.problem(line: place.line, column: place.column, FieldPath(), message)
    }
    do throws(UTF8.ValidationError) {
      _ = try UTF8Span(validating: bytes.span)
    } catch {
      throw fail(error.byteOffsets.lowerBound, "not UTF-8")
    }
    if let offset = bytes.offset(of: 0, from: 0) { throw fail(offset, "a NUL byte; expected text") }
    if countTagDirectives(bytes) > YAML.Limit.tagDirectives {
      throw fail(0, "more than \(YAML.Limit.tagDirectives) %TAG directives; none is needed")
    }
  }

  private static func countTagDirectives(_ bytes: [UInt8]) -> Int {
    var count = 0
    var start = 0
    while let offset = bytes.offset(of: UInt8(ascii: "%"), from: start) {
      start = offset + 1
      if bytes[start...].starts(with: "TAG".utf8) { count += 1 }
    }
    return count
  }
}
