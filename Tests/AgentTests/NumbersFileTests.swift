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

  private func bytes() throws -> [UInt8] { try #require(try Files.read(path, limit: 1 << 24)) }

  private func write(_ bytes: some Sequence<UInt8>) throws { try Files.replace(path, with: Array(bytes)) }

  @Test func `numbers come back as they were saved, each save adding what is new`() throws {
    #expect(try NumbersFile(path: path).load() == nil)
    let file = NumbersFile(path: path)
    var lengths: [Int] = []
    for count in [0, 3, 3, 500, 501] {
      try file.save(numbers(workloads: count))
      lengths.append(try bytes().count)
      let other = NumbersFile(path: path)
      #expect(try other.load() == numbers(workloads: count))
    }
    #expect(lengths[1] == lengths[2], "nothing new, nothing written")
    #expect(lengths[4] - lengths[3] < 200)
    // Another process goes on where the first ended.
    let next = NumbersFile(path: path)
    _ = try next.load()
    try next.save(numbers(workloads: 502))
    #expect(try NumbersFile(path: path).load() == numbers(workloads: 502))
  }

  @Test func `a crash while saving loses the last block and nothing else, wherever it stopped`() throws {
    let file = NumbersFile(path: path)
    try file.save(numbers(workloads: 2))
    let before = try bytes()
    try file.save(numbers(workloads: 4))
    let after = try bytes()
    for length in before.count..<after.count {
      try write(after[..<length])
      let crashed = NumbersFile(path: path)
      #expect(try crashed.load() == numbers(workloads: 2), "\(length)")
      try crashed.save(numbers(workloads: 3))
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
    try file.save(numbers(workloads: 2))
    let first = try bytes().count
    try file.save(numbers(workloads: 4))
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

  @Test func `the one JSON object of older agents is read, and replaced by the first save`() throws {
    place.write("numbers.json", JSON.text(numbers(workloads: 2)))
    let file = NumbersFile(path: path)
    #expect(try file.load() == numbers(workloads: 2))
    try file.save(numbers(workloads: 2))
    #expect(Files.names(in: place.path) == ["numbers"])
    #expect(try NumbersFile(path: path).load() == numbers(workloads: 2))
    Files.remove(path)
    place.write("numbers.json", "{\"workloads\":")
    #expect(throws: Failure.self) { try NumbersFile(path: path).load() }
  }

  @Test func `a file that was taken away is written whole`() throws {
    let file = NumbersFile(path: path)
    try file.save(numbers(workloads: 2))
    Files.remove(path)
    try file.save(numbers(workloads: 3))
    #expect(try NumbersFile(path: path).load() == numbers(workloads: 3))
    try write([])
    try file.save(numbers(workloads: 4))
    #expect(try NumbersFile(path: path).load() == numbers(workloads: 4))
  }
}
