import FoundationEssentials
import Glibc
import Testing

@testable import Policy

/// A directory of its own, removed with everything in it.
private final class Shelf {
  let path: String

  init() throws {
    var template = Array("/tmp/weir-library-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  subscript(name: String) -> String { "\(path)/\(name)" }

  /// Written in place, or whole by rename. `age`: both of its times are that many seconds back, as far as the file
  /// system lets one say so (not the time of change).
  func write(_ name: String, _ text: String, rename isRenamed: Bool = false, age: Int = 0) throws {
    let target = isRenamed ? self["." + name] : self[name]
    let stream = try #require(fopen(target, "w"))
    fputs(text, stream)
    fclose(stream)
    if isRenamed { try #require(rename(target, self[name]) == 0) }
    if age > 0 { try setAge(name, age) }
  }

  func setAge(_ name: String, _ seconds: Int) throws {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    now.tv_sec -= seconds
    try #require(utimensat(AT_FDCWD, self[name], [now, now], 0) == 0)
  }
}

private func podText(_ name: String, _ address: String, label: String = "web") -> String {
  "apiVersion: v1\nkind: Pod\nmetadata: {name: \(name), namespace: shop, labels: {app: \(label)}}\n"
    + "status: {podIP: \(address)}\n---\n"
}

private func policyText(_ name: String, app: String = "web") -> String {
  "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: \(name), namespace: shop}\n"
    + "spec: {podSelector: {matchLabels: {app: \(app)}}}\n---\n"
}

/// What two readings must have in common: everything but the stamp and the work.
private func summary(_ reading: Reading) -> [String] {
  let set = reading.set
  return ["\(reading.files) files, \(reading.objects) objects"] + reading.problems.map(\.description)
    + set.endpoints.values.sorted { $0.name < $1.name }.map { "\($0)" }
    + set.namespaces.values.sorted { $0.name < $1.name }.map { "\($0)" }
    + set.proxies.values.sorted { $0.name < $1.name }.map { "\($0)" }
    + set.networkPolicies.map { "\($0)" } + set.authorizationPolicies.map { "\($0)" }
}

@Test func `what did not change is not decoded again, and what did is`() throws {
  let shelf = try Shelf()
  let library = Library()
  try shelf.write("a.yaml", podText("a", "10.0.0.1"))
  try shelf.write("b.yaml", policyText("b"))
  let first = library.read([shelf.path])
  #expect(first.decoded == (podText("a", "10.0.0.1") + policyText("b")).utf8.count)
  #expect(library.read([shelf.path]).decoded == 0)
  try shelf.write("b.yaml", policyText("b", app: "api"), rename: true)
  let third = library.read([shelf.path])
  #expect(third.decoded == policyText("b", app: "api").utf8.count)
  #expect(third.set.networkPolicies[0].podSelector.matches(["app": "api"]))
}

@Test func `a file whose times say nothing is read again, and told by its bytes`() throws {
  let shelf = try Shelf()
  let library = Library()
  try shelf.write("a.yaml", policyText("a", app: "one"))
  _ = library.read([shelf.path])
  // Same name, same file, same size; and the time of modification as it was.
  var status = stat()
  try #require(stat(shelf["a.yaml"], &status) == 0)
  try shelf.write("a.yaml", policyText("a", app: "two"))
  try #require(utimensat(AT_FDCWD, shelf["a.yaml"], [status.st_mtim, status.st_mtim], 0) == 0)
  #expect(library.read([shelf.path]).set.networkPolicies[0].podSelector.matches(["app": "two"]))
}

@Test func `a file is only trusted unread when it was old when it was seen`() throws {
  var status = stat()
  status.st_size = 10
  status.st_mtim.tv_sec = 1000
  status.st_ctim.tv_sec = 1000
  let look = PolicyFile.Look(status)
  var then = look
  then.seen = 1000 * 1_000_000_000 + PolicyFile.Look.tick
  #expect(!look.isSame(as: then))
  then.seen += 1
  #expect(look.isSame(as: then))
  then.changed -= 1
  #expect(!look.isSame(as: then))
}

@Test func `the inventory's stamp changes with the inventory, and not with a policy or a line`() throws {
  let shelf = try Shelf()
  let library = Library()
  try shelf.write("a.yaml", podText("a", "10.0.0.1") + podText("b", "10.0.0.2"))
  try shelf.write("b.yaml", policyText("p"))
  let first = library.read([shelf.path]).set.inventoryStamp
  #expect(first != 0)
  #expect(library.read([shelf.path]).set.inventoryStamp == first)
  try shelf.write("b.yaml", policyText("p", app: "api") + policyText("q"))
  #expect(library.read([shelf.path]).set.inventoryStamp == first)
  try shelf.write("a.yaml", "# a line\n" + podText("a", "10.0.0.1") + policyText("r") + podText("b", "10.0.0.2"))
  let shifted = library.read([shelf.path]).set
  #expect(shifted.inventoryStamp == first)
  #expect(shifted.endpoints[Name("shop", "a")]?.place.line == 2)
  try shelf.write("a.yaml", podText("a", "10.0.0.1") + podText("b", "10.0.0.3"))
  let second = library.read([shelf.path]).set.inventoryStamp
  #expect(second != first && second != 0)
  unlink(shelf["a.yaml"])
  let third = library.read([shelf.path]).set
  #expect(third.inventoryStamp != second && third.endpoints.isEmpty)
  #expect(Library().read([shelf.path]).set.inventoryStamp != third.inventoryStamp)
}

@Test func `a set whose inventory is changed by hand has no stamp`() throws {
  let shelf = try Shelf()
  try shelf.write("a.yaml", podText("a", "10.0.0.1"))
  var set = Reading(paths: [shelf.path]).set
  #expect(set.inventoryStamp != 0)
  set.networkPolicies = []
  #expect(set.inventoryStamp != 0)
  set.endpoints[Name("shop", "a")]?.serviceAccount = "other"
  #expect(set.inventoryStamp == 0)
}

@Test func `an object that moves from one file to another is there once, and twice is a conflict until it ends`() throws {
  let shelf = try Shelf()
  let library = Library()
  try shelf.write("a.yaml", podText("a", "10.0.0.1"))
  try shelf.write("b.yaml", podText("b", "10.0.0.2"))
  #expect(library.read([shelf.path]).objects == 2)
  try shelf.write("a.yaml", podText("b", "10.0.0.2"))
  try shelf.write("b.yaml", podText("a", "10.0.0.1"))
  #expect(Set(library.read([shelf.path]).set.endpoints.keys) == [Name("shop", "a"), Name("shop", "b")])
  try shelf.write("a.yaml", podText("a", "10.0.0.9"))
  let twice = library.read([shelf.path])
  #expect(twice.problems.map { "\($0.file) \($0.line) \($0.field)" } == ["\(shelf["b.yaml"]) 3 metadata.name"])
  #expect(twice.objects == 1 && twice.set.endpoints[Name("shop", "a")]?.addresses == ["10.0.0.9"].compactMap { IPAddress($0) })
  try shelf.write("b.yaml", podText("b", "10.0.0.9"))
  #expect(library.read([shelf.path]).problems.map(\.field) == ["status.podIP"])
  try shelf.write("b.yaml", podText("b", "10.0.0.2"))
  #expect(library.read([shelf.path]).problems.isEmpty)
}

@Test func `after any changes a library reads what a new one reads`() throws {
  let shelf = try Shelf()
  let library = Library()
  var random = SystemRandomNumberGenerator()
  var log: [String] = []
  for _ in 0..<150 {
    let name = "f\(Int.random(in: 0..<6, using: &random)).yaml"
    switch Int.random(in: 0..<8, using: &random) {
    case 0:
      unlink(shelf[name])
      log.append("unlink \(name)")
    case 1:
      let other = "f\(Int.random(in: 0..<6, using: &random)).yaml"
      rename(shelf[name], shelf[other])
      log.append("rename \(name) \(other)")
    case 2:
      try shelf.write(name, "apiVersion: v1\nkind: Wrong\n")
      log.append("wrong \(name)")
    default:
      var text = ""
      for _ in 0..<Int.random(in: 0..<4, using: &random) {
        let number = Int.random(in: 0..<25, using: &random)
        text += Bool.random(using: &random) ? podText("p\(number)", "10.0.0.\(number)") : policyText("n\(number)")
      }
      try shelf.write(name, text, rename: Bool.random(using: &random), age: Int.random(in: 0..<2) * 100)
      log.append("write \(name) \(text)")
    }
    let kept = library.read([shelf.path])
    let anew = Reading(paths: [shelf.path])
    #expect(summary(kept) == summary(anew), "\(log)")
    if summary(kept) != summary(anew) { return }
  }
}

@Test func `files decoded side by side are put together in their order`() throws {
  let shelf = try Shelf()
  for number in 0..<40 { try shelf.write("f\(100 + number).yaml", policyText("p\(number)")) }
  let reading = Reading(paths: [shelf.path])
  #expect(reading.set.networkPolicies.map(\.name.name) == (0..<40).map { "p\($0)" })
  #expect(concurrently(1000) { $0 * 2 } == (0..<1000).map { $0 * 2 })
  #expect(concurrently(0) { $0 }.isEmpty)
}
