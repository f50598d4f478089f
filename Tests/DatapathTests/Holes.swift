import CDatapath
import Glibc
import Lab

@testable import Datapath

/// What most tests of unusual ways out start from, all on loopback:
///
///     web (1) ──▶ api (2)   web may reach port 18081 of api, TCP and UDP, and nothing else
///     api (2) ──▶ db (3)    db takes api and nobody else
///     aside (4)             nothing selects it as a source; nobody may enter it
extension Lab {
  func holes() throws {
    try workload("shop/web", number: 1)
    try workload("shop/api", number: 2)
    try workload("shop/db", number: 3)
    try workload("shop/aside", number: 4)
    entries.pair(subject: 1, .egress, peer: 0, ports: 1)
    entries.pair(subject: 1, .egress, peer: 2, ports: 2)
    entries.pair(subject: 3, .ingress, peer: 0, ports: 1)
    entries.pair(subject: 3, .ingress, peer: 2, ports: 3)
    entries.pair(subject: 4, .ingress, peer: 0, ports: 1)
    entries.ruling(1, .denied())
    entries.ruling(2, .denied())
    for transport in [6, 17] { entries.ruling(2, protocol: transport, port: 18081, .allowed()) }
    entries.ruling(3, .allowed())
    try install()
  }

  /// `web` is let go: what it was refused for succeeds now, or the test could not have failed.
  func openWeb() throws {
    entries.pairs.removeAll { $0.0.subject == 1 }
    try install()
  }

  /// Whichever end is looked at first is aborted, and resets the other;
  /// or, where the kernel cannot end a connection, gets no more packets.
  func isEnded(_ word: String) throws -> Bool {
    if try (resets() ? ["ECONNABORTED", "ECONNRESET"] : ["TIMEOUT"]).contains(word) { return true }
    print("not ended: \(word)")
    return false
  }

  /// Everybody may enter db.
  func openDatabase() throws {
    entries.pairs.removeAll { $0.0.subject == 3 }
    try install()
  }
}
