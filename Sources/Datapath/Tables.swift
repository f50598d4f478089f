import CDatapath
import CLibbpf
import Glibc

/// The entries of one generation; the tables are described in wire.h.
public struct Entries: Sendable {
  public var workloads: [(key: UInt64, value: weir_workload)] = []
  public var addresses: [(key: weir_address_key, value: weir_address)] = []
  public var cells: [(key: weir_cell_key, value: UInt32)] = []
  public var identities: [(key: UInt32, value: weir_identity)] = []
  public var proxies: [(key: UInt32, value: weir_proxy)] = []
  public var pairs: [(key: weir_pair_key, value: UInt32)] = []
  public var ports: [(key: weir_ports_key, value: weir_ruling)] = []

  public init() {}

  /// Entry by entry, byte by byte: the shared header has no holes, and the compiler's order is deterministic.
  public func isSame(as other: Entries) -> Bool {
    Entries.same(workloads, other.workloads) && Entries.same(addresses, other.addresses)
      && Entries.same(cells, other.cells) && Entries.same(identities, other.identities)
      && Entries.same(proxies, other.proxies) && Entries.same(pairs, other.pairs)
      && Entries.same(ports, other.ports)
  }

  /// Whose sockets there may be, in 16 digits: the same for the same cgroups of workloads and proxies. 64-bit FNV-1a.
  var owners: String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for owner in workloads.filter({ $0.value.kind != UInt8(WEIR_KIND_SUBTREE.rawValue) }).map(\.key).sorted() {
      withUnsafeBytes(of: owner) { for byte in $0 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 } }
    }
    return String(hash, radix: 16)
  }

  /// At the cost of a glance where both share their storage, as what a compiler did not touch does.
  static func same<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ a: [(key: Key, value: Value)], _ b: [(key: Key, value: Value)]
  ) -> Bool {
    let count = a.count
    guard count == b.count else { return false }
    return a.withUnsafeBytes { a in
      b.withUnsafeBytes { b in
        guard let a = a.baseAddress, let b = b.baseAddress, a != b else { return true }
        // Behind a value there may be bytes that belong to nobody.
        typealias Row = (key: Key, value: Value)
        guard let value = MemoryLayout<Row>.offset(of: \.value) else { return false }
        for start in Swift.stride(from: 0, to: count * MemoryLayout<Row>.stride, by: MemoryLayout<Row>.stride) {
          guard memcmp(a + start, b + start, MemoryLayout<Key>.size) == 0,
            memcmp(a + start + value, b + start + value, MemoryLayout<Value>.size) == 0
          else { return false }
        }
        return true
      }
    }
  }
}

/// Builds inner maps and puts them into the slots of the outer ones.
struct Tables {
  static let names = ["workloads", "addresses", "cells", "identities", "proxies", "pairs", "ports"]

  let object: LoadedObject

  /// A filled table, and the outer map it is for; closing a table that is in no slot frees it.
  typealias Built = (outer: Map, inner: Descriptor)

  /// The tables of one generation, and what they were filled with.
  struct Generation {
    var entries: Entries
    /// In the order of `names`.
    var tables: [Built]
  }

  /// Every table of one generation, aside: no program sees them yet. A table with the same entries as the former
  /// generation's is that table: one map may be in several slots, and nobody changes a row of it after it was filled.
  func build(_ entries: Entries, after former: Generation?) throws(DatapathError) -> Generation {
    Generation(
      entries: entries,
      tables: [
        try build(0, entries, former, spare: WorkloadsInForce.spare) { $0.workloads },
        try build(1, entries, former) { $0.addresses },
        try build(2, entries, former) { $0.cells },
        try build(3, entries, former) { $0.identities },
        try build(4, entries, former) { $0.proxies },
        try build(5, entries, former) { $0.pairs },
        try build(6, entries, former) { $0.ports },
      ])
  }

