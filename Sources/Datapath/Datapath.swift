import CDatapath

/// What could not be done to the kernel: the step, its object, the errno, and the verifier's words if it spoke.
public struct DatapathError: Error, Sendable, CustomStringConvertible {
  public var step: String
  public var subject: String
  public var code: Int32
  public var log: String

  public init(step: String, subject: String, code: Int32, log: String = "") {
    self.step = step
    self.subject = subject
    self.code = code
    self.log = log
  }

  public var description: String { "\(step) \(subject): \(code)" }
}

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

/// A program as the kernel reports it.
public struct AttachedProgram: Sendable, Codable, Hashable {
  public var name: String
  /// As in the section name: `cgroup/connect4`, `tp_btf/tcp_destroy_sock`.
  public var hook: String
  public var programId: UInt32
  public var linkId: UInt32
  /// The cgroup the link is on; 0 for hooks without one.
  public var cgroupId: UInt64
}

/// How full a map is.
public struct MapFill: Sendable, Codable, Hashable {
  public var name: String
  public var entries: Int
  public var maxEntries: Int
}

/// The kernel half of one node: programs attached below one cgroup, everything pinned in one bpffs directory.
/// Not Sendable: used from the agent's one thread.
public final class Datapath {
  /// Takes the lock on the directory, then adopts what is pinned there or loads, attaches and pins anew. Programs
  /// behind pinned links are replaced in place by this binary's, without a moment of none. `directory` is made if
  /// absent and must be on bpffs; `cgroupRoot` is an absolute path in a cgroup2 mount, not the mount's own root.
  public init(directory: String, cgroupRoot: String) throws(DatapathError) { fatalError("datapath") }

  /// Attaches the programs that a proxy's sockets need to its cgroup (absolute path). Doing it twice is no error.
  public func attach(proxy number: UInt32, cgroup path: String) throws(DatapathError) { fatalError("datapath") }
  /// Detaches them again from every proxy that is not in the list.
  public func keepProxies(_ numbers: Set<UInt32>) throws(DatapathError) { fatalError("datapath") }

  /// The generation in force as the kernel has it; 0 none.
  public func generation() throws(DatapathError) -> UInt32 { fatalError("datapath") }
  /// Builds the tables aside, then switches by one update. On an error nothing has changed.
  public func install(_ entries: Entries, generation: UInt32, audit: Bool) throws(DatapathError) {
    fatalError("datapath")
  }
  /// Tags the sockets that were open before their workload was known with their owner; returns how many.
  @discardableResult
  public func enrol() throws(DatapathError) -> Int { fatalError("datapath") }
  /// Judges open TCP connections again and ends those that the generation in force refuses; returns how many.
  @discardableResult
  public func revoke() throws(DatapathError) -> Int { fatalError("datapath") }

  public func programs() throws(DatapathError) -> [AttachedProgram] { fatalError("datapath") }
  public func maps() throws(DatapathError) -> [MapFill] { fatalError("datapath") }

  public func connections() throws(DatapathError) -> [(weir_connections_key, weir_connections)] {
    fatalError("datapath")
  }
  public func refusals() throws(DatapathError) -> [(weir_refusals_key, UInt64)] { fatalError("datapath") }
  /// Indexed by weir_loss.
  public func losses() throws(DatapathError) -> [UInt64] { fatalError("datapath") }

  /// How many follow the events of allowed flows.
  public func setFollowers(_ count: UInt32) throws(DatapathError) { fatalError("datapath") }
  /// Readable when events wait; for epoll.
  public var eventDescriptor: Int32 { fatalError("datapath") }
  /// Hands over every waiting event.
  public func drainEvents(_ body: (weir_event) -> Void) throws(DatapathError) { fatalError("datapath") }

  /// Removes every link, map and directory below `directory`; returns how many pins there were. Enforcement ends.
  @discardableResult
  public static func detach(directory: String) throws(DatapathError) -> Int { fatalError("datapath") }
}

/// The cgroup2 hierarchy of this machine.
public enum Cgroup {
  /// Where it is mounted, from /proc/self/mountinfo (hybrid hosts have it at /sys/fs/cgroup/unified).
  public static func mount() throws(DatapathError) -> String { fatalError("datapath") }
  /// The 64-bit id programs see: the inode number of the directory. nil where it does not exist.
  public static func id(_ path: String) -> UInt64? { fatalError("datapath") }
}
