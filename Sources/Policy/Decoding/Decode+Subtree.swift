extension Decoding {
  private static let subtreeShape = Shape(
    what: "a Subtree", read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])
  private static let subtreeSpecShape = Shape(
    what: "a Subtree's spec", read: ["cgroup", "unidentified", "onFault", "audit"])

  func subtree(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.subtreeShape) else { return }
    passStatus(of: object)
    let meta = clusterMetadata(of: object, kind: "Subtree")
    let subtree = required("spec", of: object) { node -> Subtree? in
      guard let fields = fields(node, Decoding.subtreeSpecShape) else { return nil }
      let cgroup = required("cgroup", of: fields) { self.cgroup($0, meta?.title, Syntax.subtree) }
      let unidentified = field("unidentified", of: fields) { oneOf(Subtree.Answer.allCases, $0) }
      let onFault = field("onFault", of: fields) { oneOf(Subtree.Answer.allCases, $0) }
      let audit = field("audit", of: fields) { bool($0) }
      guard let meta, let cgroup else { return nil }
      return Subtree(
        name: meta.name.name, cgroup: cgroup, unidentified: unidentified, onFault: onFault ?? .refuse,
        audit: audit ?? false, place: meta.place)
    }
    if let subtree { add(.subtree(subtree)) }
  }
}
