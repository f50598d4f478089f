import Glibc

/// The files `weir run` writes, `NAMESPACE_NAME.yaml`, and how those of a runner that was killed go away.
enum RunLeftovers {
  /// The first line of such a file: whose it is. A pid alone may be somebody else's by now.
  static func mark(pid: pid_t) -> String { "# pid \(pid) starttime \(startTime(of: pid) ?? 0)" }

  /// Removes the files (and cgroups) whose runner is gone and whose cgroup is empty; answers the workloads.
  static func remove(in directory: String, root: String) -> [String] {
    Files.names(in: directory).compactMap { file in
      guard file.hasSuffix(".yaml"), let name = workload(ofFile: file) else { return nil }
      let path = "\(directory)/\(file)"
      guard let runner = runner(path), startTime(of: runner.pid) != runner.startTime else { return nil }
      let cgroup = "\(root)/\(name)"
      if CgroupTree.isPopulated(cgroup) == true { return nil }
      // Failing to remove the cgroup is no reason to keep the file: it may have been removed by hand, or
      // filled again.
      rmdir(cgroup)
      rmdir(Files.directory(of: cgroup))
      return Files.remove(path) ? name : nil
    }
  }

  /// Whether the file's runner lives.
  static func isRunning(_ path: String) -> Bool {
    runner(path).map { startTime(of: $0.pid) == $0.startTime } ?? false
  }

  /// `shop_web.yaml` is shop/web; a namespace has no underscore.
  static func workload(ofFile file: String) -> String? {
    let stem = file.dropLast(".yaml".count)
    guard let underscore = stem.firstIndex(of: "_") else { return nil }
    return "\(stem[..<underscore])/\(stem[stem.index(after: underscore)...])"
  }

  /// nil for a file that a person put there.
  private static func runner(_ path: String) -> (pid: pid_t, startTime: UInt64)? {
    guard let content = try? Files.read(path, limit: 1 << 20) else { return nil }
    let line = String(decoding: content.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    let words = line.split(separator: " ")
    guard words.count == 5, words[0] == "#", words[1] == "pid", words[3] == "starttime",
      let pid = pid_t(words[2]), let start = UInt64(words[4])
    else { return nil }
    return (pid, start)
  }

  /// Field 22 of /proc/PID/stat, in clock ticks since boot; nil for a process that is gone.
  static func startTime(of pid: pid_t) -> UInt64? {
    guard let content = try? Files.read("/proc/\(pid)/stat", limit: 4096),
      // The command's name stands in parentheses and may hold anything.
      let end = content.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let fields = content[(end + 1)...].split(separator: UInt8(ascii: " "))
    return fields.count > 19 ? UInt64(String(decoding: fields[19], as: UTF8.self)) : nil
  }
}
