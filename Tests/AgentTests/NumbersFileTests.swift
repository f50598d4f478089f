import Glibc
import Policy
import Testing

@testable import Agent

struct NumbersFileTests {
  private let place = TemporaryDirectory()
  private var path: String { "\(place.path)/numbers" }

  private func numbers(workloads: Int) -> Numbers {
    var numbers = Numbers()
    for number in 0..<workloads {
      _ = numbers.workload(Name("shop", "w\(number)"))
      _ = numbers.identity(namespace: "shop", labels: ["a": "b|\"\\\n\(number)"], serviceAccount: "é")
    }
    return numbers
  }

  /// What an agent does that goes on from what it saved last.
  private func save(_ workloads: Int, _ file: NumbersFile) throws {
    var all = (try NumbersFile(path: path).load()) ?? Numbers()
    for number in 0..<workloads {
      _ = all.workload(Name("shop", "w\(number)"))
      _ = all.identity(namespace: "shop", labels: ["a": "b|\"\\\n\(number)"], serviceAccount: "é")
    }
    try file.save(&all)
  }

  private func bytes() throws -> [UInt8] { try #require(try Files.read(path, limit: 1 << 24)) }

  private func write(_ bytes: some Sequence<UInt8>) throws { try Files.replace(path, with: Array(bytes)) }

  @Test func `numbers come back as they were saved, each save adding what is new`() throws {
    #expect(try NumbersFile(path: path).load() == nil)
    let file = NumbersFile(path: path)
    var lengths: [Int] = []
    for count in [0, 3, 3, 500, 501] {
      try save(count, file)
      lengths.append(try bytes().count)
      let other = NumbersFile(path: path)
      #expect(try other.load() == numbers(workloads: count))
    }
    #expect(lengths[1] == lengths[2], "nothing new, nothing written")
    #expect(lengths[4] - lengths[3] < 200)
    // Another process goes on where the first ended.
    let next = NumbersFile(path: path)
    _ = try next.load()
    try save(502, next)
    #expect(try NumbersFile(path: path).load() == numbers(workloads: 502))
  }

  @Test func `a crash while saving loses the last block and nothing else, wherever it stopped`() throws {
    let file = NumbersFile(path: path)
    try save(2, file)
    let before = try bytes()
    try save(4, file)
    let after = try bytes()
    for length in before.count..<after.count {
      try write(after[..<length])
      let crashed = NumbersFile(path: path)
      #expect(try crashed.load() == numbers(workloads: 2), "\(length)")
      try save(3, crashed)
      #expect(try NumbersFile(path: path).load() == numbers(workloads: 3), "\(length)")
    }
    // The disk has the length and not the bytes.
    try write(before + Array(repeating: 0, count: after.count - before.count))
    #expect(try NumbersFile(path: path).load() == numbers(workloads: 2))
    try write(after.dropLast() + [0])
    #expect(try NumbersFile(path: path).load() == numbers(workloads: 2))
    try write(after)
    #expect(try NumbersFile(path: path).load() == numbers(workloads: 4), "the whole of it, for comparison")
  }

  @Test func `numbers that are none are not guessed`() throws {
    let file = NumbersFile(path: path)
    try save(2, file)
    let first = try bytes().count
    try save(4, file)
    let whole = try bytes()
    // Wrong within the first block, with a right one behind it; a word too many; another file.
    var flipped = whole
    flipped[first - 3] ^= 1
    for wrong in [flipped, whole + Array("x y z\nq".utf8), Array("{\"workloads\":".utf8), Array("weir".utf8)] {
      try write(wrong)
      #expect(
        throws: Failure("\(path): is not what an agent wrote; run `weir detach`, remove the file and start again")
      ) { try NumbersFile(path: path).load() }
    }
  }

  @Test func `the journal of layout 2 is read, and replaced by the first save`() throws {
    let body = "workloads shop/w0\nidentities shop|sa|a=b c\nworkloads shop/w1\n"
    let sum = body.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    place.write("numbers", "weir numbers 1\n\(body.utf8.count) \(String(sum, radix: 16))\n\(body)")
    let file = NumbersFile(path: path)
    var numbers = try #require(try file.load())
    #expect(numbers.workloads == ["shop/w0": 1, "shop/w1": 2])
    #expect(numbers.identities == ["shop|sa|a=b c": 1])
    #expect(numbers.workload(Name("shop", "w2")) == 3)
    try file.save(&numbers)
    #expect(String(decoding: try bytes(), as: UTF8.self).hasPrefix("weir numbers 2\n"))
    #expect(try NumbersFile(path: path).load() == numbers)
  }

  @Test func `what was released means nobody after a restart either, and its number is not given away at once`() throws {
    let file = NumbersFile(path: path)
    var numbers = numbers(workloads: 3)
    try file.save(&numbers)
    numbers.release(["shop/w1", "shop/w2"], from: .workloads)
    try file.save(&numbers)
    var other = try #require(try NumbersFile(path: path).load())
    #expect(other == numbers)
    #expect(other.workloads == ["shop/w0": 1])
    #expect(other.workload(Name("shop", "w1")) == 4)
    #expect(numbers.workload(Name("shop", "w9")) == 4)
  }

  @Test func `a journal that mostly tells of what is gone is written anew`() throws {
    let file = NumbersFile(path: path)
    var numbers = Numbers()
    var longest = 0
    for round in 0..<300 {
      let names = (0..<100).map { Name("shop", "round\(round)-\($0)") }
      for name in names { _ = numbers.workload(name) }
      try file.save(&numbers)
      numbers.release(names.map(\.description), from: .workloads)
      try file.save(&numbers)
      longest = max(longest, try bytes().count)
    }
    #expect(longest < 100_000)
    #expect(try NumbersFile(path: path).load() == numbers)
    var next = try #require(try NumbersFile(path: path).load())
    #expect(next.workload(Name("shop", "next")) == 30_001, "no number that may still be carried")
  }

  @Test func `a file that was taken away is written whole`() throws {
    let file = NumbersFile(path: path)
    var numbers = numbers(workloads: 2)
    try file.save(&numbers)
    Files.remove(path)
    _ = numbers.workload(Name("shop", "third"))
    try file.save(&numbers)
    #expect(try NumbersFile(path: path).load() == numbers)
    try write([])
    _ = numbers.workload(Name("shop", "fourth"))
    try file.save(&numbers)
    #expect(try NumbersFile(path: path).load() == numbers)
  }
}
