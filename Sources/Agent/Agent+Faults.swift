import Glibc
import Policy

/// What is looked after once a second because nobody tells of it.
extension Agent {
  /// Which directory or file a name leads to: another one when something was mounted over it.
  struct Place: Equatable {
    var device: dev_t
    var inode: ino_t

    init?(_ path: String) {
      var about = stat()
      guard stat(path, &about) == 0 else { return nil }
      (device, inode) = (about.st_dev, about.st_ino)
    }
  }

  /// Where every source is now; one that is gone has no entry.
  static func places(_ sources: [String]) -> [String: Place] {
    var places: [String: Place] = [:]
    for path in sources { places[path] = Place(path) }
    return places
  }

  /// inotify does not tell that something was mounted over a directory.
  func followPlaces() {
    if Agent.places(sources) != readPlaces { reload("moved") }
  }

  /// A directory whose file system went away looks like one from which somebody removed every file. Only an
  /// operator knows; until there is a file, or a request, it is no reason to enforce nothing.
  func isVacant(_ path: String) -> Bool {
    guard let former = lastGoodPlaces[path], let now = Place(path), former.device != now.device else { return false }
    return Files.isDirectory(path) && Files.names(in: path).isEmpty
  }

  /// The run directory was removed below a running agent: made again, with the socket and what the numbers mean.
  func followRunDirectory() {
    if Files.exists(configuration.socket) && Files.isDirectory(configuration.workloads) {
      runDirectoryFailed = false
      return
    }
    do throws(Failure) {
      try Preflight.makeRunDirectory(configuration)
      try numbersFile.save(&numbers)
      if !Files.exists(configuration.socket) { try listenAgain() }
      log.warn("run-directory-made-again", ["run_dir": configuration.runDirectory])
      reload("run-directory")
      runDirectoryFailed = false
    } catch {
      if !runDirectoryFailed { log.error("run-directory-lost", ["error": error]) }
      runDirectoryFailed = true
    }
  }
}
