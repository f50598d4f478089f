import CDatapath
import CLibbpf
import Glibc

/// The kernel half of one node: programs attached below one cgroup, everything pinned in one bpffs directory.
/// Not Sendable: used from the agent's one thread.
public final class Datapath {
  /// What this kernel refuses and what that costs, a sentence each; empty on a kernel that has everything.
  public var missing: [String] { object.missing }

  /// Layouts whose programs still enforce: this one's take their place with the first generation that is installed.
  public var formerLayouts: [UInt32] { former.map(\.number) }

  var lock: Lock
  private let pins: Pins
  let object: LoadedObject
  let attachments: Attachments
  private let inspector: Inspector
  private let iterators: Iterators
  private let events: Events
  /// Network namespaces that the last look at open sockets left out, for want of CAP_SYS_ADMIN and CAP_SYS_PTRACE.
  public private(set) var namespacesNotEntered = 0
  /// How often the kernel's tables of sockets were walked through.
  package private(set) var walks = 0
  private let steps: Steps
  private var former: [Pins]
  /// Proxies' cgroups that get their programs together with everything else.
  private var waitingProxies: [UInt32: String] = [:]
  /// What this process put into slots last; nil before it did.
  private var built: Tables.Generation?
  /// The tables in each slot, as far as this process put them there. Nobody else does: it has the lock.
  private(set) var slots: [UInt32: [Descriptor]] = [:]

  /// Takes the lock on the directory, then adopts what is pinned there or loads, attaches and pins anew.
  /// Programs behind pinned links are replaced in place by this binary's, without a moment of none; those of another
  /// layout only when the first generation is in this one's tables.
  /// `directory` is made if absent and must be on bpffs; `cgroupRoot` is an absolute path in a cgroup2 mount,
  /// not the mount's own root. On an error everything is as it was before.
  /// `failOpen`: what a fault does where not even the subtree can be told.
  public convenience init(directory: String, cgroupRoot: String, failOpen: Bool = false) throws(DatapathError) {
    try self.init(directory: directory, cgroupRoot: cgroupRoot, failOpen: failOpen, Build())
  }

  init(directory: String, cgroupRoot: String, failOpen: Bool = false, _ build: Build) throws(DatapathError) {
    try Privileges.check()
    try Cgroup.checkRoot(cgroupRoot, "use as cgroup root")
    try Pins.checkDirectory(directory)
    let session = LinkSession()
    let pins = Pins(directory, layout: build.layout)
    self.pins = pins
    steps = build.steps
    try Datapath.make(directory, session)
    lock = try Lock(directory)
    former = try Takeover.former(pins)
    // Without links it is what a kill left before any of its programs ran.
    if !former.isEmpty, !pins.hasLinks { pins.dropMaps() }
    for path in [pins.layout, pins.maps, pins.links, pins.notes] { try Datapath.make(path, session) }
    try steps.pass("made directories", session)

    let known = (maps: Set(names(in: pins.maps)), notes: Set(names(in: pins.notes)))
    session.onFailure {
      for map in names(in: pins.maps) where !known.maps.contains(map) { unlink("\(pins.maps)/\(map)") }
      for note in names(in: pins.notes) where !known.notes.contains(note) { unlink("\(pins.notes)/\(note)") }
    }
    object = try LoadedObject.load(
      build.image, pins: pins, former: former, constants: ["root_level": try Cgroup.level(cgroupRoot)])
    try steps.pass("loaded", session)
    events = try Events(object.map("events"))
    attachments = Attachments(object: object, pins: pins, root: cgroupRoot)
    inspector = Inspector(object: object, held: attachments.held, root: cgroupRoot)
    iterators = Iterators(object: object, root: cgroupRoot)
    // A kill came between two links: these tables are whole already.
    let own = try ownCurrent().generation
    let isInterrupted = !former.isEmpty && pins.hasLinks && own != 0
    if former.isEmpty {
      try attachments.adoptAll(session, steps)
    } else if !isInterrupted {
      try attachments.checkLinks(former)
    }
    // Whoever followed the events of the one before is gone with it.
    try set(followers: 0, failOpen: failOpen)
    try followHosts()
    session.commit()
    if isInterrupted {
      try outnumber()
      try takeOver()
    } else if former.isEmpty {
      try attachments.retire(pins.others(), session, steps)
      attachments.dropStrangers()
    }
  }

  static func make(_ path: String, _ session: LinkSession) throws(DatapathError) {
    if try Pins.make(path) { session.onFailure { rmdir(path) } }
  }

  /// Whether this process may load and attach at all, tried on the kernel: EPERM with what is needed.
  public static func checkPrivileges() throws(DatapathError) { try Privileges.check() }

