import CLibbpf
import CLinux
import Glibc

/// Runs iterator programs over the sockets of every network namespace that processes below a cgroup live in.
/// An iterator sees only the namespace of the thread that opens it, so this is done on a thread of its own.
struct Iterators {
  let object: LoadedObject
  let root: String

  /// What came of one look at all sockets.
  struct Report: Sendable {
    /// What the programs counted.
    var total = 0
    /// Namespaces left out, because entering them is not allowed.
    var notEntered = 0
    var failure: DatapathError?
  }

  /// Adds up the lines that the programs print. Each list of hooks runs on a thread of its own, beside the others.
  /// Programs that this kernel refused are left out. Sockets in a namespace that no process lives in any more are not seen.
  func run(_ lists: [[String]]) throws(DatapathError) -> Report {
    let programs = lists.map { $0.compactMap { object.programs[$0] } }.filter { !$0.isEmpty }
    guard !programs.isEmpty else { return Report() }
    var links: [Descriptor] = []
    var visits: [Visit] = []
    let namespaces = Iterators.namespaces(below: root)
    for list in programs {
      var visit = Visit(namespaces: namespaces.sorted { $0.key < $1.key }.map { $0.value.entrance }, links: [])
      for program in list {
        let link = try Descriptor.adopt(
          bpf_link_create(program.descriptor, 0, BPF_TRACE_ITER, nil), "attach iterator", program.name)
        visit.links.append((link.raw, program.name))
        links.append(link)
      }
      visits.append(visit)
    }
    // The optimizer may close what is in a collection right after the last look at it, which is above.
    let reports = try withExtendedLifetime((links, namespaces)) { () throws(DatapathError) in
      try onThreads(visits.map { visit in { visit.run() } })
    }
    for report in reports { if let failure = report.failure { throw failure } }
    return Report(
      total: reports.reduce(0) { $0 + $1.total }, notEntered: reports.map(\.notEntered).max() ?? 0, failure: nil)
  }

  /// Whether the program writes anything about the sockets that have state in a map of socket storage; of all network
  /// namespaces. Reads no further than its first line. True where this kernel refused the program: nobody knows.
  func finds(_ hook: String, in map: Map) throws(DatapathError) -> Bool {
    guard let program = object.programs[hook] else { return true }
    var about = bpf_iter_link_info()
    about.map.map_fd = UInt32(map.descriptor)
    let answer = withUnsafeMutablePointer(to: &about) { about in
      var options = bpf_link_create_opts()
      options.sz = MemoryLayout<bpf_link_create_opts>.size
      options.iter_info = about
      options.iter_info_len = UInt32(MemoryLayout<bpf_iter_link_info>.size)
      return bpf_link_create(program.descriptor, 0, BPF_TRACE_ITER, &options)
    }
    let link = try Descriptor.adopt(answer, "attach iterator", hook)
    return try withExtendedLifetime(link) { () throws(DatapathError) in
      try Visit.read((link.raw, hook), most: 1) > 0
    }
  }

  /// A network namespace that processes live in.
  enum Namespace {
    /// The agent's.
    case here
    case there(Descriptor)
    /// /proc/PID/ns/net of another user's process, or of one with more capabilities, needs CAP_SYS_PTRACE.
    case closed

    var entrance: Visit.Entrance {
      switch self {
      case .here: .here
      case .there(let descriptor): .through(descriptor.raw)
      case .closed: .closed
      }
    }
  }

  /// By the inode number of /proc/PID/net/dev: each namespace has a file of its own there, which everybody may look at,
  /// unlike /proc/PID/ns/net.
  static func namespaces(below root: String) -> [UInt64: Namespace] {
    func mark(_ process: String) -> UInt64? {
      var about = stat()
      return stat("/proc/\(process)/net/dev", &about) == 0 ? UInt64(about.st_ino) : nil
    }
    let own = mark("thread-self")
    var found: [UInt64: Namespace] = [:]
    Cgroup.walk(root) { path in
      for process in Cgroup.processes(path) {
        // A process that has ended meanwhile has no sockets either.
        guard let mark = mark("\(process)") else { continue }
        switch found[mark] {
        case .here?, .there?: continue
        // Another process of the same namespace may be one that lets itself be looked at.
        case .closed?, nil: break
        }
        if mark == own {
          found[mark] = .here
          continue
        }
        let descriptor = open("/proc/\(process)/ns/net", O_RDONLY | O_CLOEXEC)
        if descriptor < 0 && errno != EACCES && errno != EPERM { continue }
        found[mark] = (try? Descriptor.adopt(descriptor, "open")).map { .there($0) } ?? .closed
      }
      return true
    }
    return found
  }

  /// The work of the thread: bare numbers, so that it can be handed over.
  struct Visit: Sendable {
    enum Entrance: Sendable {
      case here
      case through(Int32)
      case closed
    }

    var namespaces: [Entrance]
    var links: [(descriptor: Int32, name: String)]

    /// Visits all namespaces even when one fails; reports the first failure.
    func run() -> Report {
      var report = Report()
      // The way back is not always open: first what needs no entering.
      for namespace in namespaces { if case .here = namespace { visit(&report) } }
      for namespace in namespaces {
        switch namespace {
        case .here: continue
        case .closed: report.notEntered += 1
        case .through(let descriptor):
          if linux_enter_netns(descriptor) == 0 {
            visit(&report)
          } else if errno == EPERM {
            report.notEntered += 1
          } else if report.failure == nil {
            report.failure = DatapathError(step: "enter", subject: "a network namespace", code: errno)
          }
        }
      }
      return report
    }

    private func visit(_ report: inout Report) {
      do throws(DatapathError) {
        for link in links { report.total += try Visit.read(link) }
      } catch {
        if report.failure == nil { report.failure = error }
      }
    }

    /// How many lines the program writes; reads no more once there are `most`.
    static func read(
      _ link: (descriptor: Int32, name: String), most: Int = .max
    ) throws(DatapathError) -> Int {
      let iterator = try Descriptor.adopt(bpf_iter_create(link.descriptor), "open iterator", link.name)
      var chunk = [UInt8](repeating: 0, count: 16384)
      var lines = 0
      while lines < most {
        let count = chunk.withUnsafeMutableBytes { Glibc.read(iterator.raw, $0.baseAddress, $0.count) }
        // EAGAIN: a million sockets, and none to tell of (MAX_ITER_OBJECTS, kernel/bpf/bpf_iter.c); it goes on from there.
        if count < 0, errno == EINTR || errno == EAGAIN { continue }
        if count < 0 { throw DatapathError(step: "read iterator", subject: link.name, code: errno) }
        if count == 0 { break }
        lines += chunk[..<count].count { $0 == UInt8(ascii: "\n") }
      }
      return lines
    }
  }
}
