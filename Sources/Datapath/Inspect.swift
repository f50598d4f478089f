import CDatapath
import CLibbpf
import Glibc

/// A program as the kernel reports it.
public struct AttachedProgram: Sendable, Codable, Hashable {
  public var name: String
  /// As in the section name: `cgroup/connect4`, `tp_btf/tcp_destroy_sock`.
  public var hook: String
  public var programId: UInt32
  public var linkId: UInt32
  /// The cgroup the link is on; 0 for hooks without one, and where the cgroup is gone.
  public var cgroupId: UInt64
  /// Whether the kernel runs it: it is in the cgroup's list of effective programs, or its hook has no cgroup.
  public var effective: Bool
}

/// How full a map is.
public struct MapFill: Sendable, Codable, Hashable {
  public var name: String
  /// Entries; for the events' ring buffer bytes that wait to be read.
  public var entries: Int
  /// Entries; for the events' ring buffer bytes. A table is made for its generation, so it is always full.
  public var maxEntries: Int
}

/// Asks the kernel what is there, instead of remembering what was done.
package struct Inspector {
  let object: LoadedObject
  let held: HeldLinks
  let root: String

  /// `former`: layouts whose programs still enforce.
  func programs(_ former: [Pins]) throws(DatapathError) -> [AttachedProgram] {
    var places: [UInt64: String] = [:]
    if let id = Cgroup.id(root) { places[id] = root }
    var programs: [AttachedProgram] = []
    var links: [(String, Descriptor)] = []
    for (pin, link) in held.links { links.append((pin, link.descriptor)) }
    for (pins, pin) in former.flatMap({ pins in names(in: pins.links).map { (pins, $0) } }) {
      guard case .alive(let link, _) = try LinkSession.look(pins.link(pin), cgroup: nil) else { continue }
      links.append((pin, link))
    }
    for (pin, link) in links.sorted(by: { $0.0 < $1.0 }) {
      let report = try LinkReport(link, pin)
      let name = Pins.parse(pin).name
      switch report.kind {
      case .cgroup(id: 0, _): continue
      case .cgroup(let id, let type):
        if places[id] == nil { places[id] = Cgroup.find(id, below: try Cgroup.mount()) }
        let type = bpf_attach_type(rawValue: type)
        let effective = try places[id].map { path throws(DatapathError) in
          try Inspector.isEffective(report.program, path, type)
        }
        programs.append(
          AttachedProgram(
            name: programName(report.program, name), hook: Hook.section(type), programId: report.program,
            linkId: report.id, cgroupId: id, effective: effective ?? false))
      case .tracepoint(let point):
        programs.append(
          AttachedProgram(
            name: programName(report.program, name), hook: "tp_btf/\(point)", programId: report.program,
            linkId: report.id, cgroupId: 0, effective: true))
      case .other(let type):
        throw DatapathError(
          step: "ask about link", subject: pin, code: EPROTO, advice: "the link is of unknown type \(type)")
      }
    }
    return programs
  }

  /// Asked of the kernel; to a process without CAP_NET_ADMIN it says no more than that the link is on this cgroup. It
  /// runs every program that a link puts there (links attach with BPF_F_ALLOW_MULTI, and kernel/bpf/cgroup.c,
  /// compute_effective_progs, takes all of those), so that says the same.
  private static func isEffective(
    _ program: UInt32, _ cgroup: String, _ type: bpf_attach_type
  ) throws(DatapathError) -> Bool {
    do { return try effective(cgroup, type).contains(program) } catch {
      guard error.code == EPERM else { throw error }
      return true
    }
  }

  /// The ids of the programs that the kernel runs for this cgroup, in order, those from above included.
  package static func effective(_ cgroup: String, _ type: bpf_attach_type) throws(DatapathError) -> [UInt32] {
    let directory = try Descriptor.directory(cgroup, "open cgroup")
    var room: UInt32 = 64
    while true {
      var ids = [UInt32](repeating: 0, count: Int(room))
      var count = room
      let answer = bpf_prog_query(
        directory.raw, type, UInt32(BPF_F_QUERY_EFFECTIVE), nil, &ids, &count)
      if answer == -ENOSPC, room < 65536 {
        room *= 4
        continue
      }
      try check(answer, "ask for the programs of", cgroup)
      return Array(ids.prefix(Int(count)))
    }
  }

  /// The kernel keeps 15 characters of a name; the pin has all of it. Asking by id needs CAP_SYS_ADMIN.
  private func programName(_ id: UInt32, _ pin: String) -> String {
    guard let program = try? Descriptor.adopt(bpf_prog_get_fd_by_id(id), "open program") else { return pin }
    var info = bpf_prog_info()
    var size = UInt32(MemoryLayout<bpf_prog_info>.size)
    guard bpf_obj_get_info_by_fd(program.raw, &info, &size) == 0 else { return pin }
    let name = withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return name.isEmpty || pin.hasPrefix(name) ? pin : name
  }

  /// Arrays are always full and sockets' storage goes with the sockets, so neither is here.
  /// - Parameter tables: those in the slot, in the order of `Tables.names`, as far as this process put them there.
  ///   Others can be opened with CAP_SYS_ADMIN only and are not here without.
  func maps(slot: UInt32?, tables: [Descriptor]) throws(DatapathError) -> [MapFill] {
    var fills: [MapFill] = []
    for map in object.maps.values.sorted(by: { $0.name < $1.name }) {
      switch map.type {
      case BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_HASH_OF_MAPS:
        fills.append(MapFill(name: map.name, entries: try map.count(), maxEntries: map.maxEntries))
      case BPF_MAP_TYPE_ARRAY_OF_MAPS:
        let own = Tables.names.firstIndex(of: map.name).flatMap { tables.indices.contains($0) ? tables[$0] : nil }
        guard let slot, let inner = own == nil ? try table(map, slot) : own else { continue }
        let table = try Map(inner, name: map.name)
        fills.append(MapFill(name: map.name, entries: try table.count(), maxEntries: table.maxEntries))
      case BPF_MAP_TYPE_RINGBUF:
        fills.append(
          MapFill(name: map.name, entries: try Inspector.waiting(map), maxEntries: map.maxEntries))
      default: continue
      }
    }
    return fills
  }

  private func table(_ outer: Map, _ slot: UInt32) throws(DatapathError) -> Descriptor? {
    do {
      return try Tables.inner(of: outer, slot: slot)
    } catch {
      guard error.code == EPERM else { throw error }
      return nil
    }
  }

  /// Bytes between the ring buffer's consumer and producer, whose positions are in its first two pages.
  private static func waiting(_ ring: Map) throws(DatapathError) -> Int {
    let page = sysconf(Int32(_SC_PAGESIZE))
    guard let both = mmap(nil, 2 * page, PROT_READ, MAP_SHARED, ring.descriptor, 0), both != MAP_FAILED else {
      throw DatapathError(step: "map into memory", subject: ring.name, code: errno)
    }
    defer { munmap(both, 2 * page) }
    let consumed = both.load(as: UInt.self)
    let produced = both.load(fromByteOffset: page, as: UInt.self)
    return produced > consumed ? Int(produced - consumed) : 0
  }
}