  /// Attaches the programs that a proxy's sockets need to its cgroup (absolute path). Doing it twice is no
  /// error; a proxy whose cgroup is another one than before is moved.
  public func attach(proxy number: UInt32, cgroup path: String) throws(DatapathError) {
    if !former.isEmpty {
      try Cgroup.checkRoot(path, "use as a proxy's cgroup")
      waitingProxies[number] = path
      return
    }
    try attachments.attach(proxy: number, cgroup: path)
  }

  /// Detaches them again from every proxy that is not in the list.
  public func keepProxies(_ numbers: Set<UInt32>) throws(DatapathError) {
    try attachments.keepProxies(numbers)
  }

  /// The generation in force as the kernel has it; 0 none.
  public func generation() throws(DatapathError) -> UInt32 {
    // With the newest one comes first.
    if let former = former.first { return try former.generation() }
    return try ownCurrent().generation
  }

  /// The number that the next generation gets: higher than any that a socket may carry.
  public func nextGeneration() throws(DatapathError) -> UInt32 {
    max(try generation(), try ownCurrent().generation) + 1
  }

  private func ownCurrent() throws(DatapathError) -> weir_current {
    try object.map("current").value(UInt32(0), as: weir_current.self, empty: weir_current()) ?? weir_current()
  }

  /// Builds the tables that changed aside, then switches by one update. On an error nothing has changed. `generation` is
  /// never 0 and its slot (generation % WEIR_SLOTS) not that of the one in force: the next number always
  /// fits.
  public func install(_ entries: Entries, generation: UInt32, audit: Bool) throws(DatapathError) {
    let now = try ownCurrent().generation
    let slot = generation % UInt32(WEIR_SLOTS)
    guard generation != 0, now == 0 || slot != now % UInt32(WEIR_SLOTS) else {
      throw DatapathError(
        step: "install generation", subject: "\(generation)", code: EINVAL,
        advice: "its tables would take the place of generation \(now)'s, which is in force")
    }
    let next = try Tables(object: object).build(entries, after: built)
    let there = slots[slot] ?? []
    // Unknown while it is being changed, should that fail half-way.
    slots[slot] = nil
    try Tables.place(
      next.tables.enumerated().filter { index, table in
        !(there.indices.contains(index) && there[index] === table.inner)
      }.map(\.element), slot: slot)
    slots[slot] = next.tables.map(\.inner)
    built = next
    try object.map("current").set(UInt32(0), weir_current(generation: generation, audit: audit ? 1 : 0))
    if !former.isEmpty {
      let session = LinkSession()
      try steps.pass("wrote the first generation", session)
      try takeOver()
    } else {
      // What could not be taken off the last time.
      try attachments.retire(pins.others(), LinkSession(), steps)
    }
  }

  /// The links of the other layouts come here and get this object's programs; then what is left of them goes.
  private func takeOver() throws(DatapathError) {
    let session = LinkSession()
    try noteForgotten()
    try attachments.adoptAll(session, former: former, proxies: waitingProxies, steps)
    session.commit()
    former.removeAll()
    waitingProxies.removeAll()
    try attachments.retire(pins.others(), session, steps)
    attachments.dropStrangers()
  }

  /// Proxies' connections are judged by what their sockets' state says; it stays behind with a map of another shape.
  private func noteForgotten() throws(DatapathError) {
    let hasProxies = former.contains { names(in: $0.links).contains { Pins.parse($0).proxy != nil } }
    guard hasProxies else { return }
    for other in former where try Pins.isSame("\(other.maps)/sockets", "\(pins.maps)/sockets") { return }
    try pins.setNote("forgotten", "sockets")
  }

  /// The number of these tables' generation becomes higher than the former layouts', whose numbers sockets carry; a
  /// multiple of the slots higher, so that the tables stay where they are.
  private func outnumber() throws(DatapathError) {
    var now = try ownCurrent()
    let highest = try generation()
    guard now.generation <= highest else { return }
    let slots = UInt32(WEIR_SLOTS)
    now.generation += (highest - now.generation) / slots * slots + slots
    try object.map("current").set(UInt32(0), now)
  }

  /// Tags the sockets that were open before their workload was known with their owner; returns how many. Does nothing
  /// where that was done for the workloads in force: since then each socket was tagged when it was made. After a
  /// change of layout that forgot the sockets' state, ends what goes through proxies first.
  @discardableResult
  public func enrol() throws(DatapathError) -> Int {
    if pins.note("forgotten") != nil {
      try visitSockets([["forget_tcp"]])
      try pins.setNote("forgotten", nil)
    }
    guard let owners = built?.entries.owners else { return 0 }
    if pins.note(Pins.enrolled) == owners { return 0 }
    let enrolled = try visitSockets([["enrol_tcp", "enrol_udp"]])
    // Without the note, as where the bpf file system is gone, the next one looks again.
    try? pins.setNote(Pins.enrolled, owners)
    return enrolled
  }

