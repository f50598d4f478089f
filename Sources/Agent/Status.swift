import Datapath
import Policy

/// The answer of `GET /status`, and what `weir status -o json` prints.
struct Status: Codable {
  struct ProxyStatus: Codable {
    var name: String
    /// Absolute.
    var cgroup: String
    /// Whether the cgroup is there.
    var present: Bool
    var listen: [String]
    var acknowledgement: Acknowledgement
    /// The generation it acknowledged; absent while it acknowledged none.
    var generation: String?
  }

  var version: String
  var layout: Int32
  /// Whose programs still enforce, until a set is in force that this agent read; absent mostly.
  var formerLayouts: [UInt32]?
  var pid: Int32
  var started: String
  /// As the kernel has it; 0 none.
  var generation: UInt32
  /// When this agent put it in force; absent for one that it found in force.
  var since: String?
  /// Whether the kernel judges by the files as they are: nothing rejected, nothing failed, every program run.
  var inForce: Bool
  var audit: Bool
  var cgroupRoot: String
  var bpffs: String
  var runDir: String
  var policies: [String]
  /// Of the set in force.
  var files: Int
  var objects: Int
  var workloads: Int
  /// Of the last reading.
  var filesRejected: Int
  var problems: [Problem]
  /// Why a set that is right is not in force.
  var failure: String?
  /// Of the agent, as the kernel has them; absent where /proc is.
  var privileges: PrivilegeReport?
  /// Network namespaces of workloads that the agent may not enter.
  var namespacesNotEntered: Int
  /// What this kernel refuses and what that costs, a sentence each.
  var missing: [String]
  var programs: [AttachedProgram]
  /// What keeps them from being in effect, or from outliving the agent.
  var gaps: [Gap]
  var maps: [MapFill]
  var proxies: [ProxyStatus]
  var losses: [String: UInt64]
  /// Who has most of what all workloads share, and whose losses they are: five of each.
  var usage: [Share]
  /// The newest last.
  var refusals: [VerdictRecord]
  var subtrees: [SubtreeStatus]
  /// How often weir itself could not judge, where it ever happened.
  var faults: [Fault]
  /// What came of the flows that the agent tries itself.
  var verify: VerifyStatus
}

struct SubtreeStatus: Codable {
  var name: String
  /// Absolute.
  var cgroup: String
  /// Whether the cgroup is there.
  var present: Bool
  /// What who is not identified gets: `refuse` or `allow`.
  var unidentified: String
  var onFault: String
  var audit: Bool
  /// Workloads in it.
  var workloads: Int
  /// Cgroups in it that have processes and are nobody's, at the last look.
  var unknown: Int
}

struct Fault: Codable, Equatable {
  /// The word of a Reason.
  var reason: String
  /// `refused` or `allowed`.
  var outcome: String
  var count: UInt64
}

/// One element of `GET /workloads`: an endpoint of the files, or a cgroup in a Subtree that has processes and is
/// nobody's, under the name `unidentified`.
struct WorkloadStatus: Codable {
  static let unidentified = "unidentified"

  var name: String
  /// Absolute; absent for a Pod or a unit that is not here.
  var cgroup: String?
  /// Absent while the cgroup is not there.
  var cgroupId: UInt64?
  var present: Bool
  var identity: UInt32
  var labels: [String: String]
  var serviceAccount: String
  var addresses: [String]
  /// `http=8080/TCP`
  var ports: [String]
  /// `file:line`; empty for one that is in no file.
  var place: String
  /// The Subtree it is in.
  var subtree: String?
  /// Of one that is not identified: `pod UID` or `unit NAME`.
  var looks: String?
  /// What any of its processes may do to get around its policy: `net_raw`, `net_admin`, `bpf`, `sys_admin`.
  var may: [String]
}
