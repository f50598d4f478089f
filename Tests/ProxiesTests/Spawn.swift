import Glibc

struct Failure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// A new, empty directory; who asked for it removes it.
func temporaryDirectory() throws -> String {
  var template = Array("/tmp/weir-proxies-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else { throw Failure("mkdtemp: errno \(errno)") }
  return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Starts a program with our environment and `input` as its standard input.
func spawn(_ command: [String], input: Int32) throws -> pid_t {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_adddup2(&actions, input, 0)
  // Ours may be a thread that has signals blocked, and a shell that inherits this never hears of its child's
  // end.
  var attributes = posix_spawnattr_t()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  var none = sigset_t()
  sigemptyset(&none)
  posix_spawnattr_setsigmask(&attributes, &none)
  posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
  var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
  defer { words.forEach { free($0) } }
  var child: pid_t = 0
  let error = posix_spawn(&child, command[0], &actions, &attributes, &words, environ)
  guard error == 0 else { throw Failure("posix_spawn \(command[0]): errno \(error)") }
  return child
}
