import FoundationEssentials
import Glibc
import Policy
import Testing

@testable import Proxies

/// Where the tests find Envoy: WEIR_ENVOY, or where `scripts/install-envoy .build/envoy` puts it.
enum InstalledEnvoy {
  static let packageRoot = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
  static let path = variable("WEIR_ENVOY") ?? packageRoot + "/.build/envoy/envoy"
  static let isThere = access(path, X_OK) == 0
  /// In CI a test that cannot run is a failure, so there it runs and fails.
  static let isExpected = isThere || variable("CI") != nil

  private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// What an Envoy says about the rules it was given: it has no other answer than its statistics.
struct Acknowledgement: Equatable {
  /// Of the rules in force; nil while there are none.
  var generation: UInt32?
  /// How many files it refused.
  var refusals = 0
}

/// A stock Envoy on free ports of the loopback, with a directory of its own. Ended by `stop`, or by the end
/// of the test process, however that comes.
final class LiveEnvoy {
  let paths: Envoy.Paths
  let port: UInt16
  private let directory: String
  private var shell: pid_t = 0
  private var lifeline: Int32 = -1

  /// A file of rules first: Envoy does not start without one.
  init(rules: String = Envoy.rules([], generation: 0)) throws {
    guard InstalledEnvoy.isThere else {
      throw Failure("\(InstalledEnvoy.path) is missing: scripts/install-envoy .build/envoy")
    }
    directory = try temporaryDirectory()
    paths = Envoy.Paths(runDirectory: directory, proxy: Name("shop", "envoy"))
    port = try Loopback.freePort()
    try FileManager.default.createDirectory(atPath: paths.directory, withIntermediateDirectories: true)
    try put(rules)
  }

  /// What the agent does: the whole text beside the file, then a rename.
  func put(_ rules: String) throws {
    try rules.write(toFile: paths.rules + ".new", atomically: false, encoding: .utf8)
    guard rename(paths.rules + ".new", paths.rules) == 0 else { throw Failure("rename: errno \(errno)") }
  }

  /// The bootstrap with the routes replaced: the kernel half is not here to say where a request wanted to go.
  func bootstrap(routes: Parsed, upstream: UInt16? = nil) throws -> String {
    let addresses = [IPAddress(v4: 0x7f00_0001), IPAddress(bits: 1)]
    var document = try Parsed(Envoy.bootstrap(for: proxy(addresses, port: port), paths: paths))
    for listener in 0..<addresses.count {
      document["static_resources"]["listeners"][listener]["filter_chains"][0]["filters"][0]["typed_config"][
        "route_config"]["virtual_hosts"][0]["routes"] = routes
    }
    guard let upstream else { return try document.text() }
    for listener in 0..<addresses.count {
      // original_src would need a capability: it is the kernel half that lets it go without.
      let filters = document["static_resources"]["listeners"][listener]["listener_filters"].elements
      document["static_resources"]["listeners"][listener]["listener_filters"] = .array(
        filters.filter { $0["name"] != "envoy.filters.listener.original_src" })
    }
    var cluster = document["static_resources"]["clusters"][0].members
    cluster["lb_policy"] = nil
    cluster["type"] = "STATIC"
    let endpoint: Parsed = [
      "address": ["socket_address": ["address": "127.0.0.1", "port_value": .number(Int(upstream))]]
    ]
    cluster["load_assignment"] = [
      "cluster_name": "original", "endpoints": [["lb_endpoints": [["endpoint": endpoint]]]],
    ]
    document["static_resources"]["clusters"][0] = .object(cluster)
    return try document.text()
  }

  /// Starts Envoy and waits until it serves. The shell between us ends it, by its pid, when our end of the
  /// shell's standard input closes: the kernel does that for us even when the test process is killed.
  func start(_ bootstrap: String) throws {
    let script = #""$@" >"$log" 2>&1 </dev/null & read -r _; kill -KILL $! 2>/dev/null; wait"#
    try run(script, bootstrap, arguments: ["--concurrency", "1", "--file-flush-interval-msec", "50"])
    for _ in 0..<500 {
      if (try? admin("/ready"))?.status == 200 { return }
      usleep(20_000)
    }
    throw Failure("Envoy does not get ready: \(log)")
  }

  /// `--mode validate`: nil, or why Envoy does not take the bootstrap.
  func validate(_ bootstrap: String) throws -> String? {
    try run(#"exec "$@" >"$log" 2>&1"#, bootstrap, arguments: ["--mode", "validate"])
    return kill() == 0 ? nil : log
  }

  private func run(_ script: String, _ bootstrap: String, arguments: [String]) throws {
    let file = directory + "/bootstrap.json"
    try bootstrap.write(toFile: file, atomically: false, encoding: .utf8)
    let command =
      ["/bin/sh", "-c", "log=$0; " + script, directory + "/log", InstalledEnvoy.path, "-c", file]
      + Envoy.arguments + arguments
    var ends: [Int32] = [0, 0]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw Failure("socketpair: errno \(errno)") }
    defer { close(ends[0]) }
    lifeline = ends[1]
    shell = try spawn(command, input: ends[0])
  }

  /// Ends Envoy at once; its directory stays, so that it can be started again. The status of the shell.
  @discardableResult func kill() -> Int32 {
    guard shell > 0 else { return 0 }
    close(lifeline)
    var status: Int32 = 0
    waitpid(shell, &status, 0)
    shell = 0
    return status
  }

  func stop() {
    kill()
    try? FileManager.default.removeItem(atPath: directory)
  }

  var log: String { (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? "" }

  /// So many lines of the access log, or those that are there after five seconds: Envoy writes it at
  /// intervals.
  func accessLog(lines count: Int) throws -> [String] {
    var lines: [String] = []
    for _ in 0..<500 {
      lines = try String(contentsOfFile: paths.accessLog, encoding: .utf8).split(separator: "\n").map(
        String.init)
      if lines.count >= count { break }
      usleep(10_000)
    }
    return lines
  }

  func admin(_ path: String) throws -> Response {
    let socket = try Socket(unix: paths.admin)
    return try socket.request("GET \(path) HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
  }

  func acknowledgement() throws -> Acknowledgement {
    let statistic = "extension_config_discovery.http_filter.l7policy."
    var answer = Acknowledgement()
    // The body is in chunks, whose sizes stand on lines of their own.
    for line in try admin("/stats?filter=\(statistic)").body.split(whereSeparator: \.isNewline)
    where line.hasPrefix(statistic) {
      let words = line.dropFirst(statistic.count).split(separator: ": ", maxSplits: 1)
      guard words.count == 2 else { continue }
      switch words[0] {
      case "version_text": answer.generation = words[1].split(separator: "\"").first.flatMap { UInt32($0) }
      case "update_rejected", "update_failure": answer.refusals += Int(words[1]) ?? 0
      default: break
      }
    }
    return answer
  }

  /// Asks until Envoy has taken the generation, and refused as many files; the last answer, also when it
  /// never does.
  func acknowledgement(generation: UInt32, refusals: Int = 0) throws -> Acknowledgement {
    for _ in 0..<500 {
      let answer = try acknowledgement()
      if answer.generation == generation, answer.refusals >= refusals { return answer }
      usleep(10_000)
    }
    return try acknowledgement()
  }
}
