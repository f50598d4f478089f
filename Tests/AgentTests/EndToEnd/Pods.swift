import Lab

@testable import Agent

/// Texts and directories of a kubelet's making, and what its processes saw.
struct Pods {
  /// A kubelet's way to arrange cgroups.
  enum Driver: String, CaseIterable {
    case systemd
    case cgroupfs
    /// systemd's, below a cgroup root of the kubelet's own.
    case kind

    /// Below the agent's cgroup root; all pods are below it.
    var top: String {
      switch self {
      case .systemd: "kubepods.slice"
      case .cgroupfs: "kubepods"
      case .kind: "kubelet.slice/kubelet-kubepods.slice"
      }
    }

    /// Where pods of the quality burstable are.
    var parent: String {
      switch self {
      case .systemd: "\(top)/kubepods-burstable.slice"
      case .cgroupfs: "\(top)/burstable"
      case .kind: "\(top)/kubelet-kubepods-burstable.slice"
      }
    }

    func directory(_ uid: String) -> String {
      let escaped = uid.replacing("-", with: "_")
      return switch self {
      case .systemd: "kubepods-burstable-pod\(escaped).slice"
      case .cgroupfs: "pod\(uid)"
      case .kind: "kubelet-kubepods-burstable-pod\(escaped).slice"
      }
    }
  }

  static func uid(_ number: Int) -> String {
    let digits = String(number)
    return "6f1c2e1a-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
  }

  static func text(_ name: String, app: String, uid: String, more: String = "") -> String {
    """
    apiVersion: v1
    kind: Pod
    metadata: {name: \(name), namespace: shop, labels: {app: \(app)}, uid: \(uid)}
    \(more)
    ---

    """
  }

  static func subtree(_ name: String, _ cgroup: String, more: String = "") -> String {
    """
    apiVersion: weir.dev/v1alpha1
    kind: Subtree
    metadata: {name: \(name)}
    spec: {cgroup: \(cgroup)\(more)}
    ---

    """
  }

  /// One row of pods.py.
  struct Seen: Decodable {
    var name: String
    var milliseconds: Double
    var answers: [String]

    init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      name = try values.decode(String.self)
      milliseconds = try values.decode(Double.self)
      answers = try values.decode([String].self)
    }
  }
}

extension Node {
  /// Starts pods one after the other, each with a process that connects at once.
  func startPods(
    _ names: [String], in parent: String, container: String = "container", port: UInt16, seconds: Double = 5
  ) throws -> Child {
    let script = Files.directory(of: #filePath) + "/pods.py"
    return try lab.spawn(
      in: "node",
      ["python3", script, "\(port)", "\(seconds)", try lab.cgroup("judged/\(parent)"), container] + names)
  }

  func seen(_ child: Child, seconds: Double = 60) throws -> [Pods.Seen] {
    let (status, output, errors) = try child.finish(seconds: seconds)
    guard status == 0, let rows = JSON.decode([Pods.Seen].self, Array(output.utf8)) else {
      throw LabError("pods.py: \(errors)", code: 71)
    }
    return rows
  }

  /// What `weir workloads` lists.
  func known() throws -> [WorkloadStatus] {
    guard let list = JSON.decode([WorkloadStatus].self, try ask("GET", "/workloads").body) else {
      throw LabError("GET /workloads", code: 71)
    }
    return list
  }

  func isHere(_ name: String) throws -> Bool { try known().contains { $0.name == name && $0.present } }
}
