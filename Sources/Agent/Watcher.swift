import CLinux
import Glibc

/// Tells that something may have changed in a set of files and directories, by inotify: in a directory
/// whatever happens, and for each path the replacement of the name itself, or of a symbolic link on the way
/// to it.
final class Watcher {
  private static let mask = UInt32(
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF
      | IN_MOVE_SELF)
  /// What concerns the watched directory itself, or everything.
  private static let whole = UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_Q_OVERFLOW)

  private enum Interest {
    case everything
    case names(Set<String>)
  }

  /// Readable when `drain` has something to say.
  let descriptor: Int32
  private var interests: [Int32: Interest] = [:]

  init() throws(SystemError) {
    descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
    if descriptor < 0 { throw SystemError("inotify_init1", "watcher") }
  }

  deinit { close(descriptor) }

  /// Watches these paths and no others from now on. To be called before they are read: a change after this is
  /// told. Answers what could not be watched.
  func arm(_ paths: [String]) -> [SystemError] {
    var wanted: [String: Interest] = [:]
    for path in paths.map(Files.absolute) {
      addName(path, hops: 40, to: &wanted)
      if Files.isDirectory(path) { wanted[path] = .everything }
    }
    var errors: [SystemError] = []
    var next: [Int32: Interest] = [:]
    for (path, interest) in wanted {
      let watch = inotify_add_watch(descriptor, path, Watcher.mask)
      if watch < 0 {
        // Gone since we looked: the watch on its parent tells.
        if errno != ENOENT { errors.append(SystemError("inotify_add_watch", path)) }
        continue
      }
      // Two paths may lead to one directory.
      next[watch] = Watcher.union(next[watch], interest)
    }
    for watch in interests.keys where next[watch] == nil { inotify_rm_watch(descriptor, watch) }
    interests = next
    return errors
  }

  /// Takes everything that waits; true if any of it matters.
  func drain() -> Bool {
    var matters = false
    Inotify.drain(descriptor) { event, name in
      if concerns(event, name) { matters = true }
    }
    return matters
  }

  private func concerns(_ event: inotify_event, _ name: String) -> Bool {
    if event.mask & UInt32(IN_Q_OVERFLOW) != 0 { return true }
    switch interests[event.wd] {
    // A watch that was taken away since.
    case nil: return false
    case .everything: return event.mask & UInt32(IN_IGNORED) == 0
    case .names(let names): return event.mask & Watcher.whole != 0 || names.contains(name)
    }
  }

  /// The name in its directory, and the same for each symbolic link on the way. Where the directory is
  /// missing, the nearest one above that is there.
  private func addName(_ path: String, hops: Int, to wanted: inout [String: Interest]) {
    var prefix = ""
    let parts = path.split(separator: "/")
    for (index, part) in parts.enumerated() {
      let directory = prefix.isEmpty ? "/" : prefix
      prefix += "/" + part
      let target = Watcher.link(prefix)
      let isLast = index == parts.count - 1 || !Files.exists(prefix)
      guard target != nil || isLast else { continue }
      wanted[directory] = Watcher.union(wanted[directory], .names([String(part)]))
      if let target, hops > 0 {
        let rest = parts[(index + 1)...].map { "/" + $0 }.joined()
        let next = (target.hasPrefix("/") ? target : "\(directory)/\(target)") + rest
        addName(Watcher.plain(next), hops: hops - 1, to: &wanted)
      }
      if isLast { return }
    }
  }

  private static func union(_ a: Interest?, _ b: Interest) -> Interest {
    if case .names(let more)? = a, case .names(let names) = b { return .names(names.union(more)) }
    if case .everything? = a { return .everything }
    return b
  }

  /// Where a symbolic link points; nil for anything else.
  private static func link(_ path: String) -> String? {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(PATH_MAX)) { buffer in
      let count = buffer.withMemoryRebound(to: CChar.self) { characters in
        characters.baseAddress.map { readlink(path, $0, characters.count) } ?? -1
      }
      return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }
  }

  /// `..` and `.` taken out by text, which is right here: every link before them has been followed already.
  private static func plain(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }
}
