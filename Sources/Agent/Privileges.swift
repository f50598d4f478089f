import CCap
import CLinux
import Glibc

/// A capability by its number; capabilities(7).
struct Capability: Hashable, Comparable, CustomStringConvertible {
  var number: Int32

  static let bpf = Capability(number: CAP_BPF)
  static let netAdmin = Capability(number: CAP_NET_ADMIN)
  static let perfmon = Capability(number: CAP_PERFMON)
  static let sysAdmin = Capability(number: CAP_SYS_ADMIN)
  static let sysPtrace = Capability(number: CAP_SYS_PTRACE)

  static func < (a: Capability, b: Capability) -> Bool { a.number < b.number }

  /// `CAP_BPF`; the number for one that libcap does not know.
  var description: String {
    guard let name = cap_to_name(number) else { return "\(number)" }
    defer { _ = cap_free(name) }
    return String(cString: name).uppercased()
  }

  /// `CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON`
  static func list(_ all: [Capability]) -> String {
    let names = all.map(\.description)
    return names.count < 2 ? names.joined() : names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
  }
}

/// What the agent may do, in two steps: everything it starts with is cut down at once to what a start needs, and what only
/// a start needs goes when the programs are attached. Capabilities belong to a thread: this is done while there is one.
enum Privileges {
  /// To load and attach. Not CAP_SYS_RESOURCE: since 5.11 a map's memory is its cgroup's, and RLIMIT_MEMLOCK says nothing.
  static let needed: [Capability] = [.bpf, .netAdmin, .perfmon]
  /// To look at the sockets of another network namespace: setns(2) wants the first, /proc/PID/ns/net of another user's
  /// process the second.
  static let entering: [Capability] = [.sysAdmin, .sysPtrace]

  /// What a running agent has: a new generation makes maps, which is CAP_BPF's; all else goes without
  /// (links and maps are opened already, or by their pins, which are files).
  static func kept(enteringNamespaces: Bool) -> [Capability] { enteringNamespaces ? [.bpf] + entering : [.bpf] }

  /// Refuses a start that would fail half-way, with the names of what is missing.
  static func check(enteringNamespaces: Bool) throws(Failure) {
    func missing(_ wanted: [Capability]) -> String? {
      let missing = wanted.filter { !holds($0) }
      return missing.isEmpty ? nil : "\(Capability.list(missing)) \(missing.count == 1 ? "is" : "are") missing"
    }
    if let missing = missing(needed) {
      throw Failure("load programs: EPERM: \(missing); run as root, or with \(Capability.list(needed))")
    }
    if enteringNamespaces, let missing = missing(entering) {
      throw Failure("--enter-namespaces: EPERM: \(missing); grant \(Capability.list(entering)), or leave it out")
    }
  }

  /// Whether the calling thread's effective set has it.
  static func holds(_ capability: Capability) -> Bool {
    guard let set = cap_get_proc() else { return false }
    defer { _ = cap_free(UnsafeMutableRawPointer(set)) }
    var value = CAP_CLEAR
    return cap_get_flag(set, capability.number, CAP_EFFECTIVE, &value) == 0 && value == CAP_SET
  }

  /// Takes everything else from the calling thread: from its permitted and effective sets, and all of the inheritable and
  /// ambient ones. What it does not hold it does not get.
  static func keep(_ capabilities: [Capability]) throws(Failure) {
    guard let set = cap_init() else { throw Failure(SystemError("drop capabilities", "of the agent")) }
    defer { _ = cap_free(UnsafeMutableRawPointer(set)) }
    let held = capabilities.filter(isPermitted).map(\.number)
    for flag in [CAP_PERMITTED, CAP_EFFECTIVE] where !held.isEmpty {
      cap_set_flag(set, flag, Int32(held.count), held, CAP_SET)
    }
    guard cap_reset_ambient() == 0, cap_set_proc(set) == 0 else {
      throw Failure(SystemError("drop capabilities", "of the agent"))
    }
  }

  /// Takes all else from the bounding set, so that no program that the thread becomes could have more. Needs
  /// CAP_SETPCAP; false without it, when no_new_privs says the same.
  @discardableResult
  static func bound(to capabilities: [Capability]) -> Bool {
    // cap_max_bits(3) asks the running kernel, which may know more than this libcap.
    (0..<cap_max_bits()).filter { number in !capabilities.contains { $0.number == number } }
      .allSatisfy { cap_get_bound($0) == 0 || cap_drop_bound($0) == 0 }
  }

  private static func isPermitted(_ capability: Capability) -> Bool {
    guard let set = cap_get_proc() else { return false }
    defer { _ = cap_free(UnsafeMutableRawPointer(set)) }
    var value = CAP_CLEAR
    return cap_get_flag(set, capability.number, CAP_PERMITTED, &value) == 0 && value == CAP_SET
  }
}

/// What the kernel says of a thread's privileges, in /proc/PID/status; proc(5).
struct PrivilegeReport: Codable, Equatable {
  /// Effective and permitted ones, which are the same in an agent.
  var capabilities: [String]
  /// What a program that it became could have at most, were it not for `noNewPrivileges`.
  var bounding: [String]
  /// execve(2) gives nothing.
  var noNewPrivileges: Bool
  /// Its system calls pass a filter.
  var seccomp: Bool

  /// The calling thread's, which in an agent are those of all; nil where they cannot be read.
  init?() {
    guard let bytes = try? Files.read("/proc/thread-self/status", limit: 1 << 16) else { return nil }
    self.init(text: String(decoding: bytes, as: UTF8.self))
  }

  init?(text: String) {
    var fields: [Substring: String] = [:]
    for line in text.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[line[..<colon]] = line[line.index(after: colon)...].filter { $0 != "\t" && $0 != " " }
    }
    func capabilities(_ field: Substring) -> [String]? {
      fields[field].flatMap { UInt64($0, radix: 16) }.map { set in
        (0..<64).filter { set >> $0 & 1 == 1 }.map { Capability(number: Int32($0)).description }
      }
    }
    guard let effective = capabilities("CapEff"), let permitted = capabilities("CapPrm"),
      let bounding = capabilities("CapBnd"), let denies = fields["NoNewPrivs"], let filter = fields["Seccomp"]
    else { return nil }
    // One that is permitted can be made effective at any time: it counts.
    self.capabilities = effective + permitted.filter { !effective.contains($0) }
    self.bounding = bounding
    noNewPrivileges = denies == "1"
    seccomp = filter == "2"
  }
}
