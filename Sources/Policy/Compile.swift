/// What the node knows beside the files: which workloads and proxies are here, by the id of their cgroup.
public struct Presence: Sendable {
  public var workloads: [Name: UInt64]
  public var proxies: [Name: UInt64]

  public init(workloads: [Name: UInt64] = [:], proxies: [Name: UInt64] = [:]) {
    self.workloads = workloads
    self.proxies = proxies
  }
}

/// A set that cannot be put into tables: which limit, how many are wanted.
public struct CompileError: Error, Sendable, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// Turns a set into the entries of one generation. Pure; `numbers` grows by the names it has not met.
public func compile(_ set: PolicySet, presence: Presence, numbers: inout Numbers) throws(CompileError)
  -> Tables
{ fatalError("engine") }
