import Datapath
import Glibc

extension Command {
  public static let detach = Command(
    name: "detach", summary: "end enforcement: remove every program, map and pin", usage: "[--bpffs DIR]",
    details: "Refused while an agent runs. From then on nothing is judged.", options: [bpffs]
  ) { arguments throws(Failure) in
    if let extra = arguments.positionals.first {
      throw Failure("\(extra): takes no arguments; name pins with --bpffs")
    }
    let directory = Files.absolute(arguments.last("--bpffs") ?? Configuration.defaultBpffs)
    if !Files.exists(directory) {
      Output.standard.write("nothing is attached: \(directory) is not there\n")
      return 0
    }
    try refuseWhileLocked(directory)
    do throws(DatapathError) {
      let count = try Datapath.detach(directory: directory)
      Output.standard.write("removed \(count) pins from \(directory); nothing is judged any more\n")
    } catch {
      throw Failure(error)
    }
    return 0
  }

  /// A running agent holds a lock on the directory.
  private static func refuseWhileLocked(_ directory: String) throws(Failure) {
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor < 0 { throw Failure(SystemError("open", directory), hint: "run as root") }
    defer { close(descriptor) }
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK {
      throw Failure("\(directory): an agent is running; stop it first")
    }
  }
}
