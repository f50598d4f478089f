import FoundationEssentials
import Glibc
import Testing

@testable import Policy

/// A directory of its own, removed with everything in it.
private final class Directory {
  let path: String

  init() throws {
    var template = Array("/tmp/weir-decode-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  subscript(name: String) -> String { "\(path)/\(name)" }

  func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
    let all = Array(bytes)
    let descriptor = open(self[name], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var done = 0
    while done < all.count {
      let count = all.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress?.advanced(by: done), all.count - done)
      }
      try #require(count > 0)
      done += count
    }
  }

  func write(_ name: String, _ text: String) throws { try write(name, text.utf8) }
}

private let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: %}\n"
private func namespace(_ name: String) -> String { namespace.replacing("%", with: name) }

@Test("a directory's YAML and JSON files are read, in order, not below it and not what starts with a dot")
func directories() throws {
  let directory = try Directory()
  for name in ["c.yaml", "a.yml", "b.json", "d.txt", ".e.yaml", "yaml"] {
    try directory.write(name, namespace("n" + String(name.first { $0.isLetter } ?? "x")))
  }
  try #require(mkdir(directory["sub"], 0o700) == 0)
  try directory.write("sub/f.yaml", namespace("nf"))
  for path in [directory.path, directory.path + "/"] {
    let reading = Reading(paths: [path])
    #expect(reading.problems.isEmpty)
    #expect(reading.files == 3 && reading.objects == 3)
    #expect(
      reading.set.namespaces.values.map(\.place.file).sorted()
        == ["a.yml", "b.json", "c.yaml"].map { directory[$0] })
  }
}

@Test("a file may be named itself, whatever its name, and is read once however often it is reached")
func sameFileTwice() throws {
  let directory = try Directory()
  try directory.write("a.yaml", namespace("a"))
  try directory.write("b", namespace("b"))
  try #require(symlink("a.yaml", directory["link.yaml"]) == 0)
  let reading = Reading(paths: [directory["b"], directory.path, directory["a.yaml"], directory.path])
  #expect(reading.problems.isEmpty, "\(reading.problems)")
  #expect(reading.objects == 2 && reading.files == 2)
}

@Test("a mounted ConfigMap, whose files are links into `..data`, is read once")
func configMap() throws {
  let directory = try Directory()
  try #require(mkdir(directory["..2024"], 0o700) == 0)
  try directory.write("..2024/a.yaml", namespace("a"))
  try #require(symlink("..2024", directory["..data"]) == 0)
  try #require(symlink("..data/a.yaml", directory["a.yaml"]) == 0)
  let reading = Reading(paths: [directory.path])
  #expect(reading.problems.isEmpty && reading.objects == 1)
}

@Test("what cannot be read is one problem each, and the rest is read")
func unreadable() throws {
  let directory = try Directory()
  try directory.write("good.yaml", namespace("a"))
  try #require(mkfifo(directory["fifo.yaml"], 0o600) == 0)
  try #require(symlink("loop.yaml", directory["loop.yaml"]) == 0)
  try #require(symlink("/dev/zero", directory["zero.yaml"]) == 0)
  try #require(symlink("nowhere", directory["gone.yaml"]) == 0)
  try #require(mkdir(directory["sub.yaml"], 0o700) == 0)
  let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(listener) }
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: directory["socket.yaml"].utf8) }
  let bound = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
  try #require(bound == 0)
  let reading = Reading(paths: [directory.path, directory["missing"], directory["missing.yaml"]])
  let said = Dictionary(
    uniqueKeysWithValues: reading.problems.map {
      (String($0.file.dropFirst(directory.path.count + 1)), $0.message)
    })
  #expect(
    said == [
      "fifo.yaml": "expected a regular file, found a FIFO",
      "zero.yaml": "expected a regular file, found a device",
      "sub.yaml": "expected a regular file, found a directory",
      "socket.yaml": "expected a regular file, found a socket",
      "loop.yaml": "cannot be read: its symbolic links lead in a circle",
      "gone.yaml": "cannot be read: there is no such file or directory",
      "missing": "cannot be read: there is no such file or directory",
      "missing.yaml": "cannot be read: there is no such file or directory",
    ])
  #expect(reading.objects == 1 && reading.files == 7)
}

/// One hostile file: what it holds, where it is refused and how.
struct Hostile: Sendable, CustomTestStringConvertible {
  var testDescription: String
  var bytes: @Sendable () -> [UInt8]
  var place: String
  var says: String
  /// Processor time it may take, in a debug build.
  var seconds: Double

  init(
    _ sentence: String, at place: String, says: String, within seconds: Double = 1,
    _ bytes: @escaping @Sendable () -> [UInt8]
  ) {
    testDescription = sentence
    self.seconds = seconds
    self.bytes = bytes
    self.place = place
    self.says = says
  }
}

private func laughs() -> String {
  var text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
  for level in 1...9 {
    text +=
      "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", "))]\n"
  }
  return text
}

