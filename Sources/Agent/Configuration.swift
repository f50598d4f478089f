/// What `weir agent` is told.
public struct Configuration: Sendable {
  /// Directories (or files) with policies; at least one.
  public var policies: [String]
  /// The directory in the cgroup2 mount below which workloads are, and to which programs are attached.
  public var cgroupRoot: String
  /// A directory on a bpf file system, for the pins.
  public var bpffs = Configuration.defaultBpffs
  public var runDirectory = Configuration.defaultRunDirectory
  /// ADDRESS:PORT for /metrics, /healthz and /readyz.
  public var metrics = Configuration.defaultMetrics
  /// Judge and report, refuse nothing.
  public var audit = false
  /// NetworkPolicy and Cilium's kinds are one union of allows, as Cilium reads them; else each family that has an
  /// opinion must allow.
  public var joined = false
  /// Keep what it takes to look at the sockets of workloads in other network namespaces.
  public var enterNamespaces = false
  /// Let a started agent make the system calls it needs and no others.
  public var seccomp = true
  /// Try flows with a canary, every half minute and after each generation.
  public var verify = false

  /// A fault of weir's own lets through where not even the Subtree can be told; else it refuses.
  public var failOpen = false

  public static let defaultBpffs = "/sys/fs/bpf/weir"
  public static let defaultRunDirectory = "/run/weir"
  /// The port OpenTelemetry registered for Prometheus exporters.
  public static let defaultMetrics = "127.0.0.1:9464"

  public init(policies: [String], cgroupRoot: String) {
    self.policies = policies
    self.cgroupRoot = cgroupRoot
  }

  var socket: String { Configuration.socket(runDirectory) }
  /// What `weir run` writes; read as one more policy directory.
  var workloads: String { Configuration.workloads(runDirectory) }
  var numbers: String { "\(runDirectory)/numbers" }

  static func socket(_ runDirectory: String) -> String { "\(runDirectory)/weir.sock" }
  static func workloads(_ runDirectory: String) -> String { "\(runDirectory)/workloads" }
}

public enum Version {
  public static let text = "0.1.0"
}
