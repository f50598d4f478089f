import Glibc
import Policy

/// `numbers` in the run directory: what the numbers in the kernel mean. Saved before a switch uses new ones.
///
/// A journal, because a switch that gives ten names their numbers must not cost what twenty thousand do. After a
/// first line come blocks, each `LENGTH CHECKSUM` and so many bytes of lines `TABLE NUMBER NAME`, or `TABLE NUMBER` for one
/// that was released. Each block is written in one go and is on the disk (fdatasync) before `save` returns, and a
/// switch that needs no new number writes nothing. A crash can leave half of a last block: no switch used its
/// numbers, and `load` cuts it off. Anything else that is wrong is an error, for a number must never get a second
/// meaning. A journal that mostly tells of what is gone is written anew.
final class NumbersFile {
  static let limit = 256 << 20
  private static let head = "weir numbers 2\n"
  /// Until layout 3: lines `TABLE NAME`, a name's number its place in its table.
  private static let formerHead = "weir numbers 1\n"

  let path: String
  /// How long the file is, and how long it was when it was written whole; nil where there is none or one that is to be
  /// replaced.
  private var saved: (length: Int, whole: Int)?

  init(path: String) { self.path = path }

  /// nil where there is none.
  func load() throws(Failure) -> Numbers? {
    saved = nil
    guard let content = try read(path) else { return nil }
    guard let (numbers, length) = NumbersFile.parse(content) else {
      throw Failure("\(path): is not what an agent wrote; run `weir detach`, remove the file and start again")
    }
    if content.starts(with: NumbersFile.head.utf8) { saved = (length, length) }
    return numbers
  }

  /// On the disk when it returns: a number that the kernel knows must never be given away a second time.
  func save(_ numbers: inout Numbers) throws(Failure) {
    let block = NumbersFile.block(numbers.changes)
    if saved != nil, block.isEmpty, Files.exists(path) { return }
    do throws(SystemError) {
      if let saved, saved.length < max(1 << 16, 4 * saved.whole), try append(block, at: saved.length) {
        self.saved?.length += block.count
      } else {
        let content = Array(NumbersFile.head.utf8) + NumbersFile.block(numbers.history)
        try Files.replace(path, with: content, durable: true)
        saved = (content.count, content.count)
      }
    } catch {
      throw Failure(error)
    }
    numbers.forgetChanges()
  }

  /// False where the file is not the one that was read: then it is to be written whole.
  private func append(_ block: [UInt8], at length: Int) throws(SystemError) -> Bool {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
    if descriptor < 0 { return false }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size >= length else { return false }
    // Half a block that a crash or a full disk left.
    guard status.st_size == length || ftruncate(descriptor, length) == 0 else {
      throw SystemError("truncate", path)
    }
    guard lseek(descriptor, length, SEEK_SET) == length else { throw SystemError("seek", path) }
    try Files.write(block, to: descriptor, path: path)
    if fdatasync(descriptor) != 0 { throw SystemError("fdatasync", path) }
    return true
  }

  private func read(_ path: String) throws(Failure) -> [UInt8]? {
    do { return try Files.read(path, limit: NumbersFile.limit) } catch { throw Failure(error) }
  }

}

// MARK: - Text

extension NumbersFile {
  /// Empty where nothing changed.
  private static func block(_ changes: [Numbers.Change]) -> [UInt8] {
    var body: [UInt8] = []
    for change in changes {
      switch change {
      case .given(let table, let number, let name):
        body += "\(table.rawValue) \(number) ".utf8
        for byte in name.utf8 {
          switch byte {
          case UInt8(ascii: "\n"): body += "\\n".utf8
          case UInt8(ascii: "\\"): body += "\\\\".utf8
          default: body.append(byte)
          }
        }
      case .released(let table, let number): body += "\(table.rawValue) \(number)".utf8
      }
      body.append(UInt8(ascii: "\n"))
    }
    if body.isEmpty { return [] }
    return Array("\(body.count) \(String(checksum(body[...]), radix: 16))\n".utf8) + body
  }

  /// What the lines of blocks tell.
  private struct Told {
    var names: [Numbers.Table: [UInt32: String]] = [:]
    var last: [Numbers.Table: UInt32] = [:]
    let isFormer: Bool

    /// False for a line that no agent wrote.
    mutating func take(_ line: ArraySlice<UInt8>) -> Bool {
      let words = line.split(separator: UInt8(ascii: " "), maxSplits: isFormer ? 1 : 2, omittingEmptySubsequences: false)
      guard words.count >= 2, let table = Numbers.Table(rawValue: String(decoding: words[0], as: UTF8.self)) else {
        return false
      }
      let told = isFormer ? last[table, default: 0] + 1 : UInt32(String(decoding: words[1], as: UTF8.self)) ?? 0
      if told == 0 { return false }
      last[table] = max(last[table] ?? 0, told)
      if words.count == 2, !isFormer {
        names[table]?[told] = nil
        return true
      }
      return names[table, default: [:]].updateValue(unescaped(words[words.count - 1]), forKey: told) == nil
    }
  }

  /// The numbers, and where the last whole block ends; nil for what no agent wrote.
  private static func parse(_ content: [UInt8]) -> (Numbers, Int)? {
    let isFormer = content.starts(with: formerHead.utf8)
    guard isFormer || content.starts(with: head.utf8) else { return nil }
    var told = Told(isFormer: isFormer)
    var place = head.utf8.count
    while place < content.count {
      guard let block = blockBody(content, at: place) else {
        // Cut off, or never wholly on the disk: then nothing follows it.
        return isLast(content, at: place) ? (Numbers(told.names, last: told.last), place) : nil
      }
      for line in content[block].split(separator: UInt8(ascii: "\n")) where !told.take(line) { return nil }
      place = block.upperBound
    }
    return (Numbers(told.names, last: told.last), place)
  }

  private static func header(_ content: [UInt8], at place: Int) -> (body: Range<Int>, checksum: UInt64)? {
    guard let end = content[place...].prefix(40).firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    let words = content[place..<end].split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
    guard words.count == 2, let length = Int(words[0]), (1...limit).contains(length),
      let checksum = UInt64(words[1], radix: 16)
    else { return nil }
    return (end + 1..<end + 1 + length, checksum)
  }

  private static func blockBody(_ content: [UInt8], at place: Int) -> Range<Int>? {
    guard let (body, sum) = header(content, at: place), body.upperBound <= content.count,
      checksum(content[body]) == sum
    else { return nil }
    return body
  }

  /// Whether a block that is not right is the file's last: it ends where the file ends, or later.
  private static func isLast(_ content: [UInt8], at place: Int) -> Bool {
    if let (body, _) = header(content, at: place) { return body.upperBound >= content.count }
    // Not even a header: a few bytes of one, or blocks of the disk that were never written.
    let rest = content[place...]
    return (rest.count < 40 && !rest.contains(UInt8(ascii: "\n"))) || rest.allSatisfy { $0 == 0 }
  }

  /// FNV-1a.
  private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  private static func unescaped(_ bytes: ArraySlice<UInt8>) -> String {
    guard bytes.contains(UInt8(ascii: "\\")) else { return String(decoding: bytes, as: UTF8.self) }
    var result: [UInt8] = []
    var escaped = false
    for byte in bytes {
      if !escaped, byte == UInt8(ascii: "\\") {
        escaped = true
      } else {
        result.append(escaped && byte == UInt8(ascii: "n") ? UInt8(ascii: "\n") : byte)
        escaped = false
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
