import CLibbpf
import Glibc

/// A link as the kernel reports it.
struct LinkReport {
  enum Kind: Equatable {
    /// id 0: the cgroup is gone, and the program with it.
    case cgroup(id: UInt64, type: UInt32)
    case tracepoint(String)
    case other(UInt32)
  }
  let id: UInt32
  let program: UInt32
  let kind: Kind

  init(_ link: Descriptor, _ path: String) throws(DatapathError) {
    var info = bpf_link_info()
    var size = UInt32(MemoryLayout<bpf_link_info>.size)
    // Pins of maps and programs answer this call too, with their own structure, so the type is asked by the
    // pin.
    guard ["bpf-link", "bpf_link"].contains(Descriptor.kind(link.raw)) else {
      throw DatapathError(
        step: "adopt", subject: path, code: EINVAL, advice: "not a link; run weir detach first")
    }
    try check(bpf_obj_get_info_by_fd(link.raw, &info, &size), "ask about link", path)
    id = info.id
    program = info.prog_id
    switch bpf_link_type(rawValue: info.type) {
    case BPF_LINK_TYPE_CGROUP:
      kind = .cgroup(id: info.cgroup.cgroup_id, type: info.cgroup.attach_type)
    case BPF_LINK_TYPE_RAW_TRACEPOINT:
      kind = .tracepoint(try LinkReport.tracepoint(link, path))
    default:
      kind = .other(info.type)
    }
  }

