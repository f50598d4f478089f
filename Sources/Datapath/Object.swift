import CLibbpf
import Glibc

/// A loaded program. Its descriptor belongs to the object and must not outlive it.
struct Program {
  let name: String
  let descriptor: Int32
  let attachType: bpf_attach_type
}

/// The loaded BPF object: owns its programs' and maps' descriptors.
final class LoadedObject {
  /// What an inner map of an outer map must look like to be put in.
  struct Template {
    let type: bpf_map_type
    let keySize: UInt32
    let valueSize: UInt32
    let flags: UInt32
  }

  private let raw: OpaquePointer
  /// Every map but the compiler's own sections, by name.
  let maps: [String: Map]
  let templates: [String: Template]
  /// As declared.
  let shapes: [String: MapShape]
  /// By function name; without those that this kernel refuses.
  let programs: [String: Program]
  /// Which programs are missing and what that costs.
  let missing: [String]

  private init(raw: OpaquePointer, templates: [String: Template], shapes: [String: MapShape], without: Set<String>) {
    self.raw = raw
    self.templates = templates
    self.shapes = shapes
    var maps: [String: Map] = [:]
    for map in LoadedObject.maps(of: raw) {
      let map = Map(map)
      maps[map.name] = map
    }
    self.maps = maps
    var programs: [String: Program] = [:]
    var next = bpf_object__next_program(raw, nil)
    while let program = next {
      let name = String(cString: bpf_program__name(program))
      if !without.contains(name) {
        programs[name] = Program(
          name: name, descriptor: bpf_program__fd(program),
          attachType: bpf_program__expected_attach_type(program))
      }
      next = bpf_object__next_program(raw, program)
    }
    self.programs = programs
    missing = Hook.all.compactMap { hook in
      guard let cost = hook.cost, programs[hook.name] == nil else { return nil }
      return "\(hook.name) is missing: \(cost)"
    }
  }

  deinit { bpf_object__close(raw) }

  func map(_ name: String) throws(DatapathError) -> Map {
    guard let map = maps[name] else {
      throw DatapathError(step: "find map", subject: name, code: ENOENT, advice: "not in the BPF object")
    }
    return map
  }

  func program(_ name: String) throws(DatapathError) -> Program {
    guard let program = programs[name] else {
      throw DatapathError(step: "find program", subject: name, code: ENOENT, advice: "not in the BPF object")
    }
    return program
  }

  /// Loads the image, taking each map from `pins` where it is pinned and pinning it there where it is not; nil: with
  /// maps of its own, that nobody else sees. What can be taken over of the `former` layouts is pinned here first.
  /// A program that can be done without is left out where the kernel refuses it. `constants` are
  /// variables of the BPF source that are set before loading.
  static func load(
    _ image: UnsafeRawBufferPointer, pins: Pins?, former: [Pins] = [], constants: [String: UInt32]
  ) throws(DatapathError) -> LoadedObject {
    var without: Set<String> = []
    while true {
      do {
        return try attempt(image, pins, former, constants, without: without)
      } catch {
        // None of them is as large as the verifier bears (a million instructions): it was not told what the functions are,
        // and would be as long about the next one.
        if error.code == E2BIG { throw lost(error) }
        guard let name = refusedProgram(error.log), !without.contains(name),
          let hook = Hook.all.first(where: { $0.name == name })
        else { throw error }
        guard hook.cost != nil else { throw essential(error) }
        without.insert(name)
      }
    }
  }

  /// libbpf found out about the kernel, once for the process, while memory was short.
  private static func lost(_ refusal: DatapathError) -> DatapathError {
    var error = refusal
    error.advice = "the verifier got lost in it, without type information; start again"
    return error
  }

  /// Says why the start ends here: without this program something would pass that must not.
  private static func essential(_ refusal: DatapathError) -> DatapathError {
    var error = refusal
    error.advice = "Linux \(release) refuses it, and enforcement needs it; boot Linux 6.1 or newer"
    return error
  }

