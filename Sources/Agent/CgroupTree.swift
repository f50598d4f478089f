import Policy

/// Where the cgroups that files name are on this machine.
struct CgroupTree {
  /// Where the set's cgroups are, or how they are called where only a look can tell. Directories are absolute; they
  /// may not exist yet.
  struct Located: Equatable {
    /// Workloads that name their cgroup.
    var workloads: [Name: String] = [:]
    /// Workloads that name their unit, by that.
    var units: [String: Name] = [:]
    /// Pods, by uid.
    var pods: [String: Name] = [:]
    var proxies: [Name: String] = [:]
    /// By the Subtree's name.
    var subtrees: [String: String] = [:]

    /// The Subtree that a directory is in: the nearest one's name.
    func subtree(of directory: String) -> String? {
      var nearest: (name: String, length: Int)?
      for (name, path) in subtrees where CgroupTree.holds(path, directory) {
        if path.utf8.count > nearest?.length ?? 0 { nearest = (name, path.utf8.count) }
      }
      return nearest?.name
    }
  }

  /// Where cgroup2 is mounted, as in /sys/fs/cgroup.
  var mount: String
  /// The agent's cgroup root: a directory below the mount.
  var root: String
  /// The directory of the agent's own cgroup.
  var own: String

  /// Every named directory, and what is wrong with those that have none.
  func locate(_ set: PolicySet) -> (located: Located, problems: [Problem]) {
    var located = Located()
    var problems: [Problem] = []
    var owners: [String: String] = [:]
    func place(_ found: Result<String, Failure>, _ text: String, _ owner: String, _ place: Place) -> String? {
      let message: String
      switch found {
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
    for (name, subtree) in set.subtrees.sorted(by: { $0.key < $1.key }) {
      located.subtrees[name] = place(
        directory(subtree.cgroup, orRoot: true), subtree.cgroup, "Subtree \(name)", subtree.place)
    }
    for (name, endpoint) in set.endpoints.sorted(by: { $0.key < $1.key }) {
      if let unit = endpoint.unit { located.units[unit] = name }
      if let uid = endpoint.uid { located.pods[uid] = name }
      guard let text = endpoint.cgroup else { continue }
      located.workloads[name] = place(directory(text), text, "Workload \(name)", endpoint.place)
    }
    for (name, proxy) in set.proxies.sorted(by: { $0.key < $1.key }) {
      located.proxies[name] = place(directory(proxy.cgroup), proxy.cgroup, "Proxy \(name)", proxy.place)
    }
    return (located, problems)
  }

  /// A relative path is below the root. An absolute one is a directory in the mount, either as the file
  /// system has it (/sys/fs/cgroup/system.slice/x.service) or as /proc/PID/cgroup and systemd write it
  /// (/system.slice/x.service). `orRoot`: the root itself will do, also as `.`.
  func directory(_ text: String, orRoot: Bool = false) -> Result<String, Failure> {
    if orRoot && text == "." { return unlessOwn(root, text) }
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
    guard path.hasPrefix(root + "/") || (orRoot && path == root) else {
      return .failure(Failure("\(text) is not below the agent's cgroup root \(root)"))
    }
    return unlessOwn(path, text)
  }

  private func unlessOwn(_ path: String, _ text: String) -> Result<String, Failure> {
    guard isOwn(path) else { return .success(path) }
    return .failure(
      Failure("\(text) holds the agent itself, which is never judged; give it a cgroup of its own"))
  }

  /// Whether the agent itself is in a directory or below.
  func isOwn(_ path: String) -> Bool { CgroupTree.holds(path, own) }

  /// Whether one directory is another or above it.
  static func holds(_ path: String, _ other: String) -> Bool {
    other.utf8.starts(with: path.utf8)
      && (other.utf8.count == path.utf8.count || other.utf8.dropFirst(path.utf8.count).first == UInt8(ascii: "/"))
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
