/// `v1` Node. The rules are those of k8s.io/kubernetes/pkg/apis/core.
extension Decoding {
  private static let nodeShape = Shape(
    what: "a Node", read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])
  private static let nodeSpecShape = Shape(
    what: "a NodeSpec", read: [],
    passed: [
      "configSource", "externalID", "podCIDR", "podCIDRs", "providerID", "taints", "unschedulable",
    ])
  private static let nodeStatusShape = Shape(
    what: "a NodeStatus", read: ["addresses"],
    passed: [
      "allocatable", "capacity", "conditions", "config", "daemonEndpoints", "declaredFeatures", "features",
      "images", "nodeInfo", "phase", "runtimeHandlers", "volumesAttached", "volumesInUse",
    ])
  private static let nodeAddressShape = Shape(what: "a NodeAddress", read: ["type", "address"])

  private enum NodeAddressType: String, CaseIterable {
    case hostname = "Hostname"
    case internalIP = "InternalIP"
    case externalIP = "ExternalIP"
    case internalDNS = "InternalDNS"
    case externalDNS = "ExternalDNS"
  }

  func node(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.nodeShape) else { return }
    let meta = clusterMetadata(of: object, kind: "Node")
    _ = field("spec", of: object) { fields($0, Decoding.nodeSpecShape) }
    let addresses = field("status", of: object) { node -> [IPAddress]? in
      guard let fields = fields(node, Decoding.nodeStatusShape) else { return nil }
      var known: Set<String> = []
      var taken: Set<IPAddress> = []
      var addresses: [IPAddress] = []
      _ = listField("addresses", of: fields, what: "addresses") { item in
        // The same address is often the internal and the external one.
        guard let address = nodeAddress(item, meta?.title, &known) else { return }
        if taken.insert(address).inserted { addresses.append(address) }
      }
      return addresses
    }
    guard let meta else { return }
    add(.node(Node(name: meta.name.name, labels: meta.labels, addresses: addresses ?? [], place: meta.place)))
  }

  /// nil where it is a name.
  private func nodeAddress(_ node: YAML.Node, _ title: String?, _ known: inout Set<String>) -> IPAddress? {
    guard let fields = fields(node, Decoding.nodeAddressShape) else { return nil }
    let type = required("type", of: fields) { oneOf(NodeAddressType.allCases, $0) }
    let isIP = type == .internalIP || type == .externalIP
    return required("address", of: fields) { node -> IPAddress? in
      guard let text = string(node), let type else { return nil }
      if !known.insert("\(type.rawValue) \(text)").inserted {
        problem(node, "the \(type.rawValue) \(quoted(text)) stands twice")
        return nil
      }
      guard isIP, let address = address(node) else { return nil }
      // Several nodes may be reached from outside through one address.
      if type == .internalIP, let title { claim(.nodeAddress(address), by: title, at: node) }
      return address
    }
  }
}