  /// `6.1.0-56-cloud-amd64`
  private static var release: String {
    var about = utsname()
    uname(&about)
    return withUnsafeBytes(of: about.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  private static func attempt(
    _ image: UnsafeRawBufferPointer, _ pins: Pins?, _ former: [Pins], _ constants: [String: UInt32],
    without: Set<String>
  ) throws(DatapathError) -> LoadedObject {
    LibbpfLog.start()
    // Level 0 with a buffer: libbpf loads without a log and asks the verifier only about a program that
    // failed.
    let verifier = UnsafeMutableBufferPointer<CChar>.allocate(capacity: 1 << 20)
    defer { verifier.deallocate() }
    verifier.baseAddress?.initialize(to: 0)
    let opened = "weir".withCString { name in
      var options = bpf_object_open_opts()
      options.sz = MemoryLayout<bpf_object_open_opts>.size
      options.object_name = name
      options.kernel_log_buf = verifier.baseAddress
      options.kernel_log_size = verifier.count
      return bpf_object__open_mem(image.baseAddress, image.count, &options)
    }
    guard let raw = opened else {
      throw DatapathError(
        step: "open", subject: "BPF object", code: errno, log: LibbpfLog.take().joined())
    }
    do throws(DatapathError) {
      try set(constants, in: raw)
      let templates = try prepare(raw, without: without)
      let shapes = shapes(of: raw)
      if let pins { try adopt(shapes, raw, pins, former) }
      try check(LibbpfLog.load(raw), "load")
      // libbpf forgets an adopted map's name where the kernel would not say it; then its pin would be a stranger's.
      let named = Set(maps(of: raw).map { String(cString: bpf_map__name($0)) })
      if let lost = shapes.keys.first(where: { !named.contains($0) }) {
        throw DatapathError(step: "adopt map", subject: lost, code: EPROTO, advice: "the kernel does not say what it is")
      }
      try checkNames(raw)
      for (name, shape) in shapes { try pins?.setNote(name, shape.members) }
      return LoadedObject(raw: raw, templates: templates, shapes: shapes, without: without)
    } catch {
      bpf_object__close(raw)
      guard error.step == "load" else { throw error }
      let words = LibbpfLog.take()
      let log = words.joined() + (verifier.baseAddress.map { String(cString: $0) } ?? "")
      throw refusal(code: error.code, words: words, log: log, mapDirectory: pins?.maps ?? "")
    }
  }

  /// Where memory was short when libbpf asked whether the kernel knows names, the maps have none, and no later start could
  /// tell which is which.
  private static func checkNames(_ raw: OpaquePointer) throws(DatapathError) {
    for map in maps(of: raw) {
      var about = bpf_map_info()
      var size = UInt32(MemoryLayout<bpf_map_info>.size)
      let name = String(cString: bpf_map__name(map))
      try check(bpf_obj_get_info_by_fd(bpf_map__fd(map), &about, &size), "ask about map", name)
      guard about.name.0 == 0 else { continue }
      throw DatapathError(
        step: "name map", subject: name, code: ENOTSUP, advice: "memory was short when libbpf tried; start again")
    }
  }

  /// Everything that must be said between opening and loading.
  private static func prepare(
    _ raw: OpaquePointer, without: Set<String>
  ) throws(DatapathError) -> [String: Template] {
    var templates: [String: Template] = [:]
    for map in maps(of: raw) { templates[String(cString: bpf_map__name(map))] = template(of: map) }
    for name in without {
      guard let program = bpf_object__find_program_by_name(raw, name) else { continue }
      try check(bpf_program__set_autoload(program, false), "leave out program", name)
    }
    return templates
  }

  /// Constants lie in .rodata; its place in there is what the object's type information says.
  private static func set(_ constants: [String: UInt32], in raw: OpaquePointer) throws(DatapathError) {
    let section = ".rodata"
    var size = 0
    guard let map = bpf_object__find_map_by_name(raw, section), let btf = bpf_object__btf(raw),
      let start = bpf_map__initial_value(map, &size)
    else {
      throw DatapathError(
        step: "find section", subject: section, code: ENOENT, advice: "not in the BPF object")
    }
    let kind: Int = BTF_KIND_DATASEC
    let id = try check(btf__find_by_name_kind(btf, section, UInt32(kind)), "find section", section)
    guard let type = btf__type_by_id(btf, UInt32(id)), let variables = btf_var_secinfos(type) else {
      throw DatapathError(step: "find section", subject: section, code: ENOENT)
    }
    var bytes = [UInt8](UnsafeRawBufferPointer(start: start, count: size))
    var wanted = constants
    for index in 0..<Int(btf_vlen(type)) {
      let variable = variables[index]
      let end = Int(variable.offset) + MemoryLayout<UInt32>.size
      guard let about = btf__type_by_id(btf, variable.type),
        let name = btf__name_by_offset(btf, about.pointee.name_off),
        let value = wanted[String(cString: name)], variable.size == MemoryLayout<UInt32>.size, end <= size
      else { continue }
      withUnsafeBytes(of: value) { bytes.replaceSubrange(Int(variable.offset)..<end, with: $0) }
      wanted[String(cString: name)] = nil
    }
    try check(bpf_map__set_initial_value(map, bytes, size), "set constants in", section)
    if let name = wanted.keys.first {
      throw DatapathError(step: "set constant", subject: name, code: ENOENT, advice: "not in the BPF object")
    }
  }

  private static func refusal(
    code: Int32, words: [String], log: String, mapDirectory: String
  ) -> DatapathError {
    if let line = words.first(where: { $0.contains("reuse pinned map") }) {
      let path =
        line.split(separator: "'").first { $0.hasPrefix(mapDirectory) }.map(String.init) ?? mapDirectory
      return DatapathError(
        step: "adopt map", subject: path, code: code,
        advice: otherShape, log: log)
    }
    if let refused = words.lazy.compactMap(LibbpfLog.refusalOfTypes).first {
      return DatapathError(step: "load", subject: "the programs' type information (BTF)", code: refused)
    }
    let subject = refusedProgram(log).map { "program \($0)" } ?? "BPF object"
    // Privileges were tried before. Linux 5.10 and older count maps against RLIMIT_MEMLOCK, and say EPERM.
    let advice =
      code == EPERM ? "Linux \(release) refuses it though the privileges are there; boot Linux 6.1 or newer" : ""
    return DatapathError(step: "load", subject: subject, code: code, advice: advice, log: log)
  }

  /// libbpf names the program it failed at: `libbpf: prog 'revoke_tcp': BPF program load failed: ...`; or, one
  /// whose hook it is too old to know: `libbpf: prog 'x': missing BPF prog type, check ELF section name 'y/z'`.
  private static func refusedProgram(_ log: String) -> String? {
    log.split(separator: "\n")
      .first { $0.contains("prog '") && ($0.contains("fail") || $0.contains("missing BPF prog type")) }
      .flatMap { quoted(String($0)) }
  }

  private static func quoted(_ line: String) -> String? {
    let parts = line.split(separator: "'", omittingEmptySubsequences: false)
    return parts.count > 2 ? String(parts[1]) : nil
  }

  private static func shapes(of raw: OpaquePointer) -> [String: MapShape] {
    let btf = bpf_object__btf(raw)
    var shapes: [String: MapShape] = [:]
    for map in maps(of: raw) { shapes[String(cString: bpf_map__name(map))] = MapShape(declared: map, in: btf) }
    return shapes
  }

  /// Names each map's pin, after what can be taken over was pinned there too.
  private static func adopt(
    _ shapes: [String: MapShape], _ raw: OpaquePointer, _ pins: Pins, _ former: [Pins]
  ) throws(DatapathError) {
    for map in maps(of: raw) {
      let name = String(cString: bpf_map__name(map))
      guard let shape = shapes[name] else { continue }
      let path = "\(pins.maps)/\(name)"
      if access(path, F_OK) != 0 {
        // Of a map that was here once.
        try pins.setNote(name, nil)
        if let giver = try Takeover.giver(of: name, shape, former) { try giver.give(to: path) }
      } else if let noted = pins.note(name), let members = shape.members, noted != members {
        throw DatapathError(step: "adopt map", subject: path, code: EINVAL, advice: otherShape)
      }
      try check(bpf_map__set_pin_path(map, path), "name the pin of map", name)
    }
  }

  static let otherShape = "pinned with another shape by another build of weir: run weir detach first"

  /// The maps the source declares; not .rodata, .bss and the like, which each loading makes anew.
  private static func maps(of raw: OpaquePointer) -> [OpaquePointer] {
    var maps: [OpaquePointer] = []
    var next = bpf_object__next_map(raw, nil)
    while let map = next {
      if !bpf_map__is_internal(map) { maps.append(map) }
      next = bpf_object__next_map(raw, map)
    }
    return maps
  }

  /// Only known until loading, which drops the inner map's description.
  private static func template(of outer: OpaquePointer) -> Template? {
    guard let inner = bpf_map__inner_map(outer) else { return nil }
    return Template(
      type: bpf_map__type(inner), keySize: bpf_map__key_size(inner), valueSize: bpf_map__value_size(inner),
      flags: bpf_map__map_flags(inner))
  }
}

/// What loading and attaching need.
enum Privileges {
  static let advice = "run as root or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"

  /// Asks the kernel, not the capability sets: a user namespace's capabilities do not count. The first
  /// program needs CAP_NET_ADMIN, the second CAP_PERFMON, both CAP_BPF.
  static func check() throws(DatapathError) {
    LibbpfLog.start()
    _ = try trivialProgram(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, expecting: BPF_CGROUP_INET4_CONNECT)
    _ = try trivialProgram(BPF_PROG_TYPE_RAW_TRACEPOINT)
  }

  /// A program that answers 1 (for cgroup programs: let it pass), loaded and attached nowhere.
  static func trivialProgram(
    _ type: bpf_prog_type, expecting attachType: bpf_attach_type = bpf_attach_type(0)
  ) throws(DatapathError) -> Descriptor {
    // r0 = 1; exit
    let code: [UInt64] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095]
    var options = bpf_prog_load_opts()
    options.sz = MemoryLayout<bpf_prog_load_opts>.size
    options.expected_attach_type = attachType
    let answer = code.withUnsafeBytes { bytes in
      let code = bytes.baseAddress?.assumingMemoryBound(to: bpf_insn.self)
      return bpf_prog_load(type, "weir_probe", "GPL", code, 2, &options)
    }
    return try Descriptor.adopt(
      answer, "load", "a program of type \(String(cString: libbpf_bpf_prog_type_str(type)))",
      advice: answer == -EPERM ? advice : "")
  }
}