  /// Judges open TCP connections and connected UDP sockets again and ends those that the generation in force refuses;
  /// returns how many.
  @discardableResult
  public func revoke() throws(DatapathError) -> Int {
    guard try iterators.finds("find_refused", in: try object.map("sockets")) else { return 0 }
    return try visitSockets([["revoke_tcp_even", "revoke_udp"], ["revoke_tcp_odd"]])
  }

  /// Takes away what senders announced and nobody will ask for. To be called every few seconds.
  public func tidy() throws(DatapathError) { try call("tidy") }

  /// Removes the counters of workloads and rules that are gone, and with them what they had of what all share.
  public func forget(workloads: Set<UInt32>, rules: Set<UInt32>) throws(DatapathError) {
    let gone = try object.map("gone")
    var left = (workloads.map(UInt64.init) + rules.map { UInt64(WEIR_GONE_RULE) | UInt64($0) })[...]
    while !left.isEmpty {
      let some = left.prefix(Int(WEIR_GONE_MAX))
      left = left.dropFirst(some.count)
      for key in some { try gone.set(key, UInt32(1)) }
      defer { for key in some { try? gone.remove(key) } }
      try call("forget_gone")
    }
  }

  /// Runs a program that is called; without it, on a kernel that refuses it, nothing.
  private func call(_ name: String) throws(DatapathError) {
    guard let program = object.programs[name] else { return }
    try check(bpf_prog_test_run_opts(program.descriptor, nil), "run", name)
  }

  @discardableResult
  private func visitSockets(_ lists: [[String]]) throws(DatapathError) -> Int {
    walks += 1
    let answer = try iterators.run(lists)
    namespacesNotEntered = answer.notEntered
    return answer.total
  }

  /// Every link of this process whose cgroup is still there, by name; and those of former layouts that still enforce.
  public func programs() throws(DatapathError) -> [AttachedProgram] { try inspector.programs(former) }

  /// How full the hash maps, the tables of the generation in force and the events' ring buffer are, by name.
  public func maps() throws(DatapathError) -> [MapFill] {
    let now = former.isEmpty ? try ownCurrent().generation : 0
    let slot = now % UInt32(WEIR_SLOTS)
    return try inspector.maps(slot: now == 0 ? nil : slot, tables: slots[slot] ?? [])
  }

  public func connections() throws(DatapathError) -> [(weir_connections_key, weir_connections)] {
    try object.map("connections").entries(weir_connections_key.self, weir_connections.self)
  }

  public func refusals() throws(DatapathError) -> [(weir_refusals_key, UInt64)] {
    try object.map("refusals").entries(weir_refusals_key.self, UInt64.self)
  }

  /// Whose share (see wire.h) of the maps that all workloads use is how large, and what was lost of it.
  public func usage() throws(DatapathError) -> [(UInt32, weir_usage)] {
    try object.map("usage").entries(UInt32.self, weir_usage.self)
  }

  /// Indexed by weir_loss.
  public func losses() throws(DatapathError) -> [UInt64] {
    let map = try object.map("losses")
    var losses: [UInt64] = []
    for index in 0..<WEIR_LOSS_LAST.rawValue {
      losses.append(try map.value(index, as: UInt64.self, empty: 0) ?? 0)
    }
    return losses
  }

  /// How often weir itself could not judge, indexed by weir_reason * 2 + (1: let through, 0: refused).
  public func faults() throws(DatapathError) -> [UInt64] {
    let map = try object.map("faults")
    var faults: [UInt64] = []
    for index in 0..<WEIR_REASON_LAST.rawValue * 2 {
      faults.append(try map.value(index, as: UInt64.self, empty: 0) ?? 0)
    }
    return faults
  }

  /// How many follow the events of allowed flows; whether a fault lets through where not even the subtree can be told.
  public func set(followers count: UInt32, failOpen: Bool) throws(DatapathError) {
    try object.map("settings").set(UInt32(0), weir_settings(followers: count, fail_open: failOpen ? 1 : 0))
  }

  /// Readable when events wait; for epoll.
  public var eventDescriptor: Int32 { events.descriptor }

  /// Hands over every waiting event.
  public func drainEvents(_ body: (weir_event) -> Void) throws(DatapathError) { try events.drain(body) }

  /// Removes every link, map and directory below `directory`, of whichever version; returns how many pins
  /// there were. Enforcement ends. A directory that is not there has none; one that an agent runs on is left
  /// alone.
  @discardableResult
  public static func detach(directory: String) throws(DatapathError) -> Int {
    var about = stat()
    if stat(directory, &about) != 0, errno == ENOENT { return 0 }
    try Pins.checkDirectory(directory)
    let lock = try Lock(directory)
    return try withExtendedLifetime(lock) { () throws(DatapathError) in
      try Pins.removeAll(in: directory)
    }
  }
}
