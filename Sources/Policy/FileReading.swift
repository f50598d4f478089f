/// One file on its own: what it says, or what is wrong with it.
final class FileReading: Sendable {
  let objects: Objects
  let claims: [Claim]
  let problems: [Problem]

  init(file: String, bytes: [UInt8]) {
    let bytes = YAML.joinSurrogates(bytes)
    let findings = Findings(file: file, bytes: bytes)
    let decoding = Decoding(findings)
    do throws(Problem) {
      try FileReading.requireText(bytes, findings)
      try bytes.withUnsafeBufferPointer { (buffer) throws(Problem) in
        var parser = YAML.Parser(buffer, findings: findings)
        while let document = try parser.next() {
          if !document.isNull { decoding.object(document) }
        }
      }
    } catch {
      findings.add(error)
    }
    problems = findings.problems
    claims = decoding.claims
    // Nothing of a file with a problem is used.
    objects = problems.isEmpty ? decoding.objects : Objects()
  }

  /// A file that could not be read.
  init(_ problem: Problem) {
    problems = [problem]
    claims = []
    objects = Objects()
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
