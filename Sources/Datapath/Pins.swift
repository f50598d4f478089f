import CDatapath
import CLinux
import Glibc

/// The directories that hold the pins of one layout: DIR/v1/maps and DIR/v1/links.
struct Pins {
  /// DIR.
  let root: String
  /// DIR/v1, where 1 is WEIR_LAYOUT.
  let layout: String
  var maps: String { "\(layout)/maps" }
  var links: String { "\(layout)/links" }

  init(_ directory: String) {
    root = directory
    layout = "\(directory)/v\(WEIR_LAYOUT)"
  }

  /// A link's pin; a proxy's carries its number. bpffs allows no dot in a name.
  func link(_ name: String, proxy: UInt32? = nil) -> String { "\(links)/\(Pins.name(name, proxy: proxy))" }

  /// The last part of its path.
  static func name(_ name: String, proxy: UInt32? = nil) -> String { name + (proxy.map { "_p\($0)" } ?? "") }

  /// What a pin is for: `getsockopt_p3` is getsockopt at proxy 3, `tcp_destroy_sock` has no proxy.
  static func parse(_ pin: String) -> (name: String, proxy: UInt32?) {
    guard let end = pin.lastIndex(of: "_"), pin[pin.index(after: end)...].hasPrefix("p"),
      let number = UInt32(pin[end...].dropFirst(2))
    else { return (pin, nil) }
    return (String(pin[..<end]), number)
  }

  /// Refuses a directory that is not on bpffs, or cannot be.
  static func checkDirectory(_ directory: String) throws(DatapathError) {
    let step = "use as pin directory"
    guard directory.hasPrefix("/"), let slash = directory.lastIndex(of: "/") else {
      throw DatapathError(step: step, subject: directory, code: EINVAL, advice: "must be an absolute path")
    }
    let name = directory[directory.index(after: slash)...]
    guard !name.isEmpty, !name.contains(".") else {
      throw DatapathError(
        step: step, subject: directory, code: EINVAL, advice: "bpffs allows no dot in a name")
    }
    let parent = slash == directory.startIndex ? "/" : String(directory[..<slash])
    var about = stat()
    let exists = stat(directory, &about) == 0
    if exists, about.st_mode & S_IFMT != S_IFDIR {
      throw DatapathError(step: step, subject: directory, code: ENOTDIR)
    }
    let magic = linux_filesystem(exists ? directory : parent)
    guard magic >= 0 else { throw DatapathError(step: step, subject: directory, code: errno) }
    guard magic == Int64(BPF_FS_MAGIC) else {
      let place = parent == "/sys/fs/bpf" ? parent : directory
      throw DatapathError(
        step: step, subject: directory, code: EINVAL,
        advice: "not in a bpf file system; mount one: mount -t bpf bpf \(place)")
    }
  }

  /// Refuses to run beside the pins of another version: both would judge, and redirect, every connection.
  func refuseOthers() throws(DatapathError) {
    for other in Pins.layouts(in: root) where other != layout {
      guard !names(in: "\(other)/links").isEmpty else { continue }
      throw DatapathError(
        step: "adopt", subject: other, code: EEXIST,
        advice: "pinned by another version of weir, with another layout: run weir detach first")
    }
  }

  /// DIR/v1, DIR/v2 and so on, as far as they exist.
  static func layouts(in directory: String) -> [String] {
    names(in: directory, directories: true)
      .filter { $0.hasPrefix("v") && UInt32($0.dropFirst()) != nil }
      .map { "\(directory)/\($0)" }
  }

  /// mkdir(2), root's alone; false where it was there already.
  static func make(_ path: String) throws(DatapathError) -> Bool {
    if mkdir(path, 0o700) == 0 { return true }
    guard errno != EEXIST else { return false }
    throw DatapathError(step: "make directory", subject: path, code: errno)
  }

  /// Unpins everything below `directory`, links first so that enforcement ends before what it reads goes
  /// away. Returns how many pins there were. Directories that others put things into stay.
  static func removeAll(in directory: String) throws(DatapathError) -> Int {
    var removed = 0
    let layouts = Pins.layouts(in: directory)
    for kind in ["links", "maps"] {
      for layout in layouts {
        for name in names(in: "\(layout)/\(kind)") {
          let pin = "\(layout)/\(kind)/\(name)"
          let code = kind == "links" ? LinkSession.remove(pin) : unlink(pin) == 0 ? 0 : errno
          try check(-code, "unpin", pin)
          removed += 1
        }
      }
    }
    for path in layouts.flatMap({ ["\($0)/links", "\($0)/maps", $0] }) + [directory] {
      // ENOTEMPTY: not ours alone; EBUSY: a mount point.
      if rmdir(path) != 0, ![ENOENT, ENOTEMPTY, EBUSY].contains(errno) {
        throw DatapathError(step: "remove directory", subject: path, code: errno)
      }
    }
    return removed
  }
}

/// Keeps a second agent out of a pin directory for as long as it lives: a flock on the directory itself,
/// which the kernel gives back also after a kill.
final class Lock {
  private let descriptor: Descriptor

  init(_ directory: String) throws(DatapathError) {
    let held = try Descriptor.directory(directory, "open")
    // One that is going still holds it for a moment: as a process in exit, or in a child between fork and exec.
    var patience = 10
    while flock(held.raw, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      guard code == EWOULDBLOCK || code == EINTR, patience > 0 else {
        throw DatapathError(
          step: "lock", subject: directory, code: code,
          advice: code == EWOULDBLOCK ? "another agent holds it" : "")
      }
      patience -= 1
      usleep(20_000)
    }
    // Between open and flock a detach may have removed the directory: then the lock is on nothing.
    var mine = stat()
    var there = stat()
    guard fstat(held.raw, &mine) == 0, stat(directory, &there) == 0, mine.st_ino == there.st_ino else {
      throw DatapathError(
        step: "lock", subject: directory, code: EAGAIN, advice: "it was just removed: try again")
    }
    descriptor = held
  }

  /// Whether the directory is the one that is locked.
  func isOn(_ directory: String) -> Bool {
    var mine = stat()
    var there = stat()
    return fstat(descriptor.raw, &mine) == 0 && stat(directory, &there) == 0 && mine.st_ino == there.st_ino
      && mine.st_dev == there.st_dev
  }
}
