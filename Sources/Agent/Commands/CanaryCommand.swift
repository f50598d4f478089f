import Glibc
import Policy

extension Command {
  /// The agent's child; not for people, so it is in no list.
  public static let canary = Command(
    name: "canary", summary: "the agent's own child, which opens the flows of weir verify", usage: ""
  ) { arguments throws(Failure) in
    guard Files.isSocket(STDIN_FILENO), arguments.positionals.isEmpty else {
      throw Failure("the agent starts this by itself; see weir verify")
    }
    CanaryProcess().run()
    return 0
  }
}