  private func build<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ index: Int, _ entries: Entries, _ former: Generation?, spare: Int = 0,
    _ table: (Entries) -> [(key: Key, value: Value)]
  ) throws(DatapathError) -> Built {
    let (name, rows) = (Tables.names[index], table(entries))
    if let former, Entries.same(table(former.entries), rows) { return former.tables[index] }
    let outer = try object.map(name)
    guard let template = object.templates[name] else {
      throw DatapathError(step: "build table", subject: name, code: EPROTO, advice: "not a map of maps")
    }
    guard Int(template.keySize) == MemoryLayout<Key>.size, Int(template.valueSize) == MemoryLayout<Value>.size
    else {
      throw DatapathError(
        step: "build table", subject: name, code: EPROTO, advice: "the BPF object has other entries")
    }
    let inner = try Tables.create(name, template, maxEntries: max(1, rows.count + spare))
    try fill(inner, name, rows)
    return (outer, inner)
  }

  /// An empty inner map. Its shape must be the template's, or the kernel refuses it in the outer map.
  static func create(
    _ name: String, _ template: LoadedObject.Template, maxEntries: Int
  ) throws(DatapathError) -> Descriptor {
    guard let entries = UInt32(exactly: maxEntries) else { throw tooLarge(name, maxEntries, E2BIG) }
    var options = bpf_map_create_opts()
    options.sz = MemoryLayout<bpf_map_create_opts>.size
    options.map_flags = template.flags
    let answer = bpf_map_create(
      template.type, "weir_\(name)", template.keySize, template.valueSize, entries, &options)
    guard [-E2BIG, -ENOMEM, -ENOSPC].contains(answer) else {
      return try Descriptor.adopt(
        answer, "create table", name,
        advice: answer == -EPERM ? "a new generation needs CAP_BPF; the generation in force stays" : "")
    }
    throw tooLarge(name, maxEntries, -answer)
  }

  private static func tooLarge(_ name: String, _ entries: Int, _ code: Int32) -> DatapathError {
    DatapathError(
      step: "create table", subject: name, code: code,
      advice: "\(entries) entries are more than the kernel gives memory for; the generation in force stays")
  }

  private func fill<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ inner: Descriptor, _ name: String, _ rows: [(key: Key, value: Value)]
  ) throws(DatapathError) {
    guard !rows.isEmpty else { return }
    let keys = rows.map(\.key)
    let values = rows.map(\.value)
    var count = UInt32(rows.count)
    let answer = keys.withUnsafeBytes { keys in
      values.withUnsafeBytes { values in
        bpf_map_update_batch(inner.raw, keys.baseAddress, values.baseAddress, &count, nil)
      }
    }
    if answer == 0 { return }
    // EINVAL is what a kernel says whose map type takes no batches; anything wrong with an entry shows below
    // too.
    guard [-EOPNOTSUPP, -EINVAL, -notSupported].contains(answer) else { throw failed(answer, name, rows.count) }
    for row in rows {
      var (key, value) = row
      let answer = bpf_map_update_elem(inner.raw, &key, &value, UInt64(BPF_ANY))
      if answer < 0 { throw failed(answer, name, rows.count) }
    }
  }

  private func failed(_ answer: Int32, _ name: String, _ entries: Int) -> DatapathError {
    if [-E2BIG, -ENOMEM, -ENOSPC].contains(answer) { return Tables.tooLarge(name, entries, -answer) }
    return DatapathError(step: "fill table", subject: name, code: -answer)
  }

  /// Puts the tables into a slot that no program reads. The kernel answers each such update only when every
  /// program that may read the old table has ended, several milliseconds; side by side they wait for the same
  /// moment.
  static func place(_ tables: [Built], slot: UInt32) throws(DatapathError) {
    let answers = try onThreads(
      tables.map { outer, inner in
        let (map, table) = (outer.descriptor, inner.raw)
        return { @Sendable in
          var (key, value) = (slot, table)
          return bpf_map_update_elem(map, &key, &value, UInt64(BPF_ANY))
        }
      })
    for (answer, table) in zip(answers, tables) {
      try check(answer, "put table into its slot", table.outer.name)
    }
  }

  /// The table in a slot, opened by the id the kernel names; nil while the slot is empty.
  static func inner(of outer: Map, slot: UInt32) throws(DatapathError) -> Descriptor? {
    guard let id = try outer.value(slot, as: UInt32.self, empty: 0) else { return nil }
    return try Descriptor.adopt(bpf_map_get_fd_by_id(id), "open table", outer.name)
  }
}
