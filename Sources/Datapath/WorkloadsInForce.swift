import CDatapath
import CLibbpf

/// The table of workloads of the generation in force, to put rows in beside those of its generation: there is room for
/// `spare` of them.
public final class WorkloadsInForce {
  public static let spare = 2

  public let generation: UInt32
  private let inner: Descriptor
  private let map: Map

  fileprivate init(_ inner: Descriptor, generation: UInt32) throws(DatapathError) {
    self.generation = generation
    self.inner = inner
    map = try Map(inner, name: "workloads")
  }

  /// By cgroup id, as the kernel has it now; nil where there is none.
  public func row(_ cgroup: UInt64) throws(DatapathError) -> weir_workload? {
    try map.value(cgroup, as: weir_workload.self, empty: weir_workload())
  }

  public func set(_ cgroup: UInt64, _ row: weir_workload) throws(DatapathError) { try map.set(cgroup, row) }

  /// Taking away what is not there is no error.
  public func remove(_ cgroup: UInt64) throws(DatapathError) { try map.remove(cgroup) }
}

extension Datapath {
  /// nil while the generation in force is not one that this process installed.
  public func workloadsInForce() throws(DatapathError) -> WorkloadsInForce? {
    let now = try generation()
    guard now != 0, let tables = slots[now % UInt32(WEIR_SLOTS)],
      let index = Tables.names.firstIndex(of: "workloads"), tables.indices.contains(index)
    else { return nil }
    return try WorkloadsInForce(tables[index], generation: now)
  }
}
