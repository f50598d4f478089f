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
  /// The newest last.
  var refusals: [VerdictRecord]
}

/// One element of `GET /workloads`.
struct WorkloadStatus: Codable {
  var name: String
  /// Absolute; absent for a Pod, which is inventory only.
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
  /// `file:line`
  var place: String
}
