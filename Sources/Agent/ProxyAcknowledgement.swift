import Policy
import Proxies

/// What an Envoy says of the rules it was given, from its statistics on the admin socket.
struct ProxyAdmin {
  /// `extension_config_discovery.http_filter.l7policy.*`, as Envoy 1.40 has them.
  struct State: Equatable {
    /// version_text: the version_info of the rules it uses; nil while it has taken none.
    var version: String?
    var success: UInt64 = 0
    /// update_rejected and update_failure: rules it would not take, files it could not parse.
    var refused: UInt64 = 0
  }

  var path: String

  /// nil where nobody answers in time: it is not running, or not yet.
  func state(milliseconds: Int) -> State? {
    let target = "/stats?filter=extension_config_discovery.http_filter.l7policy"
    guard
      let answer = try? UnixConnection.exchange(
        path, "GET", target, milliseconds: milliseconds, limit: 1 << 20), answer.status == 200
    else { return nil }
    return ProxyAdmin.parse(String(decoding: answer.body, as: UTF8.self))
  }

  static func parse(_ text: String) -> State {
    var state = State()
    for line in text.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      switch line[..<colon].split(separator: ".").last {
      case "version_text":
        let version = value.filter { $0 != "\"" }
        if !version.isEmpty { state.version = version }
      case "update_success": state.success = UInt64(value) ?? 0
      case "update_rejected", "update_failure": state.refused += UInt64(value) ?? 0
      default: break
      }
    }
    return state
  }
}

/// Where one proxy stands with the generation in force.
enum Acknowledgement: String, Codable {
  case acknowledged
  /// It answers, but has not asked for its rules yet; it will start with the file that is there.
  case starting
  /// It answers, and took none of the rules it was given; it refuses every request.
  case refused
  case notRunning = "not-running"
  /// It runs with the rules of another generation.
  case behind
}

/// What one proxy is told: what it enforces, and what it only reports.
struct ProxyRules: Equatable {
  var enforced: [L7Rule]
  var shadow: [L7Rule]
}

/// The rules files of one generation on their way to the proxies: written, acknowledged, or taken back.
struct ProxyRollout {
  private struct One {
    var name: Name
    var paths: Envoy.Paths
    var former: [UInt8]?
    var before: ProxyAdmin.State?
    var deadline: UInt64
  }

  private var all: [One] = []
  private let generation: UInt32

  /// Writes every proxy's file. On an error the former ones are back.
  init(_ rules: [Name: ProxyRules], audit: Bool, generation: UInt32, runDirectory: String) throws(Failure) {
    self.generation = generation
    do throws(SystemError) {
      for (name, told) in rules.sorted(by: { $0.key < $1.key }) {
        let paths = Envoy.Paths(runDirectory: runDirectory, proxy: name)
        try Files.makeDirectory(paths.directory)
        let text = Envoy.rules(told.enforced, shadow: told.shadow, audit: audit, generation: generation)
        let former = try Files.read(paths.rules, limit: 256 << 20)
        let before = ProxyAdmin(path: paths.admin).state(milliseconds: 100)
        // Envoy needs about a quarter of a millisecond a kilobyte on a quiet machine; a busy one gets four
        // times that.
        let patience = 500 + text.utf8.count / 1024
        let deadline = Clock.monotonic() + UInt64(patience) * 1_000_000
        all.append(One(name: name, paths: paths, former: former, before: before, deadline: deadline))
        try Files.replace(paths.rules, with: Array(text.utf8))
      }
    } catch {
      takeBack()
      throw Failure(error)
    }
  }

  /// Returns when every proxy that runs uses the rules; throws when one will not, after its time is up at the
  /// latest.
  func confirm() throws(Failure) {
    for one in all where one.before != nil { try confirm(one) }
  }

  /// Puts the former files back: where there was none, none.
  func takeBack() {
    for one in all {
      if let former = one.former {
        try? Files.replace(one.paths.rules, with: former)
      } else {
        Files.remove(one.paths.rules)
      }
    }
  }

  private func confirm(_ one: One) throws(Failure) {
    guard let before = one.before else { return }
    let admin = ProxyAdmin(path: one.paths.admin)
    while true {
      // Stopped while we waited: nothing to wait for, it starts again with this file.
      guard let now = admin.state(milliseconds: 100) else { return }
      // Where the number was in use before (by a generation that was taken back), the count must have moved
      // too.
      let isNew = before.version != String(generation) || now.success != before.success
      if now.version == String(generation) && isNew { return }
      if now.refused > before.refused {
        throw Failure(
          "proxy \(one.name): refuses the rules of generation \(generation); its own log says why")
      }
      if Clock.monotonic() >= one.deadline {
        // It answers but has taken nothing at all: still starting.
        if now.version == nil && now.success == 0 { return }
        throw Failure("proxy \(one.name): does not acknowledge the rules of generation \(generation)")
      }
      Clock.sleep(milliseconds: 2)
    }
  }
}
