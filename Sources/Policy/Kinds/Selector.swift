/// `metav1.LabelSelector`: every requirement must hold; an empty one selects everything.
public struct Selector: Hashable, Sendable {
  public enum Operator: String, Hashable, Sendable {
    case `in` = "In"
    case notIn = "NotIn"
    case exists = "Exists"
    case doesNotExist = "DoesNotExist"
  }

  public struct Requirement: Hashable, Sendable {
    public var key: String
    public var `operator`: Operator
    public var values: Set<String>

    public init(key: String, operator: Operator, values: Set<String>) {
      self.key = key
      self.operator = `operator`
      self.values = values
    }
  }

  /// matchLabels are kept as `In` with one value, which is what they mean.
  public var requirements: [Requirement]

  public init(_ requirements: [Requirement] = []) { self.requirements = requirements }

  public static let everything = Selector()

  public func matches(_ labels: Labels) -> Bool { matches { labels[$0] } }

  /// - Parameter value: what a key stands for; nil where it is absent.
  func matches(_ value: (String) -> String?) -> Bool {
    requirements.allSatisfy { requirement in
      let value = value(requirement.key)
      switch requirement.operator {
      case .in: return value.map(requirement.values.contains) ?? false
      // A missing key satisfies NotIn: k8s.io/apimachinery labels.Requirement.Matches.
      case .notIn: return value.map { !requirement.values.contains($0) } ?? true
      case .exists: return value != nil
      case .doesNotExist: return value == nil
      }
    }
  }
}

/// Endpoints by their labels, their namespace's labels and their service account. With a namespace selector, pods of
/// the namespaces it selects; without, pods of the policy's own namespace. An absent pod selector beside it selects all
/// pods there.
public struct PeerSelector: Hashable, Sendable {
  public var namespaces: Selector?
  public var pods: Selector?
  /// Requirements on the service account's name, whatever their keys (Cilium's
  /// `io.cilium.k8s.policy.serviceaccount`); nil: any account.
  public var accounts: Selector?

  public init(namespaces: Selector?, pods: Selector?, accounts: Selector? = nil) {
    self.namespaces = namespaces
    self.pods = pods
    self.accounts = accounts
  }
}
