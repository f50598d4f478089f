import CLinux
import Glibc

/// The cgroup2 hierarchy of this machine.
public enum Cgroup {
  /// Where it is mounted, from /proc/self/mountinfo (hybrid hosts have it at /sys/fs/cgroup/unified).
  public static func mount() throws(DatapathError) -> String {
    guard let first = mounts().first else {
      throw DatapathError(
        step: "find the mount of", subject: "cgroup2", code: ENOENT,
        advice: "mount it: mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    }
    return first
  }

  /// The 64-bit id programs see: the inode number of the directory. nil where it does not exist.
  public static func id(_ path: String) -> UInt64? {
    guard linux_filesystem(path) == Int64(CGROUP2_SUPER_MAGIC) else { return nil }
    var about = stat()
    guard stat(path, &about) == 0, about.st_mode & S_IFMT == S_IFDIR else { return nil }
    return UInt64(about.st_ino)
  }

  /// Every cgroup2 mount point; those that show the hierarchy from its own root come first.
  static func mounts() -> [String] {
    guard let text = readFile("/proc/self/mountinfo") else { return [] }
    var whole: [String] = []
    var partial: [String] = []
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ")
      // proc(5): id, parent, device, root, mount point, options, any number of tags, "-", type, source, ...
      guard let dash = fields.firstIndex(of: "-"), dash >= 5, fields.count > dash + 1,
        fields[dash + 1] == "cgroup2"
      else { continue }
      let point = unescape(fields[4])
      if fields[3] == "/" { whole.append(point) } else { partial.append(point) }
    }
    return whole + partial
  }

  /// mountinfo writes space, tab, newline and backslash as three octal digits after a backslash.
  private static func unescape(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      guard byte == UInt8(ascii: "\\"), digits.count == 3,
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
      else {
        bytes.append(byte)
        continue
      }
      bytes.append(value)
      rest = rest.dropFirst(3)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Refuses what must never be attached to: anything but a directory below the hierarchy's root.
  static func checkRoot(_ path: String, _ step: String) throws(DatapathError) {
    guard path.hasPrefix("/") else {
      throw DatapathError(step: step, subject: path, code: EINVAL, advice: "must be an absolute path")
    }
    var about = stat()
    try checkErrno(stat(path, &about), step, path)
    guard about.st_mode & S_IFMT == S_IFDIR else {
      throw DatapathError(step: step, subject: path, code: ENOTDIR)
    }
    guard linux_filesystem(path) == Int64(CGROUP2_SUPER_MAGIC) else {
      let place = mounts().first.map { "; it is mounted at \($0)" } ?? ""
      throw DatapathError(
        step: step, subject: path, code: EINVAL, advice: "not in a cgroup2 file system\(place)")
    }
    for mount in mounts() {
      var root = stat()
      guard stat(mount, &root) == 0, root.st_dev == about.st_dev, root.st_ino == about.st_ino else {
        continue
      }
      throw DatapathError(
        step: step, subject: path, code: EINVAL,
        advice: "the mount's own root would put every process under judgement: "
          + "name a subtree, such as \(mount)/system.slice")
    }
  }

  /// How deep a cgroup is in the hierarchy, as the programs' helpers count it: the hierarchy's own root is 0.
  /// In a cgroup namespace that does not show the whole hierarchy the depth cannot be known from inside.
  static func level(_ path: String) throws(DatapathError) -> UInt32 {
    guard let resolved = realpath(path, nil) else {
      throw DatapathError(step: "use as cgroup root", subject: path, code: errno)
    }
    defer { free(resolved) }
    let real = String(cString: resolved)
    guard let mount = mounts().first(where: { real.hasPrefix("\($0)/") }) else {
      throw DatapathError(
        step: "use as cgroup root", subject: path, code: EINVAL, advice: "not below a mount of cgroup2")
    }
    return UInt32(real.dropFirst(mount.count).split(separator: "/").count)
  }

  /// The directory of the cgroup with this id below `root`; nil where there is none (any more).
  static func find(_ id: UInt64, below root: String) -> String? {
    var found: String?
    walk(root) { path in
      if Cgroup.id(path) == id { found = path }
      return found == nil
    }
    return found
  }

  /// Visits `root` and every cgroup below it, parents first, until `body` answers false.
  package static func walk(_ root: String, _ body: (String) -> Bool) {
    var waiting = [root]
    while let path = waiting.popLast() {
      guard body(path) else { return }
      waiting += names(in: path, directories: true).map { "\(path)/\($0)" }
    }
  }

  /// The processes in this one cgroup, not those below it.
  package static func processes(_ path: String) -> [Int32] {
    (readFile("\(path)/cgroup.procs") ?? "").split(separator: "\n").compactMap { Int32($0) }
  }
}
