import CLibbpf
import Glibc

/// The links that this process holds, by the names of their pins. A pin alone would do for the programs to stay attached;
/// what is held besides outlasts the pin, and can be pinned again.
final class HeldLinks {
  struct Link {
    let descriptor: Descriptor
    let id: UInt32
    /// What it runs.
    let program: UInt32
    /// Where it was put, and the cgroup's id then; nil where that has no cgroup, or is not known yet.
    let place: (path: String, id: UInt64)?
  }

  var links: [String: Link] = [:]

  func keep(
    _ link: Descriptor, _ pin: String, at place: (path: String, id: UInt64)?
  ) throws(DatapathError) {
    let report = try LinkReport(link, pin)
    links[pin] = Link(descriptor: link, id: report.id, program: report.program, place: place)
  }
}
