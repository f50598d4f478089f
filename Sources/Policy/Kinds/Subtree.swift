/// `weir.dev/v1alpha1` Subtree: a cgroup all of whose processes belong to workloads, known already or not yet (a container
/// runtime's `kubepods.slice`, say), and how its workloads are treated. Of nested ones the nearest counts. What is below the
/// agent's cgroup root and in no Subtree is nobody's unless a Workload names it.
public struct Subtree: Equatable, Sendable {
  public enum Answer: String, Sendable, CaseIterable {
    case refuse
    case allow
  }

  public var name: String
  /// As written: relative to the agent's cgroup root, or absolute within the cgroup2 mount; the root itself may be one.
  public var cgroup: String
  /// What a process gets that is no workload's yet. nil: refused as soon as the set has a policy, which might select it.
  public var unidentified: Answer?
  /// What happens where weir itself cannot judge: its tables are missing, or there is no memory for a socket's state.
  public var onFault: Answer
  /// Everything is judged and reported, nothing refused.
  public var audit: Bool
  public var place: Place

  public init(
    name: String, cgroup: String, unidentified: Answer? = nil, onFault: Answer = .refuse, audit: Bool = false,
    place: Place
  ) {
    self.name = name
    self.cgroup = cgroup
    self.unidentified = unidentified
    self.onFault = onFault
    self.audit = audit
    self.place = place
  }
}

extension PolicySet {
  /// Whether a workload that nobody has described yet could be selected: its namespace and labels can be any.
  private var couldSelectAnybody: Bool {
    !networkPolicies.isEmpty || !authorizationPolicies.isEmpty || !adminPolicies.isEmpty || !ciliumPolicies.isEmpty
  }

  /// What a process of the Subtree gets that is no workload's yet.
  public func answer(toUnidentifiedIn subtree: Subtree) -> Subtree.Answer {
    subtree.unidentified ?? (couldSelectAnybody ? .refuse : .allow)
  }
}
