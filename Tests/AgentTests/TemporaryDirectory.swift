import Glibc

@testable import Agent

/// A directory that goes away with everything in it.
final class TemporaryDirectory {
  let path: String

  init() {
    var template = Array("/tmp/weir-agent-XXXXXX".utf8CString)
    path = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
  }

  deinit { TemporaryDirectory.remove(path) }

  private static func remove(_ path: String) {
    for name in Files.names(in: path) {
      var information = stat()
      let entry = "\(path)/\(name)"
      if lstat(entry, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR {
        remove(entry)
      } else {
        unlink(entry)
      }
    }
    rmdir(path)
  }

  func write(_ name: String, _ text: String) {
    guard let file = fopen("\(path)/\(name)", "w") else { return }
    fputs(text, file)
    fclose(file)
  }
}
