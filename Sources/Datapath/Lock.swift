import Glibc

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