  private static func tracepoint(_ link: Descriptor, _ path: String) throws(DatapathError) -> String {
    var bytes = [CChar](repeating: 0, count: 128)
    let answer = bytes.withUnsafeMutableBufferPointer { buffer in
      var info = bpf_link_info()
      var size = UInt32(MemoryLayout<bpf_link_info>.size)
      info.raw_tracepoint.tp_name = UInt64(UInt(bitPattern: buffer.baseAddress))
      info.raw_tracepoint.tp_name_len = UInt32(buffer.count)
      return bpf_obj_get_info_by_fd(link.raw, &info, &size)
    }
    try check(answer, "ask about link", path)
    return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

extension Descriptor {
  /// What the kernel calls the anonymous inode behind a descriptor: `bpf-map`, `bpf-prog`, `bpf-link` or,
  /// where it was not opened from a pin, `bpf_link`.
  static func kind(_ descriptor: Int32) -> String {
    var target = [CChar](repeating: 0, count: 64)
    let length = readlink("/proc/self/fd/\(descriptor)", &target, target.count)
    let text = String(decoding: target.prefix(max(length, 0)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.split(separator: ":").last.map { $0.filter { $0 != "[" && $0 != "]" } } ?? ""
  }
}

/// Attaches and adopts links; undoes everything it did unless told to keep it.
final class LinkSession {
  private var undo: [() -> Void] = []

  deinit { for step in undo.reversed() { step() } }

  /// Everything worked: what was done stays.
  func commit() { undo.removeAll() }

  func onFailure(_ step: @escaping () -> Void) { undo.append(step) }

  /// What is pinned at a path.
  enum Pinned {
    case none
    /// Its cgroup is gone.
    case dead
    case alive(Descriptor, LinkReport)
  }

  /// `cgroup`: the id it must be attached to; nil: anywhere.
  static func look(_ path: String, cgroup: UInt64?) throws(DatapathError) -> Pinned {
    let answer = bpf_obj_get(path)
    if answer == -ENOENT { return .none }
    let link = try Descriptor.adopt(answer, "open pin", path)
    let report = try LinkReport(link, path)
    guard case .cgroup(let id, _) = report.kind else { return .alive(link, report) }
    if id == 0 { return .dead }
    guard let cgroup, id != cgroup else { return .alive(link, report) }
    // A removed cgroup keeps its id for a moment, until the kernel has taken its programs off.
    guard let place = Cgroup.find(id, below: try Cgroup.mount()) else { return .dead }
    throw DatapathError(
      step: "adopt", subject: path, code: EEXIST,
      advice:
        "it enforces at another cgroup, \(place): name that one as cgroup root, or run weir detach first")
  }

  /// Puts a program at a pinned place: in the existing link where there is one, so that there is no moment
  /// without. `cgroup` nil: a tracepoint program. Answers the link that runs it now.
  @discardableResult
  func put(
    _ program: Program, at path: String, cgroup: (Descriptor, String)?, over pinned: Pinned
  ) throws(DatapathError) -> Descriptor {
    switch pinned {
    case .none:
      let link = try LinkSession.attach(program, cgroup)
      try pin(link, at: path)
      return link
    case .dead:
      let link = try LinkSession.attach(program, cgroup)
      try replace(link, at: path, old: nil)
      return link
    case .alive(let old, let report):
      guard case .cgroup = report.kind else {
        // The kernel cannot change a tracepoint link's program: for a moment both run.
        let link = try LinkSession.attach(program, cgroup)
        try replace(link, at: path, old: old)
        return link
      }
      // Needs CAP_SYS_ADMIN. Without it a later failure leaves the new program in the link: it enforces as
      // well.
      let before = try? Descriptor.adopt(bpf_prog_get_fd_by_id(report.program), "open program")
      try check(bpf_link_update(old.raw, program.descriptor, nil), "replace the program of", path)
      if let before { onFailure { _ = bpf_link_update(old.raw, before.raw, nil) } }
      return old
    }
  }

  /// A pin's way from another layout's directory, whatever its program.
  func move(_ from: String, to path: String) throws(DatapathError) {
    try checkErrno(rename(from, path), "move pin", from)
    onFailure { _ = rename(path, from) }
  }

  static func attach(
    _ program: Program, _ cgroup: (Descriptor, String)?
  ) throws(DatapathError) -> Descriptor {
    guard let (directory, path) = cgroup else {
      let answer = bpf_raw_tracepoint_open(nil, program.descriptor)
      return try Descriptor.adopt(answer, "attach", program.name, advice: advice(answer))
    }
    // Links on a cgroup go together with others' programs, also with those that a service manager attached.
    let answer = bpf_link_create(program.descriptor, directory.raw, program.attachType, nil)
    return try Descriptor.adopt(answer, "attach \(program.name) to", path, advice: advice(answer))
  }

  private static func advice(_ answer: Int32) -> String {
    switch -answer {
    case EPERM: "needs CAP_NET_ADMIN, and no program attached above that forbids others"
    case E2BIG: "the cgroup has as many programs of this type as the kernel allows"
    default: ""
    }
  }

  private func pin(_ link: Descriptor, at path: String) throws(DatapathError) {
    try check(bpf_obj_pin(link.raw, path), "pin", path)
    onFailure { _ = LinkSession.remove(path) }
  }

  func replace(_ link: Descriptor, at path: String, old: Descriptor?) throws(DatapathError) {
    let aside = path + LinkSession.aside
    unlink(aside)
    try check(bpf_obj_pin(link.raw, aside), "pin", aside)
    guard rename(aside, path) == 0 else {
      let code = errno
      unlink(aside)
      throw DatapathError(step: "replace pin", subject: path, code: code)
    }
    onFailure {
      _ = LinkSession.remove(path)
      if let old { _ = bpf_obj_pin(old.raw, path) }
    }
  }

  /// Takes a program off and removes its pin; 0 or an errno. The kernel drops an unpinned link some time
  /// later, so it is detached first (a tracepoint's cannot be, and goes with its pin).
  static func remove(_ path: String) -> Int32 {
    if let link = try? Descriptor.adopt(bpf_obj_get(path), "open pin", path) { _ = bpf_link_detach(link.raw) }
    return unlink(path) == 0 ? 0 : errno
  }

  /// Ends the name of a pin on its way to replacing another.
  static let aside = "_new"
}
