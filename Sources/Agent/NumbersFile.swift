import Glibc
import Policy

/// `numbers` in the run directory: what the numbers in the kernel mean. Saved before a switch uses new ones.
///
/// A journal, because a switch that gives ten names their numbers must not cost what twenty thousand do. After a
/// first line come blocks, each `LENGTH CHECKSUM` and so many bytes of lines `TABLE NAME`; a name's number is its
/// place in its table. Each block is written in one go and is on the disk (fdatasync) before `save` returns, and a
/// switch that needs no new number writes nothing. A crash can leave half of a last block: no switch used its
/// numbers, and `load` cuts it off. Anything else that is wrong is an error, for a number must never get a second
/// meaning.
final class NumbersFile {
  static let limit = 256 << 20
  private static let head = "weir numbers 1\n"

  let path: String
  /// What an agent before 0.2 wrote: one JSON object, replaced whole.
  private var formerPath: String { path + ".json" }
  /// What the file says, and how long it is; nil where there is none or one that is to be replaced.
  private var saved: (numbers: Numbers, length: Int)?

  init(path: String) { self.path = path }

  /// nil where there is none.
  func load() throws(Failure) -> Numbers? {
    saved = nil
    if let content = try read(path) {
      guard let (numbers, length) = NumbersFile.parse(content) else { throw foreign(path) }
      saved = (numbers, length)
      return numbers
    }
    guard let content = try read(formerPath) else { return nil }
    guard let numbers = JSON.decode(Numbers.self, content) else { throw foreign(formerPath) }
    return numbers
  }

  /// On the disk when it returns: a number that the kernel knows must never be given away a second time.
  func save(_ numbers: Numbers) throws(Failure) {
    let known = saved?.numbers ?? Numbers()
    let block = NumbersFile.block(numbers, after: known)
    if saved != nil, block.isEmpty { return }
    do throws(SystemError) {
      if let saved, try append(block, at: saved.length) {
        self.saved = (numbers, saved.length + block.count)
        return
      }
      let content = Array(NumbersFile.head.utf8) + NumbersFile.block(numbers, after: Numbers())
      try Files.replace(path, with: content, durable: true)
      saved = (numbers, content.count)
    } catch {
      throw Failure(error)
    }
    // Only now: the new one is on the disk.
    Files.remove(formerPath)
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

  private func foreign(_ path: String) -> Failure {
    Failure("\(path): is not what an agent wrote; run `weir detach`, remove the file and start again")
  }
}

// MARK: - Text

extension NumbersFile {
  /// Empty where nothing is new.
  private static func block(_ numbers: Numbers, after known: Numbers) -> [UInt8] {
    var body: [UInt8] = []
    for table in Numbers.Table.allCases {
      for name in numbers.names(table, after: known.count(table)) {
        body += table.rawValue.utf8
        body.append(UInt8(ascii: " "))
        for byte in name.utf8 {
          switch byte {
          case UInt8(ascii: "\n"): body += "\\n".utf8
          case UInt8(ascii: "\\"): body += "\\\\".utf8
          default: body.append(byte)
          }
        }
        body.append(UInt8(ascii: "\n"))
      }
    }
    if body.isEmpty { return [] }
    return Array("\(body.count) \(String(checksum(body[...]), radix: 16))\n".utf8) + body
  }

  /// The numbers, and where the last whole block ends; nil for what no agent wrote.
  private static func parse(_ content: [UInt8]) -> (Numbers, Int)? {
    guard content.starts(with: head.utf8) else { return nil }
    var numbers = Numbers()
    var place = head.utf8.count
    while place < content.count {
      guard let block = blockBody(content, at: place) else {
        // Cut off, or never wholly on the disk: then nothing follows it.
        return isLast(content, at: place) ? (numbers, place) : nil
      }
      for line in content[block].split(separator: UInt8(ascii: "\n")) {
        guard let space = line.firstIndex(of: UInt8(ascii: " ")),
          let table = Numbers.Table(rawValue: String(decoding: line[..<space], as: UTF8.self)),
          numbers.add(unescaped(line[(space + 1)...]), to: table)
        else { return nil }
      }
      place = block.upperBound
    }
    return (numbers, place)
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
