import CLibbpf
import Glibc

/// Which programs are attached where: the root's and the host's once, the proxies' to each proxy's cgroup.
struct Attachments {
  let object: LoadedObject
  let pins: Pins
  /// An absolute path.
  let root: String
  let held = HeldLinks()

  /// What is to be done to one link.
  private struct Step {
    var hook: Hook
    var program: Program
    /// The name of its pin.
    var pin: String
    var pinned: LinkSession.Pinned
    /// Whose directory it is pinned in.
    var at: Pins
    var cgroup: (Descriptor, String)?

    var isNew: Bool { if case .alive = pinned { false } else { true } }
  }

  /// Attaches what is not attached, and puts this object's programs into every link that is pinned, here or by a
  /// `former` layout, whose links come here: first what is added, then what is replaced, so that there is no moment
  /// with less. What is left in the former directories is for `dropStrangers` and `retire`.
  /// `proxies`: cgroups of proxies that get their programs too.
  func adoptAll(
    _ session: LinkSession, former: [Pins] = [], proxies: [UInt32: String] = [:], _ steps: Steps
  ) throws(DatapathError) {
    // A replacement that a kill interrupted.
    for name in names(in: pins.links) where name.hasSuffix(LinkSession.aside) {
      _ = LinkSession.remove("\(pins.links)/\(name)")
    }
    // Look at everything before touching anything.
    let plan = try planProxies(former, proxies) + planRoot(former)
    for step in plan where step.isNew && step.hook.place != .host { try carryOut(step, session, steps) }
    for step in plan where !step.isNew { try carryOut(step, session, steps) }
    for step in plan where step.isNew && step.hook.place == .host { try carryOut(step, session, steps) }
  }

  private func carryOut(_ step: Step, _ session: LinkSession, _ steps: Steps) throws(DatapathError) {
    let path = pins.link(step.pin)
    if step.isNew { try pins.setNote(Pins.enrolled, nil) }
    if step.at.number != pins.number {
      // Here first: where there are links the tables are whole, whichever program is in the link.
      try session.move(step.at.link(step.pin), to: path)
      try steps.pass("moved \(step.pin)", session)
    }
    let link = try session.put(step.program, at: path, cgroup: step.cgroup, over: step.pinned)
    try held.keep(
      link, step.pin, at: step.cgroup.flatMap { cgroup in Cgroup.id(cgroup.1).map { (cgroup.1, $0) } })
    try steps.pass("put \(step.pin)", session)
  }

  private func planRoot(_ former: [Pins]) throws(DatapathError) -> [Step] {
    let directory = try Descriptor.directory(root, "open cgroup")
    guard let id = Cgroup.id(root) else {
      throw DatapathError(step: "open cgroup", subject: root, code: ENOENT)
    }
    var plan: [Step] = []
    for hook in Hook.at(.root) + Hook.at(.host) {
      let (pinned, at) = try look(hook.name, former, cgroup: hook.place == .root ? id : nil)
      guard let program = try program(for: hook) else { continue }
      plan.append(
        Step(
          hook: hook, program: program, pin: hook.name, pinned: pinned, at: at,
          cgroup: hook.place == .root ? (directory, root) : nil))
    }
    return plan
  }

  /// The links on proxies' cgroups, and those that are wanted there; those whose cgroup is gone go.
  private func planProxies(_ former: [Pins], _ wanted: [UInt32: String]) throws(DatapathError) -> [Step] {
    var plan: [Step] = []
    var planned: Set<String> = []
    for (number, path) in wanted.sorted(by: { $0.key < $1.key }) {
      try Cgroup.checkRoot(path, "use as a proxy's cgroup")
      let directory = try Descriptor.directory(path, "open cgroup")
      for hook in Hook.at(.proxy) {
        let pin = Pins.name(hook.name, proxy: number)
        var (pinned, at) = try look(pin, former, cgroup: nil)
        if case .alive(_, let report) = pinned, case .cgroup(let there, _) = report.kind, there != Cgroup.id(path) {
          (pinned, at) = at.number == pins.number ? (.dead, pins) : (.none, pins)  // it has moved to another cgroup
        }
        plan.append(
          Step(
            hook: hook, program: try object.program(hook.name), pin: pin, pinned: pinned, at: at,
            cgroup: (directory, path)))
        planned.insert(pin)
      }
    }
    for owner in [pins] + former {
      for pin in names(in: owner.links) where planned.insert(pin).inserted {
        let (name, proxy) = Pins.parse(pin)
        guard proxy != nil, let hook = Hook.at(.proxy).first(where: { $0.name == name }) else { continue }
        switch try LinkSession.look(owner.link(pin), cgroup: nil) {
        case .none: continue
        case .dead: unlink(owner.link(pin))
        case .alive(let link, let report):
          plan.append(
            Step(
              hook: hook, program: try object.program(name), pin: pin, pinned: .alive(link, report), at: owner))
        }
      }
    }
    return plan
  }

  /// The link of this name, and whose it is. A tracepoint's cannot be given another program, so another layout's stays.
  private func look(
    _ pin: String, _ former: [Pins], cgroup: UInt64?
  ) throws(DatapathError) -> (LinkSession.Pinned, Pins) {
    let own = try LinkSession.look(pins.link(pin), cgroup: cgroup)
    if case .alive = own { return (own, pins) }
    for other in former {
      let pinned = try LinkSession.look(other.link(pin), cgroup: cgroup)
      if case .alive(_, let report) = pinned, case .cgroup = report.kind { return (pinned, other) }
    }
    return (own, pins)
  }

  /// Says what keeps the links of this and the `former` layouts from being adopted.
  func checkLinks(_ former: [Pins]) throws(DatapathError) { _ = try planRoot(former) }

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

  /// Takes off what is left of layouts whose links came here, and of those that never had any.
  func retire(_ others: [Pins], _ session: LinkSession, _ steps: Steps) throws(DatapathError) {
    for other in others {
      for pin in names(in: other.links) {
        try check(-LinkSession.remove(other.link(pin)), "unpin", other.link(pin))
        try steps.pass("removed \(pin)", session)
      }
      try steps.pass("removed the links of \(other.number)", session)
      other.dropMaps()
      try steps.pass("removed the maps of \(other.number)", session)
      other.removeDirectories()
    }
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
