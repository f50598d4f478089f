import CLibbpf
import Glibc

/// What a map is like: whether the programs of one build can go on with what those of another have written.
struct MapShape: Equatable {
  var type: bpf_map_type
  var keySize: Int
  var valueSize: Int
  var maxEntries: Int
  var flags: UInt32
  /// Of the members' names, places and sizes in key and value; nil where it is not known.
  var members: String?

  /// As the object declares it, before or after loading.
  init(declared map: OpaquePointer, in btf: OpaquePointer?) {
    type = bpf_map__type(map)
    keySize = Int(bpf_map__key_size(map))
    valueSize = Int(bpf_map__value_size(map))
    maxEntries = Int(bpf_map__max_entries(map))
    flags = bpf_map__map_flags(map)
    let (key, value) = (bpf_map__btf_key_type_id(map), bpf_map__btf_value_type_id(map))
    guard let btf, key != 0, value != 0 else { return }
    var members = Fingerprint()
    members.add(type: key, in: btf)
    members.add(type: value, in: btf)
    self.members = members.text
  }

  /// As it is pinned, with what was noted when it was made; nil where it is not.
  init?(pinned name: String, in pins: Pins) throws(DatapathError) {
    let path = "\(pins.maps)/\(name)"
    let answer = bpf_obj_get(path)
    if answer == -ENOENT { return nil }
    let descriptor = try Descriptor.adopt(answer, "open pin", path)
    var info = bpf_map_info()
    var size = UInt32(MemoryLayout<bpf_map_info>.size)
    try check(bpf_obj_get_info_by_fd(descriptor.raw, &info, &size), "ask about map", path)
    type = bpf_map_type(rawValue: info.type)
    keySize = Int(info.key_size)
    valueSize = Int(info.value_size)
    maxEntries = Int(info.max_entries)
    flags = info.map_flags
    members = pins.note(name)
  }

  /// Why what is in a map of the other shape cannot be read as this one's; nil where it can.
  func differs(from other: MapShape) -> String? {
    if type != other.type { return "is of another type" }
    if keySize != other.keySize { return "has keys of \(keySize) bytes, not \(other.keySize)" }
    if valueSize != other.valueSize { return "has values of \(valueSize) bytes, not \(other.valueSize)" }
    if maxEntries != other.maxEntries { return "holds \(maxEntries) entries, not \(other.maxEntries)" }
    if flags != other.flags { return "has other flags" }
    return members == other.members ? nil : "has other members"
  }
}

/// FNV-1a over what a type is made of.
private struct Fingerprint {
  private var hash: UInt64 = 0xcbf2_9ce4_8422_2325

  var text: String { String(hash, radix: 16) }

  private mutating func add(_ number: UInt32) {
    for shift in [0, 8, 16, 24] { hash = (hash ^ UInt64(number >> UInt32(shift) & 0xff)) &* 0x100_0000_01b3 }
  }

  private mutating func add(name: UnsafePointer<CChar>?) {
    guard let name else { return }
    for byte in String(cString: name).utf8 { add(UInt32(byte)) }
  }

  /// Names of types do not count, those of members do: they say what is meant.
  mutating func add(type id: UInt32, in btf: OpaquePointer) {
    guard let type = btf__type_by_id(btf, id) else { return add(UInt32.max) }
    let kind = UInt32(btf_kind(type))
    switch Int(kind) {
    case BTF_KIND_TYPEDEF, BTF_KIND_CONST, BTF_KIND_VOLATILE:
      return add(type: type.pointee.type, in: btf)
    case BTF_KIND_ARRAY:
      guard let array = btf_array(type) else { return }
      add(kind)
      add(array.pointee.nelems)
      add(type: array.pointee.type, in: btf)
    case BTF_KIND_STRUCT, BTF_KIND_UNION:
      add(kind)
      add(type.pointee.size)
      guard let members = btf_members(type) else { return }
      for index in 0..<Int(btf_vlen(type)) {
        add(name: btf__name_by_offset(btf, members[index].name_off))
        add(members[index].offset)
        add(type: members[index].type, in: btf)
      }
    default:
      add(kind)
      add(type.pointee.size)
    }
  }
}
