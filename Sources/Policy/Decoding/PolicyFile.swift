import Glibc

/// Finds and opens the files that paths name. Nothing here waits: a FIFO, a device or a huge file is refused
/// as it is.
enum PolicyFile {
  /// The files of one path: itself, or what a directory holds, in sorted order. A directory below it is not
  /// entered; names that start with a dot are passed over, so a mounted ConfigMap's `..data` is read once,
  /// through its links.
  static func files(at path: String) -> Result<[String], Problem> {
    var status = stat()
    guard path.utf8.allSatisfy({ $0 != 0 }), stat(path, &status) == 0 else {
      return .failure(unreadable(path))
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return .success([path]) }
    guard let directory = opendir(path) else { return .failure(unreadable(path)) }
    defer { closedir(directory) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) {
          String(cString: $0)
        }
      }
      if isPolicyFile(name) { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { return .failure(unreadable(path)) }
    let prefix = path.hasSuffix("/") ? path : path + "/"
    return .success(names.sorted().map { prefix + $0 })
  }

  private static func isPolicyFile(_ name: String) -> Bool {
    !name.hasPrefix(".") && [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) }
  }

  /// Which file it is, however it is called.
  struct Identity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
  }

  /// Nanoseconds since 1970, as the file system and CLOCK_REALTIME have them.
  typealias Time = Int64

  /// What tells a file from what it was before, without reading it.
  struct Look: Sendable {
    var identity: Identity
    var size: Int64
    var modified: Time
    var changed: Time
    /// When it looked so.
    var seen: Time = 0

    /// A file system's clock ticks: 10 ms on most kernels, 2 s on FAT. What was written that shortly before it was
    /// seen may have been written again since, within the same tick; such a file is read again, once.
    static let tick: Time = 2_500_000_000

    init(_ status: stat) {
      identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
      size = Int64(status.st_size)
      modified = Look.time(status.st_mtim)
      changed = Look.time(status.st_ctim)
    }

    static func now() -> Time {
      var now = timespec()
      clock_gettime(CLOCK_REALTIME, &now)
      return time(now)
    }

    /// Whether the file is for certain what it was then. Files of /proc, whose size is 0, never are.
    func isSame(as then: Look) -> Bool {
      identity == then.identity && size == then.size && size > 0 && modified == then.modified
        && changed == then.changed && max(modified, changed) < then.seen - Look.tick
    }

    private static func time(_ time: timespec) -> Time {
      Time(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000).partialValue &+ Time(time.tv_nsec)
    }
  }

  /// A regular file as it looks.
  static func look(at path: String) -> Result<Look, Problem> {
    var status = stat()
    do throws(Problem) {
      guard stat(path, &status) == 0 else { throw unreadable(path) }
      try requireRegular(status, path)
      return .success(Look(status))
    } catch {
      return .failure(error)
    }
  }

  /// A regular file's bytes. To be looked at before it is opened: opening alone can arm a watchdog or rewind a
  /// tape.
  static func read(_ path: String) throws(Problem) -> (look: Look, bytes: [UInt8]) {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else { throw unreadable(path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw unreadable(path) }
    try requireRegular(status, path)
    return (Look(status), try readAll(descriptor, expecting: Int(status.st_size), path))
  }

  private static func requireRegular(_ status: stat, _ path: String) throws(Problem) {
    let kind: String? =
      switch status.st_mode & S_IFMT {
      case S_IFREG: nil
      case S_IFDIR: "a directory"
      case S_IFIFO: "a FIFO"
      case S_IFSOCK: "a socket"
      case S_IFCHR, S_IFBLK: "a device"
      default: "something else"
      }
    if let kind { throw Problem(file: shown(path, atMost: 4096), message: "expected a regular file, found \(kind)") }
    if status.st_size > YAML.Limit.bytes { throw tooLarge(path) }
  }

  /// Reads to the end, not to the size: files of /proc have none, and one may grow.
  private static func readAll(_ descriptor: Int32, expecting size: Int, _ path: String) throws(Problem)
    -> [UInt8]
  {
    var bytes: [UInt8] = []
    var room = size + 1
    while true {
      var count = 0
      let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, filled in
        repeat { count = Glibc.read(descriptor, buffer.baseAddress, room) } while count < 0 && errno == EINTR
        filled = max(0, count)
      }
      guard count >= 0 else { throw unreadable(path) }
      if count == 0 { return bytes }
      if bytes.isEmpty { bytes = chunk } else { bytes += chunk }
      if bytes.count > YAML.Limit.bytes { throw tooLarge(path) }
      room = 1 << 16
    }
  }

  private static func tooLarge(_ path: String) -> Problem {
    Problem(file: shown(path, atMost: 4096), message: "larger than \(YAML.Limit.bytes >> 20) MiB; split it")
  }

  private static func unreadable(_ path: String) -> Problem {
    let code = errno
    let reason =
      switch code {
      case ENOENT: "there is no such file or directory"
      case ELOOP: "its symbolic links lead in a circle"
      case EACCES: "no permission to read it"
      default: String(cString: strerror(code))
      }
    return Problem(file: shown(path, atMost: 4096), message: "cannot be read: \(reason)")
  }
}
