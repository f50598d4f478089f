import CLinux
import Glibc

/// Who asks on the status socket: root and the agent's own user are answered, whatever the socket's mode has been made.
final class Strangers {
  /// Requests that were refused.
  private(set) var refused: UInt64 = 0
  private var isSaid = false

  /// What to answer a client that is not to be served; nil for one that is. The first is said in the log.
  func refuse(client: Int32, log: Log) -> HTTPResponse? {
    let peer = Strangers.peer(of: client)
    if let uid = peer?.uid, uid == 0 || uid == geteuid() { return nil }
    refused += 1
    if !isSaid {
      isSaid = true
      log.warn(
        "stranger-refused",
        [
          "uid": peer.map { "\($0.uid)" } ?? "unknown", "pid": peer?.pid ?? 0,
          "do": "the status socket is for root; only the first such request is said here",
        ])
    }
    return .text(403, "for root and the agent's own user only")
  }

  /// Who opened the connection; nil where the kernel does not know.
  static func peer(of client: Int32) -> (uid: uid_t, pid: pid_t)? {
    var uid: uid_t = 0
    var pid: pid_t = 0
    return linux_peer(client, &uid, &pid) == 0 ? (uid, pid) : nil
  }
}
