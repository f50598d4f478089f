import Glibc
import Testing

@testable import Agent

struct LogTests {
  @Test func aLineIsTimeLevelEventAndFieldsInOrder() {
    let line = Log.line(
      time: "T", level: .info, event: "generation-in-force", fields: ["generation": 3, "set": "a b"])
    #expect(line == #"time=T level=info event=generation-in-force generation=3 set="a b""#)
  }

  @Test(arguments: [
    ("plain/1.2:3", "plain/1.2:3"), ("", #""""#), ("a b", #""a b""#), ("a=b", #""a=b""#),
    (#"a"b\c"#, #""a\"b\\c""#), ("a\nb\r\t", #""a\nb\r\t""#), ("\u{1b}[31m", #""\u{1b}[31m""#),
    ("x\u{202e}y", #""x\u{202e}y""#), ("größe", #""größe""#), ("\u{85}", #""\u{85}""#),
  ])
  func aValueNeverEndsItsLineNorMovesTheCursor(value: String, written: String) {
    #expect(Log.quoted(value) == written)
  }

  @Test func aLineIsOneWriteOnItsDescriptor() {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    Log(descriptor: ends[1]).warn("x", ["k": "two\nlines"])
    close(ends[1])
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(ends[0], &buffer, buffer.count)
    close(ends[0])
    let text = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    #expect(text.hasPrefix("time=20"))
    #expect(text.hasSuffix("level=warn event=x k=\"two\\nlines\"\n"))
    #expect(text.filter { $0 == "\n" }.count == 1)
  }

  @Test func timesAreRFC3339InUTCWithMilliseconds() {
    #expect(Clock.timestamp(0) == "1970-01-01T00:00:00.000Z")
    #expect(Clock.timestamp(1_709_210_096_007_999_999) == "2024-02-29T12:34:56.007Z")
  }

  @Test func refusalsBeyondTheLimitOfASecondAreCountedNotWritten() {
    var limit = RateLimit(perSecond: 2)
    let second: UInt64 = 1_000_000_000
    var admitted = (0..<5).map { limit.admits(7, at: second + $0) }
    #expect(admitted == [true, true, false, false, false])
    admitted = [limit.admits(7, at: 2 * second)]
    #expect(admitted == [true])
    let suppressed = [limit.takeSuppressed(), limit.takeSuppressed()]
    #expect(suppressed == [3, 0])
  }

  @Test func `one that is refused all the time does not hide who is refused once`() {
    var limit = RateLimit(perSecond: 2)
    let second: UInt64 = 1_000_000_000
    // 7 has used the second up; 8 and 9 get the line each that is kept for those who had none, and then nobody.
    let sources: [UInt32] = [7, 7, 7, 8, 8, 9, 10]
    let admitted = sources.enumerated().map { limit.admits($1, at: second + UInt64($0)) }
    #expect(admitted == [true, true, false, true, false, true, false])
    #expect(limit.suppressed == 3)
    let next = limit.admits(10, at: 2 * second)
    #expect(next)
  }
}
