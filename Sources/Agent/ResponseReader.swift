/// An HTTP/1.1 answer as it arrives in pieces. Bounded: a head of more than 16 KiB is refused.
struct ResponseReader {
  private enum Body {
    case head
    case length(Int)
    /// Bytes left of the chunk; nil before its size line.
    case chunk(Int?)
    /// The empty line after a chunk's bytes.
    case chunkEnd
    case trailer
    case untilClose
    case done
  }

  private(set) var status: Int?
  private var state = Body.head
  private var pending: [UInt8] = []

  var isFinished: Bool { if case .done = state { true } else { false } }

  /// The other side closed; false where that cuts the answer off.
  mutating func endOfInput() -> Bool {
    if case .untilClose = state { state = .done }
    return isFinished
  }

  /// Takes what arrived; answers the body's bytes in it, nil where it is no HTTP.
  mutating func take(_ bytes: some Sequence<UInt8>) -> [UInt8]? {
    pending.append(contentsOf: bytes)
    var body: [UInt8] = []
    while true {
      switch state {
      case .head:
        guard let line = takeHead() else { return pending.count > 16384 ? nil : body }
        guard readHead(line) else { return nil }
      case .length(let left):
        let count = min(left, pending.count)
        body += takeFirst(count)
        state = count == left ? .done : .length(left - count)
        if count < left { return body }
      case .chunk(nil):
        guard let line = takeLine() else { return pending.count > 1024 ? nil : body }
        let digits = line.prefix { $0 != ";" && $0 != " " }
        guard let size = Int(digits, radix: 16), size >= 0 else { return nil }
        state = size == 0 ? .trailer : .chunk(size)
      case .chunk(let left?):
        let count = min(left, pending.count)
        body += takeFirst(count)
        state = count == left ? .chunkEnd : .chunk(left - count)
        if count < left { return body }
      case .chunkEnd:
        guard let line = takeLine() else { return body }
        guard line.isEmpty else { return nil }
        state = .chunk(nil)
      case .trailer:
        guard let line = takeLine() else { return pending.count > 16384 ? nil : body }
        if line.isEmpty { state = .done }
      case .untilClose:
        body += takeFirst(pending.count)
        return body
      case .done:
        return body
      }
    }
  }

  private mutating func readHead(_ head: String) -> Bool {
    let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
    let words = lines[0].split(separator: " ")
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let code = Int(words[1]) else { return false }
    status = code
    state = .untilClose
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let name = line[..<colon].lowercased()
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      if name == "transfer-encoding" && value.lowercased() == "chunked" {
        state = .chunk(nil)
        return true
      }
      if name == "content-length" {
        guard let length = Int(value), length >= 0 else { return false }
        state = .length(length)
      }
    }
    return true
  }

  private mutating func takeHead() -> String? {
    let end: [UInt8] = [13, 10, 13, 10]
    guard pending.count >= 4,
      let at = (0...pending.count - 4).first(where: { Array(pending[$0..<$0 + 4]) == end })
    else { return nil }
    let text = String(decoding: pending[..<at], as: UTF8.self)
    pending.removeFirst(at + 4)
    return text
  }

  private mutating func takeLine() -> String? {
    guard let at = pending.firstIndex(of: 10) else { return nil }
    var line = pending[..<at]
    if line.last == 13 { line.removeLast() }
    let text = String(decoding: line, as: UTF8.self)
    pending.removeFirst(at + 1)
    return text
  }

  private mutating func takeFirst(_ count: Int) -> [UInt8] {
    let taken = Array(pending.prefix(count))
    pending.removeFirst(count)
    return taken
  }
}
