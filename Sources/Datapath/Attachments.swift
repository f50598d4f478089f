import CLibbpf
import Glibc

/// Which programs are attached where: the root's and the host's once, the proxies' to each proxy's cgroup.
struct Attachments {
  let object: LoadedObject
  let pins: Pins
  /// An absolute path.
  let root: String
  let held = HeldLinks()

  /// Attaches what is not attached, and puts this object's programs into every link that is pinned.
  func adoptAll(_ session: LinkSession) throws(DatapathError) {
    // A replacement that a kill interrupted.
    for name in names(in: pins.links) where name.hasSuffix(LinkSession.aside) {
      _ = LinkSession.remove("\(pins.links)/\(name)")
    }
    let directory = try Descriptor.directory(root, "open cgroup")
    guard let id = Cgroup.id(root) else {
      throw DatapathError(step: "open cgroup", subject: root, code: ENOENT)
    }
    // Look at everything before touching anything.
    var plan: [(hook: Hook, pinned: LinkSession.Pinned)] = []
    for hook in Hook.at(.root) + Hook.at(.host) {
      plan.append((hook, try LinkSession.look(pins.link(hook.name), cgroup: hook.place == .root ? id : nil)))
    }
    for (hook, pinned) in plan {
      guard let program = try program(for: hook) else { continue }
      let link = try session.put(
        program, at: pins.link(hook.name), cgroup: hook.place == .root ? (directory, root) : nil, over: pinned
      )
      try held.keep(link, hook.name, at: hook.place == .root ? (root, id) : nil)
    }
    try adoptProxies(session)
  }

  /// The links on proxies' cgroups get this object's programs; those whose cgroup is gone go.
  private func adoptProxies(_ session: LinkSession) throws(DatapathError) {
    for pin in names(in: pins.links) {
      let (name, proxy) = Pins.parse(pin)
      guard proxy != nil, let program = object.programs[name] else { continue }
      let path = "\(pins.links)/\(pin)"
      switch try LinkSession.look(path, cgroup: nil) {
      case .none: continue
      case .dead: unlink(path)
      case .alive(let link, let report):
        try held.keep(session.put(program, at: path, cgroup: nil, over: .alive(link, report)), pin, at: nil)
      }
    }
  }

  /// nil where it is one that can be done without and this kernel refuses it.
  private func program(for hook: Hook) throws(DatapathError) -> Program? {
    if hook.cost != nil, object.programs[hook.name] == nil { return nil }
    return try object.program(hook.name)
  }

  /// Pins of programs and maps that an earlier build had and this one has not.
  func dropStrangers() {
    for pin in names(in: pins.links) where !Hook.all.contains(where: { $0.name == Pins.parse(pin).name }) {
      _ = LinkSession.remove("\(pins.links)/\(pin)")
    }
    for map in names(in: pins.maps) where object.maps[map] == nil { unlink("\(pins.maps)/\(map)") }
  }

  func attach(proxy number: UInt32, cgroup path: String) throws(DatapathError) {
    try Cgroup.checkRoot(path, "use as a proxy's cgroup")
    let directory = try Descriptor.directory(path, "open cgroup")
    let id = Cgroup.id(path)
    let session = LinkSession()
    var left: [Descriptor] = []
    for hook in Hook.at(.proxy) {
      let program = try object.program(hook.name)
      let pin = pins.link(hook.name, proxy: number)
      var pinned = try LinkSession.look(pin, cgroup: nil)
      if case .alive(let link, let report) = pinned, case .cgroup(let there, _) = report.kind, there != id {
        left.append(link)
        pinned = .dead  // the proxy has moved to another cgroup
      }
      let link = try session.put(program, at: pin, cgroup: (directory, path), over: pinned)
      try held.keep(link, Pins.name(hook.name, proxy: number), at: id.map { (path, $0) })
    }
    session.commit()
    for link in left { _ = bpf_link_detach(link.raw) }
  }

  func keepProxies(_ numbers: Set<UInt32>) throws(DatapathError) {
    for pin in names(in: pins.links) {
      guard let number = Pins.parse(pin).proxy, !numbers.contains(number) else { continue }
      try check(-LinkSession.remove("\(pins.links)/\(pin)"), "unpin", "\(pins.links)/\(pin)")
      held.links[pin] = nil
    }
  }
}
