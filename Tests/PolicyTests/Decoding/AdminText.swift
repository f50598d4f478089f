/// The administrator's policies as texts, each with a part of its own.
enum AdminText {
  /// An object whose spec begins on line 4, indented by two.
  static func object(_ version: String, _ kind: String, _ spec: String, name: String = "p") -> String {
    "apiVersion: policy.networking.k8s.io/\(version)\nkind: \(kind)\nmetadata: {name: \(name)}\nspec:\n"
      + spec.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 + "\n" }.joined()
  }

  static let head = "tier: Admin\npriority: 10\nsubject: {namespaces: {}}\n"

  /// A ClusterNetworkPolicy; `rest` begins on line 8, in column 3.
  static func cluster(_ rest: String) -> String { object("v1alpha2", "ClusterNetworkPolicy", head + rest) }

  /// One with one egress rule, whose rest begins on line 8, in column 27.
  static func egress(_ rest: String) -> String { cluster("egress: [{action: Deny, \(rest)}]") }

  /// The same with `to`, and protocols that begin in column 62.
  static func protocols(_ list: String) -> String { egress("to: [{namespaces: {}}], protocols: \(list)") }

  /// An AdminNetworkPolicy; `rest` begins on line 7, in column 3.
  static func admin(_ rest: String) -> String {
    object("v1alpha1", "AdminNetworkPolicy", "priority: 10\nsubject: {namespaces: {}}\n" + rest)
  }

  /// One with one egress rule, whose ports begin on line 7, in column 58.
  static func ports(_ list: String) -> String {
    admin("egress: [{action: Deny, to: [{namespaces: {}}], ports: \(list)}]")
  }

  static func baseline(_ rest: String, name: String = "default") -> String {
    object("v1alpha1", "BaselineAdminNetworkPolicy", "subject: {namespaces: {}}\n" + rest, name: name)
  }

  static func repeated(_ item: String, _ count: Int) -> String {
    "[" + Array(repeating: item, count: count).joined(separator: ", ") + "]"
  }
}
