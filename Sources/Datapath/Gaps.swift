import CDatapath
import CLibbpf
import CLinux
import Glibc

/// Something that keeps the programs from being in effect, or from staying so without the agent.
public struct Gap: Sendable, Codable, Hashable {
  /// As the pin is called: `connect4`, `getsockopt_p3`; `pins` where it is all of them.
  public var program: String
  /// Whether the kernel runs the program; then only its pin is amiss.
  public var runs: Bool
  /// A sentence without its subject: `was detached from /sys/fs/cgroup/shop`.
  public var why: String

  public init(program: String, runs: Bool, why: String) {
    self.program = program
    self.runs = runs
    self.why = why
  }
}

extension Datapath {
  /// What the kernel says is amiss, compared with what this process attached: empty when every link is alive, on the
  /// very cgroup that has the path now, runs this process's program, and is pinned.
  /// - Parameter workloads: cgroups below the root, in whose lists of effective programs the root's must be.
  public func gaps(below workloads: [String] = []) throws(DatapathError) -> [Gap] {
    var gaps: [Gap] = []
    for (pin, link) in attachments.held.links.sorted(by: { $0.key < $1.key }) {
      if let why = try attachments.whyNotRun(pin, link, below: workloads) {
        gaps.append(Gap(program: pin, runs: false, why: why))
      }
    }
    let pins = attachments.pins
    if let why = pinsAreGone {
      gaps.append(Gap(program: "pins", runs: true, why: why))
      return gaps
    }
    for (pin, link) in attachments.held.links.sorted(by: { $0.key < $1.key }) {
      if let why = attachments.whyNotPinned(pin, link) { gaps.append(Gap(program: pin, runs: true, why: why)) }
    }
    let maps = object.maps.keys.sorted().filter { access("\(pins.maps)/\($0)", F_OK) != 0 }
    if let first = maps.first {
      let more = maps.count > 1 ? " and \(maps.count - 1) more" : ""
      gaps.append(Gap(program: "pins", runs: true, why: "the pin of map \(first)\(more) is gone"))
    }
    return gaps
  }

  /// Closes the gaps that can be closed: attaches what is not attached wherever its cgroup is there, and pins what is
  /// not pinned wherever the directory is on bpffs. Goes on after an error; throws the first.
  public func mend() throws(DatapathError) {
    var failure: DatapathError?
    func attempt(_ step: () throws(DatapathError) -> Void) {
      do { try step() } catch { if failure == nil { failure = error } }
    }
    for pin in attachments.held.links.keys.sorted() {
      attempt { () throws(DatapathError) in try attachments.attachAgain(pin) }
    }
    attempt { () throws(DatapathError) in try makePinsAgain() }
    if pinsAreGone == nil {
      for (pin, link) in attachments.held.links where attachments.whyNotPinned(pin, link) != nil {
        attempt { () throws(DatapathError) in try attachments.pinAgain(pin, link) }
      }
      for map in object.maps.values where access("\(attachments.pins.maps)/\(map.name)", F_OK) != 0 {
        attempt { () throws(DatapathError) in
          try check(bpf_obj_pin(map.descriptor, "\(attachments.pins.maps)/\(map.name)"), "pin", map.name)
        }
      }
    }
    if let failure { throw failure }
  }

  /// The directory of the pins is not the one that this process locked; nil while it is.
  private var pinsAreGone: String? {
    let directory = attachments.pins.root
    if lock.isOn(directory) { return nil }
    return "\(directory) is not the directory that the pins are in: enforcement would end with the agent; "
      + "mount the bpf file system there again"
  }

  /// In the file system that is mounted there now.
  private func makePinsAgain() throws(DatapathError) {
    let pins = attachments.pins
    guard pinsAreGone != nil else { return }
    // Not there yet is no error: that is what the gap says.
    guard (try? Pins.checkDirectory(pins.root)) != nil else { return }
    _ = try Pins.make(pins.root)
    let fresh = try Lock(pins.root)
    for path in [pins.layout, pins.maps, pins.links, pins.notes] { _ = try Pins.make(path) }
    lock = fresh
  }
}

extension Attachments {
  /// Why the kernel does not run a link's program where it belongs; nil where it does.
  func whyNotRun(_ pin: String, _ link: HeldLinks.Link, below workloads: [String]) throws(DatapathError) -> String? {
    let report = try LinkReport(link.descriptor, pin)
    if report.program != link.program { return "its link runs another program, number \(report.program)" }
    guard case .cgroup(let id, let type) = report.kind, let (path, former) = link.place else { return nil }
    guard let now = Cgroup.id(path) else { return "its cgroup \(path) is gone" }
    if now != former { return "its cgroup \(path) was removed and made again" }
    if id != now { return "was detached from \(path)" }
    let hook = bpf_attach_type(rawValue: type)
    for cgroup in [path] + (path == root ? workloads : []) where try !isEffective(link.program, cgroup, hook) {
      return "is attached, but the kernel does not run it for \(cgroup)"
    }
    return nil
  }

  /// To a process without CAP_NET_ADMIN the kernel says no more than that the link is on its cgroup; it runs every
  /// program that a link puts there (kernel/bpf/cgroup.c, compute_effective_progs).
  private func isEffective(
    _ program: UInt32, _ cgroup: String, _ type: bpf_attach_type
  ) throws(DatapathError) -> Bool {
    do { return try Inspector.effective(cgroup, type).contains(program) } catch {
      // A workload's cgroup may be gone by now.
      guard error.code == EPERM || error.code == ENOENT || error.code == ENODEV else { throw error }
      return true
    }
  }

  func whyNotPinned(_ pin: String, _ link: HeldLinks.Link) -> String? {
    let path = "\(pins.links)/\(pin)"
    guard let there = try? Descriptor.adopt(bpf_obj_get(path), "open pin", path) else {
      return "its pin \(path) is gone: it would end with the agent"
    }
    if (try? LinkReport(there, path))?.id == link.id { return nil }
    return "\(path) is the pin of something else: it would end with the agent"
  }

  /// Attaches a program anew whose link is dead, to the cgroup that has its path now.
  func attachAgain(_ pin: String) throws(DatapathError) {
    guard let link = held.links[pin], let (path, former) = link.place, let now = Cgroup.id(path) else { return }
    let (name, proxy) = Pins.parse(pin)
    // A proxy's cgroup that was made again is attached with the next generation, which knows of it.
    if proxy != nil && now != former { return }
    let report = try LinkReport(link.descriptor, pin)
    guard case .cgroup(let id, _) = report.kind else { return }
    let program = try object.program(name)
    if id == now, report.program == link.program { return }
    try pins.setNote(Pins.enrolled, nil)
    if id == now {
      try check(bpf_link_update(link.descriptor.raw, program.descriptor, nil), "replace the program of", pin)
      return
    }
    let directory = try Descriptor.directory(path, "open cgroup")
    try held.keep(LinkSession.attach(program, (directory, path)), pin, at: (path, now))
  }

  func pinAgain(_ pin: String, _ link: HeldLinks.Link) throws(DatapathError) {
    let session = LinkSession()
    try session.replace(link.descriptor, at: "\(pins.links)/\(pin)", old: nil)
    session.commit()
  }
}
