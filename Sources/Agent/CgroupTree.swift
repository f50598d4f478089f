import Datapath
import Policy

/// Where the cgroups that files name are on this machine.
struct CgroupTree {
  /// The directories of workloads and proxies, absolute; they may not exist yet.
  struct Located: Equatable {
    var workloads: [Name: String] = [:]
    var proxies: [Name: String] = [:]
  }

  /// Where cgroup2 is mounted, as in /sys/fs/cgroup.
  var mount: String
  /// The agent's cgroup root: a directory below the mount.
  var root: String
  /// The directory of the agent's own cgroup.
  var own: String

  /// Every workload's and proxy's directory, and what is wrong with those that have none.
  func locate(_ set: PolicySet) -> (located: Located, problems: [Problem]) {
    var located = Located()
    var problems: [Problem] = []
    var owners: [String: String] = [:]
    func place(_ text: String, _ owner: String, _ place: Place) -> String? {
      let message: String
      switch directory(text) {
      case .failure(let error): message = error.description
      case .success(let path):
        guard let other = owners[path] else {
          owners[path] = owner
          return path
        }
        message = "\(text) is the cgroup of \(other) already"
      }
      problems.append(
        Problem(
          file: place.file, line: place.line, column: place.column, field: "spec.cgroup", message: message))
      return nil
    }
    for (name, endpoint) in set.endpoints.sorted(by: { $0.key < $1.key }) {
      guard let text = endpoint.cgroup else { continue }
      located.workloads[name] = place(text, "Workload \(name)", endpoint.place)
    }
    for (name, proxy) in set.proxies.sorted(by: { $0.key < $1.key }) {
      located.proxies[name] = place(proxy.cgroup, "Proxy \(name)", proxy.place)
    }
    return (located, problems)
  }

  /// Which of them are there now.
  static func presence(of located: Located) -> Presence {
    Presence(
      workloads: located.workloads.compactMapValues { Cgroup.id($0) },
      proxies: located.proxies.compactMapValues { Cgroup.id($0) })
  }

  /// A relative path is below the root. An absolute one is a directory in the mount, either as the file
  /// system has it (/sys/fs/cgroup/system.slice/x.service) or as /proc/PID/cgroup and systemd write it
  /// (/system.slice/x.service).
  func directory(_ text: String) -> Result<String, Failure> {
    let parts = text.split(separator: "/")
    if parts.isEmpty || parts.contains(where: { $0 == "." || $0 == ".." }) || text.utf8.contains(0) {
      return .failure(Failure("\"\(text)\" names no cgroup; write a path without . and .."))
    }
    let plain = "/" + parts.joined(separator: "/")
    let path: String
    if !text.hasPrefix("/") {
      path = root + plain
    } else if plain == mount || plain.hasPrefix(mount + "/") {
      path = plain
    } else {
      path = mount + plain
    }
    guard path.hasPrefix(root + "/") else {
      return .failure(Failure("\(text) is not below the agent's cgroup root \(root)"))
    }
    if own == path || own.hasPrefix(path + "/") {
      return .failure(
        Failure("\(text) holds the agent itself, which is never judged; give it a cgroup of its own"))
    }
    return .success(path)
  }

  /// The directory of a process's cgroup, from /proc/PID/cgroup; nil where it cannot be read.
  static func own(of process: String = "self", mount: String) -> String? {
    guard let content = try? Files.read("/proc/\(process)/cgroup", limit: 1 << 16) else { return nil }
    for line in String(decoding: content, as: UTF8.self).split(separator: "\n") where line.hasPrefix("0::") {
      let path = line.dropFirst(3)
      return path == "/" ? mount : mount + path
    }
    return nil
  }

  /// Whether any process is in the cgroup or below; nil where it does not exist.
  static func isPopulated(_ directory: String) -> Bool? {
    guard let content = try? Files.read(directory + "/cgroup.events", limit: 4096) else { return nil }
    return String(decoding: content, as: UTF8.self).split(separator: "\n").contains("populated 1")
  }
}
