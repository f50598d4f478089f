import CDatapath
import CLinux
import Datapath
import Glibc
import Synchronization
import Testing

extension Trait where Self == ConditionTrait {
  /// Skips where the kernel lets this process load nothing. Where CI is set nothing is skipped: the tests
  /// fail there.
  package static var needsKernel: Self {
    .enabled(
      "needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (run as root)",
      { getenv("CI") != nil || (try? Datapath.checkPrivileges()) != nil })
  }
}

package struct LabError: Error, CustomStringConvertible {
  package var description: String
  package init(_ what: String, code: Int32 = errno) {
    description = "\(what): \(String(cString: strerror(code)))"
  }
}

/// A place for one test: a cgroup subtree, a pin directory and network namespaces of its own, and the
/// processes in them. `tearDown` removes all of it; what a killed test left is swept when the next lab is
/// made.
///
///     try Lab.use { lab in
///       let web = try lab.workload("web", number: 1)
///       var entries = lab.entries
///       entries.select(web, .ingress, ports: 1)
///       try lab.install(entries)
///       let curl = try lab.run(in: "web", ["curl", "-s", "http://127.0.0.1:8080"])
///       #expect(curl.status == 7)
///     }
package final class Lab {
  /// The cgroup root: `<cgroup2 mount>/weir-test-<pid>-<n>`.
  package let root: String
  /// The pin directory.
  package let directory: String
  /// For files, below /tmp; the name is that of `root`.
  package let files: String
  /// Workloads and proxies made so far, for `install`.
  package var entries = Entries()
  package private(set) var children: [Child] = []
  private var namespaces: [Int32] = []
  /// Where processes run unless told otherwise, so that no test meets another's ports or the host's.
  private var home: Int32?
  private var running: Datapath?

  /// How many times slower than a real machine this one is, as an emulated one is: the environment's
  /// WEIR_TEST_SLOWNESS. Every limit of time in a test is multiplied by it; peer.py reads it too.
  package static let slowness = getenv("WEIR_TEST_SLOWNESS").flatMap { Double(String(cString: $0)) } ?? 1

  private static let prefix = "weir-test-"
  private static let bpffs = "/sys/fs/bpf"
  private static let temporary = "/tmp"
  private static let made = Atomic(0)

  private init() throws {
    let mount = try Cgroup.mount()
    let number = Lab.made.add(1, ordering: .relaxed).newValue
    let name = "\(Lab.prefix)\(getpid())-\(number)"
    root = "\(mount)/\(name)"
    directory = "\(Lab.bpffs)/\(name)"
    files = "\(Lab.temporary)/\(name)"
    if linux_filesystem(Lab.bpffs) != Int64(BPF_FS_MAGIC) {
      guard mkdir(Lab.bpffs, 0o700) == 0 || errno == EEXIST, Glibc.mount("bpf", Lab.bpffs, "bpf", 0, nil) == 0
      else { throw LabError("mount \(Lab.bpffs)") }
    }
    Lab.sweep(mount)
    for path in [root, files] {
      guard mkdir(path, 0o755) == 0 else { throw LabError("mkdir \(path)") }
    }
  }

  /// Makes a lab, runs the test in it and takes it down, whatever happens.
  package static func use(_ body: (Lab) throws -> Void) throws {
    let lab = try Lab()
    defer { lab.tearDown() }
    try body(lab)
  }

  // MARK: The datapath

  /// The datapath on this lab's cgroup root and pin directory, started when first asked for.
  package func datapath() throws -> Datapath {
    if let running { return running }
    let started = try Datapath(directory: directory, cgroupRoot: root)
    running = started
    return started
  }

  /// Lets go of the datapath as a killed agent does: links and maps stay pinned.
  package func drop() { running = nil }

  /// Installs these entries, or what the lab has gathered, as the next generation and judges open sockets
  /// again.
  @discardableResult
  package func install(_ entries: Entries? = nil, audit: Bool = false) throws -> UInt32 {
    let datapath = try datapath()
    let next = try datapath.generation() + 1
    try datapath.install(entries ?? self.entries, generation: next, audit: audit)
    try datapath.enrol()
    try datapath.revoke()
    return next
  }

  /// Whether this kernel can end a connection (bpf_sock_destroy, Linux 6.5); where it cannot, its packets are dropped.
  package func resets() throws -> Bool { try !datapath().missing.contains { $0.hasPrefix("revoke_tcp_") } }

  /// What a client may hear of a connection that has been ended.
  package func ended() throws -> [String] {
    try resets() ? ["ECONNRESET", "ECONNABORTED", "EPIPE", "EOF"] : ["TIMEOUT"]
  }

  // MARK: Places

  /// Makes a cgroup below the root (`shop/web`); answers its path.
  @discardableResult
  package func cgroup(_ name: String) throws -> String {
    var path = root
    for part in name.split(separator: "/") {
      path += "/\(part)"
      guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw LabError("mkdir \(path)") }
    }
    return path
  }

  /// A new network namespace with its loopback up; lives as long as the lab.
  package func namespace() throws -> Int32 {
    let made = try onThread { () -> Int32 in
      guard linux_new_netns() == 0, linux_loopback_up() == 0 else { return -errno }
      return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    }
    guard made >= 0 else { throw LabError("make a network namespace", code: -made) }
    namespaces.append(made)
    return made
  }

  // MARK: Processes

  /// Runs a command in a cgroup below the root (nil: in the test's own) to its end, at most `seconds`;
  /// `netns` nil: in the lab's own network namespace.
  package func run(
    in cgroup: String?, netns: Int32? = nil, seconds: Double = 10, _ command: [String]
  ) throws -> (status: Int32, stdout: String, stderr: String) {
    let child = try spawn(in: cgroup, netns: netns, command)
    return try child.finish(seconds: seconds)
  }

  /// Starts a command in the background; it is killed with the lab at the latest.
  package func spawn(in cgroup: String?, netns: Int32? = nil, _ command: [String]) throws -> Child {
    let path = try cgroup.map { try self.cgroup($0) }
    let place = try netns ?? home ?? namespace()
    if netns == nil { home = place }
    let child = try Child(command, cgroup: path, netns: place)
    children.append(child)
    return child
  }

  // MARK: The end

  private func tearDown() {
    for child in children { child.kill() }
    // What they started: it may hold the lock on the pins.
    Lab.endProcesses(below: root)
    for namespace in namespaces { close(namespace) }
    running = nil
    do { try Datapath.detach(directory: directory) } catch { Issue.record(error) }
    Lab.removeCgroups(root)
    if Cgroup.id(root) != nil { Issue.record("\(root) is left") }
    if access(directory, F_OK) == 0 { Issue.record("\(directory) is left") }
    Lab.removeTree(files)
    if access(files, F_OK) == 0 { Issue.record("\(files) is left") }
  }

  /// What tests left that were killed: processes, cgroups and pins whose name has the number of a process
  /// that is no more.
  private static func sweep(_ mount: String) {
    // Processes first: an agent among them holds the lock on its pins.
    for name in names(in: mount, directories: true) where isLeftover(name) {
      removeCgroups("\(mount)/\(name)")
    }
    for name in names(in: bpffs, directories: true) where isLeftover(name) {
      _ = try? Datapath.detach(directory: "\(bpffs)/\(name)")
    }
    for name in names(in: temporary, directories: true) where isLeftover(name) {
      removeTree("\(temporary)/\(name)")
    }
  }

  private static func isLeftover(_ name: String) -> Bool {
    let parts = name.dropFirst(prefix.count).split(separator: "-")
    guard name.hasPrefix(prefix), parts.count == 2, let process = Int32(parts[0]) else { return false }
    return Glibc.kill(process, 0) != 0 && errno == ESRCH
  }

  /// Ends every process below, then removes the directories, deepest first.
  private static func removeCgroups(_ root: String) {
    endProcesses(below: root)
    for path in cgroups(root).reversed() {
      // A process that has just ended still holds its cgroup for a moment.
      for _ in 0..<200 where rmdir(path) != 0 && errno == EBUSY { usleep(10_000) }
    }
  }

  /// Kills, and waits until none is left: a killed process leaves its cgroup a moment later.
  private static func endProcesses(below root: String) {
    for _ in 0..<500 {
      let processes = cgroups(root).flatMap(Cgroup.processes)
      if processes.isEmpty { return }
      for process in processes { _ = Glibc.kill(process, SIGKILL) }
      usleep(10_000)
    }
  }

  private static func cgroups(_ root: String) -> [String] {
    var paths: [String] = []
    Cgroup.walk(root) { path in
      paths.append(path)
      return true
    }
    return paths
  }

  private static func removeTree(_ path: String) {
    for name in names(in: path) {
      let entry = "\(path)/\(name)"
      var about = stat()
      if lstat(entry, &about) == 0, about.st_mode & S_IFMT == S_IFDIR {
        removeTree(entry)
      } else {
        unlink(entry)
      }
    }
    rmdir(path)
  }
}