@Test(
  "hostile text is refused in well under a second",
  arguments: [
    Hostile("an alias bomb", at: "7:10", says: "more than 1000000 values") { Array(laughs().utf8) },
    Hostile("a chain of aliases that nests deeper and deeper", at: "63:9", says: "through aliases") {
      Array(("- &a0 [x]\n" + (1...200).map { "- &a\($0) [*a\($0 - 1)]\n" }.joined()).utf8)
    },
    Hostile("brackets nested ten thousand deep", at: "1:65", says: "deeper than 64") {
      Array(repeating: UInt8(ascii: "["), count: 10_000)
    },
    Hostile("mappings nested ten thousand deep", at: "65:65", says: "deeper than 64") {
      Array((0..<10_000).map { String(repeating: " ", count: min($0, 100)) + "a:\n" }.joined().utf8)
    },
    Hostile("sequences nested ten thousand deep in one line", at: "1:129", says: "deeper than 64") {
      Array(String(repeating: "- ", count: 10_000).utf8)
    },
    Hostile("NUL bytes", at: "2:3", says: "NUL") { Array("a: 1\nb:\0".utf8) },
    Hostile("a file of NUL bytes", at: "1:1", says: "NUL") { Array(repeating: 0, count: 8 << 20) },
    Hostile("invalid UTF-8", at: "2:4", says: "not UTF-8") { Array("a: 1\né: ".utf8) + [0xff] },
    Hostile("an overlong encoding", at: "1:1", says: "not UTF-8") { [0xc0, 0xaf] },
    Hostile("UTF-16", at: "1:1", says: "not UTF-8") { [0xff, 0xfe, 0x61, 0x00] },
    Hostile("a million documents", at: "100001:1", says: "more than 100000 documents") {
      Array(String(repeating: "---\n", count: 1_000_000).utf8)
    },
    Hostile("a hundred thousand %TAG directives", at: "1:1", says: "%TAG") {
      Array(((0..<100_000).map { "%TAG !a\($0)! x\n" }.joined() + "---\n").utf8)
    },
    Hostile("a quote that never ends", at: "1:8388609", says: "end of stream") {
      [UInt8(ascii: "\"")] + Array(repeating: UInt8(ascii: "a"), count: 8 << 20 - 1)
    },
    Hostile("a hundred thousand wrong words in one list", at: "0:0", says: "more than 1000 problems", within: 10) {
      Array(networkPolicy("policyTypes: [\(String(repeating: "Ingres,", count: 100_000))]").utf8)
    },
    Hostile("fifteen thousand named ports of one Pod", at: "4:1", says: "unknown field", within: 10) {
      let ports = (0..<15_000).map { "{name: a\($0), containerPort: 1}" }.joined(separator: ",")
      return Array(pod("x: {}\nspec: {containers: [{ports: [\(ports)]}]}").utf8)
    },
    Hostile("fifteen thousand addresses of one Pod", at: "0:0", says: "more than 1000 problems", within: 10) {
      let ips = (0..<15_000).map { "{ip: 10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)}" }.joined(
        separator: ",")
      return Array(pod("status: {podIPs: [\(ips)]}").utf8)
    },
    Hostile("a hundred thousand addresses of one Node", at: "4:1", says: "unknown field", within: 10) {
      let addresses = (0..<100_000).map {
        "{type: ExternalIP, address: 10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)}"
      }
      return Array(
        ("apiVersion: v1\nkind: Node\nmetadata: {name: a}\nx: {}\nstatus: {addresses: ["
          + addresses.joined(separator: ",") + "]}").utf8)
    },
    Hostile("a subject of a hundred thousand fields", at: "0:0", says: "more than 1000 problems", within: 10) {
      let members = (0..<100_000).map { "f\($0): {}" }.joined(separator: ",")
      return Array(
        ("apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: a}\n"
          + "spec: {tier: Admin, priority: 1, subject: {\(members)}}").utf8)
    },
    Hostile("a key of eight million characters", at: "1:1", says: "") {
      Array(repeating: UInt8(ascii: "k"), count: 8 << 20) + Array(": v".utf8)
    },
  ])
func hostileText(row: Hostile) throws {
  let directory = try Directory()
  try directory.write("a.yaml", row.bytes())
  let before = threadSeconds()
  let problems = Reading(paths: [directory.path]).problems
  let seconds = threadSeconds() - before
  #expect(problems.first.map { "\($0.line):\($0.column)" } == row.place)
  #expect(problems.first?.message.contains(row.says) == true, "\(problems)")
  #expect(problems.map(\.message.count).max() ?? 0 < 400)
  #expect(seconds < row.seconds)
}

/// Processor time of this thread: the machine may be busy with other things.
private func threadSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

@Test("a file of 100 MB is refused unread")
func largeFile() throws {
  let directory = try Directory()
  try directory.write("a.yaml", "")
  try #require(truncate(directory["a.yaml"], 100 << 20) == 0)
  var problems: [Problem] = []
  let duration = ContinuousClock().measure { problems = Reading(paths: [directory.path]).problems }
  #expect(problems == [Problem(file: directory["a.yaml"], message: "larger than 16 MiB; split it")])
  #expect(duration < .seconds(1))
}

@Test("a file that says it is empty and is not, as in /proc, is read to its end")
func procFile() {
  let problems = Reading(paths: ["/proc/self/status"]).problems
  #expect(problems.first?.file == "/proc/self/status")
  #expect(problems.first?.line ?? 0 > 0)
}
