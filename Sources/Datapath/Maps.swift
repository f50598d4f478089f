import CLibbpf
import Glibc

/// A map of the loaded object. Its descriptor belongs to the object and must not outlive it.
struct Map {
  let name: String
  let descriptor: Int32
  let type: bpf_map_type
  let keySize: Int
  let valueSize: Int
  let maxEntries: Int

  init(_ raw: OpaquePointer) {
    name = String(cString: bpf_map__name(raw))
    descriptor = bpf_map__fd(raw)
    type = bpf_map__type(raw)
    keySize = Int(bpf_map__key_size(raw))
    valueSize = Int(bpf_map__value_size(raw))
    maxEntries = Int(bpf_map__max_entries(raw))
  }

  /// A map by its descriptor alone, as the kernel describes it.
  init(_ descriptor: Descriptor, name: String) throws(DatapathError) {
    var info = bpf_map_info()
    var size = UInt32(MemoryLayout<bpf_map_info>.size)
    try check(bpf_obj_get_info_by_fd(descriptor.raw, &info, &size), "ask about map", name)
    self.name = name
    self.descriptor = descriptor.raw
    type = bpf_map_type(rawValue: info.type)
    keySize = Int(info.key_size)
    valueSize = Int(info.value_size)
    maxEntries = Int(info.max_entries)
  }

  /// Guards every typed access below: reading a value of another size would overrun the buffer.
  private func expect<Key, Value>(_: Key.Type, _: Value.Type) throws(DatapathError) {
    guard keySize == MemoryLayout<Key>.size, valueSize == MemoryLayout<Value>.size else {
      throw DatapathError(
        step: "use map", subject: name, code: EPROTO,
        advice: "key and value are \(keySize) and \(valueSize) bytes, "
          + "expected \(MemoryLayout<Key>.size) and \(MemoryLayout<Value>.size)")
    }
  }

  /// nil where there is no such key.
  func value<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ key: Key, as _: Value.Type, empty: Value
  ) throws(DatapathError) -> Value? {
    try expect(Key.self, Value.self)
    var key = key
    var value = empty
    let answer = bpf_map_lookup_elem(descriptor, &key, &value)
    if answer == -ENOENT { return nil }
    try check(answer, "read map", name)
    return value
  }

  func set<Key: BitwiseCopyable, Value: BitwiseCopyable>(_ key: Key, _ value: Value) throws(DatapathError) {
    try expect(Key.self, Value.self)
    var key = key
    var value = value
    try check(bpf_map_update_elem(descriptor, &key, &value, UInt64(BPF_ANY)), "write map", name)
  }

  /// Taking away what is not there is no error.
  func remove<Key: BitwiseCopyable>(_ key: Key) throws(DatapathError) {
    guard keySize == MemoryLayout<Key>.size else {
      throw DatapathError(step: "use map", subject: name, code: EPROTO, advice: "key is \(keySize) bytes")
    }
    var key = key
    let answer = bpf_map_delete_elem(descriptor, &key)
    if answer != -ENOENT { try check(answer, "write map", name) }
  }

  /// Every entry, each read whole, at slightly different moments while the programs go on counting.
  func entries<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _: Key.Type, _: Value.Type
  ) throws(DatapathError) -> [(Key, Value)] {
    try expect(Key.self, Value.self)
    var entries: [(Key, Value)] = []
    try forEachChunk { keys, values, count in
      for index in 0..<count {
        entries.append(
          (
            keys.loadUnaligned(fromByteOffset: index * keySize, as: Key.self),
            values.loadUnaligned(fromByteOffset: index * valueSize, as: Value.self)
          ))
      }
    }
    return entries
  }

  func count() throws(DatapathError) -> Int {
    var total = 0
    try forEachChunk { _, _, count in total += count }
    return total
  }

  /// Reads many entries a call where the kernel can, else one by one.
  private func forEachChunk(
    _ body: (UnsafeRawPointer, UnsafeRawPointer, Int) -> Void
  ) throws(DatapathError) {
    // The kernel's place in the map: a bucket's number for hashes, a key for the rest.
    let place = UnsafeMutableRawPointer.allocate(byteCount: max(keySize, 8), alignment: 8)
    defer { place.deallocate() }
    var room = Room(entries: min(max(maxEntries, 1), 1024), keySize, valueSize)
    defer { room.free() }
    var first = true
    while true {
      var count = UInt32(room.entries)
      let answer = bpf_map_lookup_batch(
        descriptor, first ? nil : place, place, room.keys, room.values, &count, nil)
      switch answer {
      case 0, -ENOENT:  // ENOENT: these were the last
        body(room.keys, room.values, Int(count))
        if answer != 0 { return }
      case -ENOSPC where room.entries < maxEntries:
        // A bucket longer than the room: nothing was copied, and place is at that bucket.
        let entries = min(room.entries * 4, maxEntries)
        room.free()
        room = Room(entries: entries, keySize, valueSize)
      case -EOPNOTSUPP where first, -EINVAL where first, -notSupported where first:
        return try oneByOne(room, body)
      default:
        try check(answer, "read map", name)
      }
      first = false
    }
  }

  private func oneByOne(
    _ room: Room, _ body: (UnsafeRawPointer, UnsafeRawPointer, Int) -> Void
  ) throws(DatapathError) {
    // When the key at hand is deleted the kernel starts again from the first, so there must be an end to it.
    for step in 0..<(2 * maxEntries) {
      let answer = bpf_map_get_next_key(descriptor, step == 0 ? nil : room.keys, room.keys)
      if answer == -ENOENT { return }
      try check(answer, "read map", name)
      if bpf_map_lookup_elem(descriptor, room.keys, room.values) == 0 { body(room.keys, room.values, 1) }
    }
  }

  /// Buffers for the kernel to copy into.
  private struct Room {
    let entries: Int
    let keys: UnsafeMutableRawPointer
    let values: UnsafeMutableRawPointer

    init(entries: Int, _ keySize: Int, _ valueSize: Int) {
      self.entries = entries
      keys = .allocate(byteCount: entries * keySize, alignment: 8)
      values = .allocate(byteCount: entries * valueSize, alignment: 8)
    }

    func free() {
      keys.deallocate()
      values.deallocate()
    }
  }
}

/// What map types without batches answer; the kernel's own number, unknown to libc.
let notSupported: Int32 = 524
