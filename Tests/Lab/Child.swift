import CLinux
import Datapath
import Glibc

/// A process of a lab, with pipes on its standard input, output and error.
package final class Child {
  package let pid: pid_t
  private var input: Int32
  private let output: Int32
  private let errors: Int32
  private var unread: [UInt8] = []
  private var complaints: [UInt8] = []
  private var ended: Int32?

  /// `/bin/sh` moves itself into the cgroup, then becomes the command, so that the command was never
  /// elsewhere.
  package init(_ command: [String], cgroup: String?, netns: Int32?) throws {
    let move = cgroup.map { "echo $$ > '\($0)/cgroup.procs' && " } ?? ""
    let words = ["/bin/sh", "-c", move + "exec \"$@\"", "sh"] + command
    let started = try onThread { () -> Started in
      if let netns, linux_enter_netns(netns) != 0 { return Started(failure: errno) }
      return Started.spawn(words)
    }
    guard started.failure == 0 else { throw LabError("start \(command)", code: started.failure) }
    (pid, input, output, errors) = (started.pid, started.input, started.output, started.errors)
  }

  deinit {
    kill()
    closeInput()
    close(output)
    close(errors)
  }

  package func write(_ text: String) throws {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
      guard count > 0 else { throw LabError("write to \(pid)") }
      bytes = bytes.dropFirst(count)
    }
  }

  package func closeInput() {
    if input >= 0 { close(input) }
    input = -1
  }

  /// The next line of its standard output, without the newline; throws when none comes in time or it has
  /// ended.
  package func line(seconds: Double = 10) throws -> String {
    let deadline = Child.now() + seconds * Lab.slowness
    while true {
      if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
        defer { unread.removeFirst(end + 1) }
        return String(decoding: unread[..<end], as: UTF8.self)
      }
      guard try gather(until: deadline) else {
        throw LabError(
          "no line from \(pid), which said: \(String(decoding: complaints, as: UTF8.self))", code: EPIPE)
      }
    }
  }

  /// Everything it still says, and its exit status (128 + signal when one ended it).
  package func finish(seconds: Double = 10) throws -> (status: Int32, stdout: String, stderr: String) {
    closeInput()
    let deadline = Child.now() + seconds * Lab.slowness
    while try gather(until: deadline) {}
    return (wait(), String(decoding: unread, as: UTF8.self), String(decoding: complaints, as: UTF8.self))
  }

  package func signal(_ number: Int32) { if ended == nil { Glibc.kill(pid, number) } }

  package func kill() {
    guard ended == nil else { return }
    signal(SIGKILL)
    _ = wait()
  }

  @discardableResult
  package func wait() -> Int32 {
    if let ended { return ended }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7f
    let code = signal == 0 ? (status >> 8) & 0xff : 128 + signal
    ended = code
    return code
  }

  /// Reads what is there; false at the end of both outputs. Kills and throws when the time is over.
  private func gather(until deadline: Double) throws -> Bool {
    var polled = [
      pollfd(fd: closed.output ? -1 : output, events: Int16(POLLIN), revents: 0),
      pollfd(fd: closed.errors ? -1 : errors, events: Int16(POLLIN), revents: 0),
    ]
    if closed.output && closed.errors { return false }
    let left = deadline - Child.now()
    guard left > 0, poll(&polled, 2, Int32(left * 1000) + 1) >= 0 || errno == EINTR else {
      kill()
      throw LabError(
        "\(pid) took too long; it said: \(String(decoding: complaints, as: UTF8.self))", code: ETIMEDOUT)
    }
    if polled[0].revents != 0 { closed.output = !take(output, into: &unread) }
    if polled[1].revents != 0 { closed.errors = !take(errors, into: &complaints) }
    return true
  }

  private var closed = (output: false, errors: false)

  private func take(_ descriptor: Int32, into bytes: inout [UInt8]) -> Bool {
    var chunk = [UInt8](repeating: 0, count: 65536)
    let count = read(descriptor, &chunk, chunk.count)
    if count > 0 { bytes += chunk[..<count] }
    return count > 0
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// What the spawning thread hands back.
  private struct Started: Sendable {
    var pid: pid_t = -1
    var input: Int32 = -1
    var output: Int32 = -1
    var errors: Int32 = -1
    var failure: Int32 = 0

    init(failure: Int32) { self.failure = failure }

    static func spawn(_ words: [String]) -> Started {
      var ends = [Int32](repeating: -1, count: 6)
      for pair in 0..<3 {
        guard ends.withUnsafeMutableBufferPointer({ pipe($0.baseAddress?.advanced(by: pair * 2)) }) == 0
        else {
          return Started(failure: errno)
        }
      }
      // Only what the actions below give the child goes to it.
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
      posix_spawn_file_actions_adddup2(&actions, ends[3], 1)
      posix_spawn_file_actions_adddup2(&actions, ends[5], 2)
      var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
      defer { for argument in arguments { free(argument) } }
      var started = Started(failure: 0)
      // A test's thread may have every signal blocked, and a child would inherit that.
      var attributes = posix_spawnattr_t()
      posix_spawnattr_init(&attributes)
      defer { posix_spawnattr_destroy(&attributes) }
      var (none, all) = (sigset_t(), sigset_t())
      sigemptyset(&none)
      sigfillset(&all)
      posix_spawnattr_setsigmask(&attributes, &none)
      posix_spawnattr_setsigdefault(&attributes, &all)
      posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
      started.failure = posix_spawn(&started.pid, "/bin/sh", &actions, &attributes, &arguments, environ)
      for end in [ends[0], ends[3], ends[5]] { close(end) }
      (started.input, started.output, started.errors) = (ends[1], ends[2], ends[4])
      return started
    }
  }
}
