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
}

/// Builds inner maps and puts them into the slots of the outer ones.
struct Tables {
  static let names = ["workloads", "addresses", "cells", "identities", "proxies", "pairs", "ports"]

  let object: LoadedObject

  /// A filled table that nothing refers to yet; closing it frees it.
  typealias Built = (outer: Map, inner: Descriptor)

  /// Every table of one generation, aside: no program sees them yet.
  func build(_ entries: Entries) throws(DatapathError) -> [Built] {
    [
      try build("workloads", entries.workloads),
      try build("addresses", entries.addresses),
      try build("cells", entries.cells),
      try build("identities", entries.identities),
      try build("proxies", entries.proxies),
      try build("pairs", entries.pairs),
      try build("ports", entries.ports),
    ]
  }

  private func build<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String, _ rows: [(key: Key, value: Value)]
  ) throws(DatapathError) -> Built {
    let outer = try object.map(name)
    guard let template = object.templates[name] else {
      throw DatapathError(step: "build table", subject: name, code: EPROTO, advice: "not a map of maps")
    }
    guard Int(template.keySize) == MemoryLayout<Key>.size, Int(template.valueSize) == MemoryLayout<Value>.size
    else {
      throw DatapathError(
        step: "build table", subject: name, code: EPROTO, advice: "the BPF object has other entries")
    }
    let inner = try Tables.create(name, template, maxEntries: max(1, rows.count))
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
      return try Descriptor.adopt(answer, "create table", name)
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
