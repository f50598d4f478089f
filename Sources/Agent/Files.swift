import Glibc

/// The few things done to files.
enum Files {
  /// Replaces a file whole: a temporary file in the same directory, then rename. With `durable`, it is on the
  /// disk before this returns.
  static func replace(
    _ path: String, with content: [UInt8], mode: mode_t = 0o600, durable: Bool = false
  ) throws(SystemError) {
    let temporary = "\(directory(of: path))/.\(last(of: path)).\(getpid())"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
    if descriptor < 0 { throw SystemError("open", temporary) }
    do throws(SystemError) {
      try write(content, to: descriptor, path: temporary)
      if durable && fsync(descriptor) != 0 { throw SystemError("fsync", temporary) }
    } catch {
      close(descriptor)
      unlink(temporary)
      throw error
    }
    close(descriptor)
    if rename(temporary, path) != 0 {
      let error = SystemError("rename", path)
      unlink(temporary)
      throw error
    }
    if durable { syncDirectory(of: path) }
  }

  /// Where a standard descriptor was closed, the next file that is opened would get its number, and the log's lines.
  static func openStandard() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
  }

  /// The content; nil where there is no such file. More than `limit` bytes is EFBIG.
  static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 {
      if errno == ENOENT { return nil }
      throw SystemError("open", path)
    }
    defer { close(descriptor) }
    var content: [UInt8] = []
    while true {
      let (count, code) = append(from: descriptor, to: &content)
      if count == 0 { return content }
      if count < 0 && code == EINTR { continue }
      if count < 0 { throw SystemError("read", path, code: code) }
      if content.count > limit { throw SystemError("read", path, code: EFBIG) }
    }
  }

  /// Makes a directory and those above it. One that is there already is left as it is.
  static func makeDirectory(_ path: String, mode: mode_t = 0o700) throws(SystemError) {
    if isDirectory(path) { return }
    let above = directory(of: path)
    if above != path && !isDirectory(above) { try makeDirectory(above, mode: 0o755) }
    if mkdir(path, mode) != 0 && !(errno == EEXIST && isDirectory(path)) { throw SystemError("mkdir", path) }
  }

  /// Whether the name is gone.
  @discardableResult
  static func remove(_ path: String) -> Bool { unlink(path) == 0 || errno == ENOENT }

  static func isSocket(_ descriptor: Int32) -> Bool {
    var about = stat()
    return fstat(descriptor, &about) == 0 && about.st_mode & S_IFMT == S_IFSOCK
  }

  static func isDirectory(_ path: String) -> Bool { kind(path) == S_IFDIR }

  static func exists(_ path: String) -> Bool { kind(path) != nil }

  /// S_IFDIR and the like, of what the path leads to.
  static func kind(_ path: String) -> mode_t? {
    var information = stat()
    return stat(path, &information) == 0 ? information.st_mode & S_IFMT : nil
  }

  /// Names in a directory without `.` and `..`, sorted; empty where it cannot be read.
  static func names(in path: String) -> [String] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Absolute, without symbolic links; nil where it leads nowhere.
  static func resolved(_ path: String) -> String? {
    guard let found = realpath(path, nil) else { return nil }
    defer { free(found) }
    return String(cString: found)
  }

  /// Absolute by the working directory, otherwise as written; no slash at the end.
  static func absolute(_ path: String) -> String {
    var path = path
    if !path.hasPrefix("/"), let here = resolved(".") { path = here + "/" + path }
    while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
    return path
  }

  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static func last(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }

  static func write(_ content: [UInt8], to descriptor: Int32, path: String) throws(SystemError) {
    var offset = 0
    while offset < content.count {
      let written = content.withUnsafeBytes { bytes in
        Glibc.write(descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
      }
      if written < 0 && errno == EINTR { continue }
      if written <= 0 { throw SystemError("write", path) }
      offset += written
    }
  }

  private static func append(from descriptor: Int32, to content: inout [UInt8]) -> (Int, Int32) {
    withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 16) { buffer in
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count > 0 { content.append(contentsOf: buffer.prefix(count)) }
      return (count, errno)
    }
  }

  private static func syncDirectory(of path: String) {
    let descriptor = open(directory(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor < 0 { return }
    fsync(descriptor)
    close(descriptor)
  }
}
