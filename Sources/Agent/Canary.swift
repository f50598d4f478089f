import CLinux
import Datapath
import Glibc

/// The agent's half of the canary: makes its two cgroups below the cgroup root, and asks one thing at a time.
final class Canary {
  enum State: Equatable {
    case starting
    case ready(v6: Bool)
    /// Why nothing can be asked.
    case unavailable(String)
  }

  private(set) var state = State.starting
  /// The directories of the child's cgroups.
  let source: String
  let destination: String
  private let above: String
  private let loop: EventLoop
  private var child: CanaryChild?
  private var descriptor: Int32 { child?.descriptor ?? -1 }
  private var waiting: ((String?) -> Void)?
  private var deadline: EventLoop.Deadline?
  /// Called when the child said that it is ready, or that it cannot be.
  var settled: () -> Void = {}

  /// The name of the directory below the cgroup root.
  static let directory = "weir-canary"

  init(_ child: CanaryChild, root: String, home: String, loop: EventLoop) {
    above = "\(root)/\(Canary.directory)"
    source = "\(above)/source"
    destination = "\(above)/destination"
    self.loop = loop
    self.child = child
    removeCgroups()
    let places = Array([CanaryProcess.Places.word, source, destination, home].joined(separator: "\0").utf8)
    do throws(SystemError) {
      // A child that could not make its namespace may have ended; then its last word is still to be heard.
      if send(descriptor, places, places.count, Int32(MSG_NOSIGNAL)) != places.count && errno != EPIPE {
        throw SystemError("send", "the canary")
      }
      try loop.onReadable(descriptor) { [unowned self] in hear() }
    } catch {
      self.child = nil
      state = .unavailable("the canary cannot be started: \(error)")
    }
  }

  /// Asks; `done` gets the answer once, nil where there is none because the child is gone.
  func ask(_ message: String, milliseconds: Int, done: @escaping (String?) -> Void) {
    guard descriptor >= 0, waiting == nil else { return done(nil) }
    let bytes = Array(message.utf8)
    guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { return done(nil) }
    waiting = done
    deadline = loop.after(milliseconds: milliseconds) { [unowned self] in end("the canary did not answer in time") }
  }

  private func hear() {
    var buffer = [UInt8](repeating: 0, count: 512)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
    guard count > 0 else { return end("the canary ended") }
    let message = String(decoding: buffer.prefix(count), as: UTF8.self)
    if message.hasPrefix("ready ") {
      state = .ready(v6: message == "ready v6")
      settled()
    } else if message.hasPrefix("unavailable ") {
      end(String(message.dropFirst("unavailable ".count)))
      settled()
    } else {
      answer(message)
    }
  }

  private func answer(_ message: String?) {
    if let deadline { loop.cancel(deadline) }
    deadline = nil
    let done = waiting
    waiting = nil
    done?(message)
  }

  private func end(_ why: String) {
    stop()
    state = .unavailable("\(why); the next start of the agent starts it again")
    answer(nil)
  }

  /// The two cgroups' ids; they are made where they are not there, but not the root above them. nil where they
  /// cannot be.
  func cgroups() -> (source: UInt64, destination: UInt64)? {
    let paths: [String] = [above, source, destination]
    for path in paths where mkdir(path, 0o755) != 0 && errno != EEXIST { return nil }
    guard let from = Cgroup.id(source), let to = Cgroup.id(destination) else { return nil }
    return (from, to)
  }

  /// Ends the child, which hears that nobody is there any more, and removes its cgroups once it has left them.
  func stop() {
    if descriptor >= 0 { loop.forget(descriptor) }
    child = nil
    for _ in 0..<30 where !removeCgroups() { Clock.sleep(milliseconds: 10) }
  }

  /// Also what an agent left that was killed. False where somebody is in them.
  @discardableResult
  private func removeCgroups() -> Bool {
    let paths: [String] = [source, destination, above]
    return paths.allSatisfy { rmdir($0) == 0 || errno == ENOENT }
  }
}

/// The process, started before the agent gives up any privilege. A running agent can neither start nor signal one:
/// what ends the child is that nobody holds the other end of its socket, or the end of the agent.
final class CanaryChild {
  let descriptor: Int32

  init() throws(SystemError) {
    // Nobody waits for it.
    signal(SIGCHLD, SIG_IGN)
    descriptor = try CanaryChild.spawn()
  }

  deinit { close(descriptor) }

  private static func spawn() throws(SystemError) -> Int32 {
    var ends: [Int32] = [-1, -1]
    let kind = SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    if socketpair(AF_UNIX, Int32(kind), 0, &ends) != 0 { throw SystemError("socketpair", "the canary") }
    defer { close(ends[1]) }
    // The child waits in recv(2).
    _ = fcntl(ends[1], F_SETFL, 0)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A key at the agent's terminal is not for it: it ends when the agent has ended.
    var (none, all) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
    let words: [String] = ["weir", "canary"]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let code = posix_spawn(&child, "/proc/self/exe", &actions, &attributes, &arguments, linux_environment())
    if code != 0 {
      close(ends[0])
      throw SystemError("start", "/proc/self/exe", code: code)
    }
    return ends[0]
  }
}
