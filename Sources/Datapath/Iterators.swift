import CLibbpf
import CLinux
import Glibc

/// Runs iterator programs over the sockets of every network namespace that processes below a cgroup live in.
/// An iterator sees only the namespace of the thread that opens it, so this is done on a thread of its own.
struct Iterators {
  let object: LoadedObject
  let root: String

  /// Adds up the numbers that the programs print, one at the end of each line. Programs that this kernel
  /// refused are left out. Sockets in a namespace that no process lives in any more are not seen.
  func run(_ hooks: [String]) throws(DatapathError) -> Int {
    let programs = hooks.compactMap { object.programs[$0] }
    guard !programs.isEmpty else { return 0 }
    var links: [Descriptor] = []
    for program in programs {
      links.append(
        try Descriptor.adopt(
          bpf_link_create(program.descriptor, 0, BPF_TRACE_ITER, nil), "attach iterator", program.name))
    }
    let namespaces = Iterators.namespaces(below: root)
    guard !namespaces.isEmpty else { return 0 }
    let visit = Visit(
      namespaces: namespaces.map { ($0.value.raw, $0.key) }.sorted { $0.1 < $1.1 },
      links: zip(links, programs).map { ($0.raw, $1.name) })
    let report = try onThread { visit.run() }
    _ = (links, namespaces)
    if let failure = report.failure { throw failure }
    return report.total
  }

  /// Network namespaces by inode number.
  static func namespaces(below root: String) -> [UInt64: Descriptor] {
    var found: [UInt64: Descriptor] = [:]
    Cgroup.walk(root) { path in
      for process in Cgroup.processes(path) {
        let path = "/proc/\(process)/ns/net"
        var about = stat()
        // A process that has ended meanwhile has no sockets either.
        guard stat(path, &about) == 0, found[UInt64(about.st_ino)] == nil else { continue }
        found[UInt64(about.st_ino)] = try? Descriptor.adopt(open(path, O_RDONLY | O_CLOEXEC), "open", path)
      }
      return true
    }
    return found
  }

  /// The work of the thread: bare numbers, so that it can be handed over.
  private struct Visit: Sendable {
    var namespaces: [(descriptor: Int32, inode: UInt64)]
    var links: [(descriptor: Int32, name: String)]

    struct Report: Sendable {
      var total = 0
      var failure: DatapathError?
    }

    /// Visits all namespaces even when one fails; reports the first failure.
    func run() -> Report {
      var report = Report()
      for namespace in namespaces {
        do {
          try enter(namespace)
          for link in links { report.total += try read(link) }
        } catch {
          if report.failure == nil { report.failure = error }
        }
      }
      return report
    }

    private func enter(_ namespace: (descriptor: Int32, inode: UInt64)) throws(DatapathError) {
      var here = stat()
      if stat("/proc/thread-self/ns/net", &here) == 0, UInt64(here.st_ino) == namespace.inode { return }
      try checkErrno(
        linux_enter_netns(namespace.descriptor), "enter network namespace", "\(namespace.inode)",
        advice: "entering a workload's network namespace needs CAP_SYS_ADMIN")
    }

    private func read(_ link: (descriptor: Int32, name: String)) throws(DatapathError) -> Int {
      let iterator = try Descriptor.adopt(bpf_iter_create(link.descriptor), "open iterator", link.name)
      guard let bytes = readAll(iterator.raw) else {
        throw DatapathError(step: "read iterator", subject: link.name, code: errno)
      }
      return String(decoding: bytes, as: UTF8.self).split(separator: "\n").reduce(0) { total, line in
        total + (line.split(separator: " ").last.flatMap { Int($0) } ?? 0)
      }
    }
  }
}
