import Testing

@testable import Agent

struct ResponseReaderTests {
  private let chunked =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n"

  @Test(arguments: [1, 2, 7, 1000])
  func chunksAreJoinedHoweverTheyArrive(size: Int) throws {
    var reader = ResponseReader()
    var body: [UInt8] = []
    var rest = Array(chunked.utf8)[...]
    while !rest.isEmpty {
      let more = reader.take(rest.prefix(size))
      body += try #require(more)
      rest = rest.dropFirst(size)
    }
    #expect(String(decoding: body, as: UTF8.self) == "abc0123456789")
    #expect(reader.status == 200 && reader.isFinished)
  }

  @Test func aLengthEndsTheBody() throws {
    var reader = ResponseReader()
    let taken = reader.take(Array("HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nab".utf8))
    let body = try #require(taken)
    #expect(body == Array("ab".utf8))
    #expect(reader.status == 404 && reader.isFinished)
  }

  @Test func withoutALengthTheEndIsTheEnd() throws {
    var reader = ResponseReader()
    let body = reader.take(Array("HTTP/1.0 200 OK\r\n\r\nab".utf8))
    #expect(body == Array("ab".utf8))
    #expect(!reader.isFinished)
    let isWhole = reader.endOfInput()
    #expect(isWhole)
  }

  @Test func anAnswerCutOffIsNoAnswer() {
    var reader = ResponseReader()
    let body = reader.take(Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".utf8))
    #expect(body == Array("ab".utf8))
    let isWhole = reader.endOfInput()
    #expect(!isWhole)
  }

  @Test(arguments: [
    "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", String(repeating: "x", count: 20_000),
  ])
  func whatIsNotHTTPIsRefused(text: String) {
    var reader = ResponseReader()
    let body = reader.take(Array(text.utf8))
    #expect(body == nil)
  }
}
