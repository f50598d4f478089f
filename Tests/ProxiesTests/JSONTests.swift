import Testing

@testable import Proxies

@Suite struct JSONTests {
  @Test("Every string comes back as it was, whatever characters are in it")
  func escapes() throws {
    let controls = String(String.UnicodeScalarView((0..<0x20).compactMap(Unicode.Scalar.init)))
    for string in ["", "plain", "\"\\/", controls, "\u{7f}\u{2028}\u{feff}é漢🐦", "\r\n"] {
      let document = JSON.object([(string, .string(string))])
      #expect(try Parsed(document.compact) == .object([string: .string(string)]))
      #expect(try Parsed(document.pretty) == .object([string: .string(string)]))
    }
  }

  @Test("Members stay in the order they were given")
  func order() {
    let document: JSON = ["b": 1, "a": [true, "x"], "c": [:], "d": []]
    #expect(document.compact == #"{"b":1,"a":[true,"x"],"c":{},"d":[]}"#)
    #expect(
      document.pretty == """
        {
          "b": 1,
          "a": [
            true,
            "x"
          ],
          "c": {},
          "d": []
        }

        """)
  }
}
