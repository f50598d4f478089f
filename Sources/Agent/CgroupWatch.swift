import CLinux
import Glibc

/// Tells, by inotify, that a cgroup came or went in one of the directories that the last look asked about.
final class CgroupWatch {
  /// Each costs the kernel about 1 KiB, and what a user may have is limited (fs.inotify.max_user_watches). A directory
  /// beyond is looked at once a second, like all.
  static let maximum = 4096
  private static let mask = UInt32(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR)

  /// Readable when `drain` has something to say.
  let descriptor: Int32
  private var paths: [Int32: String] = [:]
  private var watches: [String: Int32] = [:]
  private var wanted: Set<String> = []

  init() throws(SystemError) {
    descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
    if descriptor < 0 { throw SystemError("inotify_init1", "cgroups") }
  }

  deinit { close(descriptor) }

  var count: Int { watches.count }

  /// To be called before the directory is read. One that cannot be watched is left to the look once a second.
  func add(_ path: String) {
    guard wanted.count < CgroupWatch.maximum, wanted.insert(path).inserted, watches[path] == nil else { return }
    let watch = inotify_add_watch(descriptor, path, CgroupWatch.mask)
    if watch < 0 { return }
    if let former = paths[watch] { watches[former] = nil }
    paths[watch] = path
    watches[path] = watch
  }

  /// Lets go of what was not asked for since the last call.
  func keepAdded() {
    for (path, watch) in watches where !wanted.contains(path) {
      inotify_rm_watch(descriptor, watch)
      forget(watch)
    }
    wanted = []
  }

  /// Takes everything that waits; true if a directory came or went.
  func drain() -> Bool {
    var matters = false
    Inotify.drain(descriptor) { event, _ in
      if event.mask & UInt32(IN_ISDIR | IN_Q_OVERFLOW | IN_DELETE_SELF) != 0 { matters = true }
      // The directory is gone; one that comes in its place is another.
      if event.mask & UInt32(IN_IGNORED) != 0 { forget(event.wd) }
    }
    return matters
  }

  private func forget(_ watch: Int32) {
    if let path = paths.removeValue(forKey: watch), watches[path] == watch { watches[path] = nil }
  }
}
