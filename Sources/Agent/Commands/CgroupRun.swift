import CLinux
import Datapath
import Glibc
import Policy

/// A command in a cgroup that the agent judges: made before, removed after, on every way out.
final class CgroupRun {
  private let name: String
  private let client: AgentClient
  private let cgroup: String
  /// The Workload's file in the run directory; nil for a proxy, whose object is in the policy files.
  private let file: WorkloadFile?
  private var isCgroupOurs = false
  private var isFileOurs = false

  private init(_ name: String, _ client: AgentClient, cgroup: String, file: WorkloadFile?) {
    self.name = name
    self.client = client
    self.cgroup = cgroup
    self.file = file
  }

  static func workload(_ file: WorkloadFile, _ client: AgentClient) throws(Failure) -> CgroupRun {
    let status = try client.ask("GET", "/status", as: Status.self)
    return CgroupRun(
      file.name.description, client, cgroup: "\(status.cgroupRoot)/\(file.name)", file: file)
  }

  static func proxy(_ text: String, _ client: AgentClient) throws(Failure) -> CgroupRun {
    let status = try client.ask("GET", "/status", as: Status.self)
    let wanted = text.contains("/") ? text : "default/\(text)"
    guard let proxy = status.proxies.first(where: { $0.name == wanted }) else {
      let known = status.proxies.map(\.name).sorted().joined(separator: ", ")
      throw Failure(
        "--proxy \(text): no such Proxy in the agent's files; "
          + (known.isEmpty ? "they declare none" : "there is \(known)"))
    }
    return CgroupRun(wanted, client, cgroup: proxy.cgroup, file: nil)
  }

  /// Answers the command's exit status, 128 and more if a signal ended it.
  func run(_ command: [String]) throws(Failure) -> Int32 {
    let signals: Signals
    let former: String
    do throws(SystemError) {
      // From here on a signal ends the command, not the cleaning up.
      signals = try Signals([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD])
      former = try CgroupRun.ownCgroup()
    } catch {
      throw Failure(error)
    }
    defer { removeAll() }
    try makeCgroup()
    if let file { try announce(file) }
    try confirm()
    do throws(SystemError) { try CgroupRun.move(into: cgroup) } catch {
      throw Failure(error, hint: "run as root")
    }
    // Back out before the cgroup is removed; the mount's root takes everybody.
    defer {
      if (try? CgroupRun.move(into: former)) == nil {
        Output.error.write("weir run: cannot leave \(cgroup)\n")
      }
    }
    let child: pid_t
    do throws(SystemError) { child = try spawn(command, mask: signals.former) } catch { throw Failure(error) }
    return CgroupRun.wait(for: child, signals)
  }

  private func makeCgroup() throws(Failure) {
    if CgroupTree.isPopulated(cgroup) == true {
      throw Failure("\(name): processes run in \(cgroup) already; end them or take another name")
    }
    isCgroupOurs = !Files.exists(cgroup)
    // Another run in this namespace may remove the directory above between the two steps.
    for attempt in 1...3 {
      do { return try Files.makeDirectory(cgroup, mode: 0o755) } catch {
        if attempt == 3 || error.code != ENOENT { throw Failure(error, hint: "run as root") }
      }
    }
  }

  /// Puts the Workload's file where the agent reads it, after it was read once here.
  private func announce(_ file: WorkloadFile) throws(Failure) {
    let path = "\(Configuration.workloads(client.runDirectory))/\(file.fileName)"
    if RunLeftovers.isRunning(path) { throw Failure("\(name): another weir run has this name; take another") }
    let text = Array(file.text(mark: RunLeftovers.mark(pid: getpid())).utf8)
    let draft = "\(client.runDirectory)/draft-\(getpid()).yaml"
    do throws(SystemError) { try Files.replace(draft, with: text) } catch {
      throw Failure(error, hint: "run as root")
    }
    if let problem = Reading(paths: [draft]).problems.first {
      Files.remove(draft)
      throw Failure("\(problem.field.isEmpty ? name : problem.field): \(problem.message)")
    }
    // Renamed from outside the directory: the agent sees the whole file, and nothing before.
    if rename(draft, path) != 0 {
      let error = SystemError("rename", path)
      Files.remove(draft)
      throw Failure(error)
    }
    isFileOurs = true
  }

  /// Not before the kernel knows the cgroup may anything run in it.
  private func confirm() throws(Failure) {
    let status = try client.ask("POST", "/reload", as: Status.self)
    if let problem = status.problems.first {
      throw Failure("\(name): the agent rejects its files, nothing was started: \(problem)")
    }
    if let failure = status.failure {
      throw Failure("\(name): not in force, nothing was started: \(failure)")
    }
    if file == nil {
      if status.proxies.contains(where: { $0.name == name && $0.present }) { return }
    } else {
      let known = try client.ask("GET", "/workloads", as: [WorkloadStatus].self)
      let id = Cgroup.id(cgroup)
      if known.contains(where: { $0.name == name && $0.present && $0.cgroupId == id }) { return }
    }
    throw Failure(
      "\(name): the agent does not see \(cgroup); is it another machine's, or in another container?")
  }

  private func removeAll() {
    if CgroupTree.isPopulated(cgroup) == true {
      // Something the command left in the background: it stays a workload, and the agent removes it when it
      // ends.
      if isFileOurs { Output.error.write("weir run: note: processes of \(name) still run in \(cgroup)\n") }
      return
    }
    if let file, isFileOurs {
      Files.remove("\(Configuration.workloads(client.runDirectory))/\(file.fileName)")
    }
    if isCgroupOurs || isFileOurs {
      rmdir(cgroup)
      // The namespace's directory, if this was the last in it.
      if file != nil { rmdir(Files.directory(of: cgroup)) }
      _ = try? client.ask("POST", "/reload")
    }
  }

  private func spawn(_ command: [String], mask: sigset_t) throws(SystemError) -> pid_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var mask = mask
    var ignoredHere = sigset_t()
    sigemptyset(&ignoredHere)
    sigaddset(&ignoredHere, SIGPIPE)
    posix_spawnattr_setsigmask(&attributes, &mask)
    posix_spawnattr_setsigdefault(&attributes, &ignoredHere)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child: pid_t = 0
    let code = posix_spawnp(&child, command[0], nil, &attributes, &words, linux_environment())
    if code != 0 { throw SystemError("start", command[0], code: code) }
    return child
  }

  private static func wait(for child: pid_t, _ signals: Signals) -> Int32 {
    while true {
      var status: Int32 = 0
      if waitpid(child, &status, WNOHANG) == child {
        let signal = status & 0x7f
        return signal == 0 ? status >> 8 & 0xff : 128 + signal
      }
      var entry = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
      poll(&entry, 1, -1)
      while let signal = signals.next() {
        let number = Int32(bitPattern: signal.ssi_signo)
        // A key at the terminal reaches the command by itself (SI_KERNEL).
        if number != SIGCHLD && signal.ssi_code != 0x80 { kill(child, number) }
      }
    }
  }

  private static func ownCgroup() throws(SystemError) -> String {
    guard let mount = try? Cgroup.mount(), let own = CgroupTree.own(mount: mount) else {
      throw SystemError("find own cgroup in", "/proc/self/cgroup", code: ENOENT)
    }
    return own
  }

  private static func move(into directory: String) throws(SystemError) {
    let path = "\(directory)/cgroup.procs"
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    if descriptor < 0 { throw SystemError("open", path) }
    defer { close(descriptor) }
    if write(descriptor, "0", 1) != 1 { throw SystemError("write", path) }
  }
}
