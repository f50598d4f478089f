extension Decoding {
  private static let namespaceShape = Shape(
    what: "a Namespace", read: ["metadata", "status"], passed: ["apiVersion", "kind", "spec"])

  func namespace(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.namespaceShape) else { return }
    passStatus(of: object)
    guard let meta = clusterMetadata(of: object, kind: "Namespace", rule: Syntax.dnsLabel) else { return }
    var labels = meta.labels
    // Whatever the file says: the API server sets it anew on every write.
    labels["kubernetes.io/metadata.name"] = meta.name.name
    add(.namespace(Namespace(name: meta.name.name, labels: labels, place: meta.place)))
  }
}

// MARK: - Pod

extension Decoding {
  private static let podShape = Shape(
    what: "a Pod", read: ["metadata", "spec", "status"], passed: ["apiVersion", "kind"])

  /// Everything of the PodSpec that does not say who the pod is or which ports it has is taken as it is.
  private static let podSpecShape = Shape(
    what: "a PodSpec",
    read: ["containers", "initContainers", "hostNetwork", "nodeName", "serviceAccountName", "serviceAccount"],
    passed: [
      "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy",
      "enableServiceLinks", "ephemeralContainers", "hostAliases", "hostIPC", "hostPID", "hostUsers",
      "hostname",
      "hostnameOverride", "imagePullSecrets", "nodeSelector", "os", "overhead",
      "preemptionPolicy",
      "priority", "priorityClassName", "readinessGates", "resourceClaims", "resources", "restartPolicy",
      "runtimeClassName", "schedulerName", "schedulingGates", "schedulingGroup", "securityContext",
      "setHostnameAsFQDN", "shareProcessNamespace", "subdomain", "terminationGracePeriodSeconds",
      "tolerations",
      "topologySpreadConstraints", "volumes", "workloadRef",
    ])

  private static let containerShape = Shape(
    what: "a Container", read: ["ports", "restartPolicy"],
    passed: [
      "args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "name",
      "readinessProbe", "resizePolicy", "resources", "restartPolicyRules", "securityContext", "startupProbe",
      "stdin",
      "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty", "volumeDevices",
      "volumeMounts",
      "workingDir",
    ])

  private static let containerPortShape = Shape(
    what: "a ContainerPort", read: ["name", "containerPort", "protocol", "hostPort", "hostIP"])

  private static let podStatusShape = Shape(
    what: "a PodStatus", read: ["phase", "podIP", "podIPs"],
    passed: [
      "allocatedResources", "conditions", "containerStatuses", "ephemeralContainerStatuses",
      "extendedResourceClaimStatus", "hostIP", "hostIPs", "initContainerStatuses", "message",
      "nodeAllocatableResourceClaimStatuses", "nominatedNodeName", "observedGeneration", "qosClass", "reason",
      "resize", "resourceClaimStatuses", "resources", "startTime",
    ])

  private enum PodPhase: String, CaseIterable {
    case pending = "Pending"
    case running = "Running"
    case succeeded = "Succeeded"
    case failed = "Failed"
    case unknown = "Unknown"
  }

  private struct PodSpec {
    var hostNetwork = false
    var node: String?
    var serviceAccount = "default"
    var ports: [NamedPort] = []
  }

  func pod(_ node: YAML.Node) {
    guard let object = fields(node, Decoding.podShape) else { return }
    let meta = metadata(of: object, kind: "Pod", family: "endpoint")
    let spec = field("spec", of: object) { podSpec($0) } ?? PodSpec()
    let addresses =
      field("status", of: object) { podStatus($0, meta?.title, hostNetwork: spec.hostNetwork) } ?? []
    let uid = uid(of: object, meta?.title)
    guard let meta else { return }
    add(
      .endpoint(
        Endpoint(
          name: meta.name, labels: meta.labels, addresses: addresses, serviceAccount: spec.serviceAccount,
          ports: spec.ports, cgroup: nil, uid: uid, hostNetwork: spec.hostNetwork, node: spec.node,
          place: meta.place)))
  }

  /// What the kubelet calls the pod's cgroup by: its uid. A pod from a file has one from the file's hash; what the API
  /// server shows in its place, the mirror pod, has a uid of its own and that hash as an annotation
  /// (k8s.io/kubernetes pkg/kubelet/types: ConfigHashAnnotationKey, ConfigMirrorAnnotationKey).
  private func uid(of object: Fields, _ title: String?) -> String? {
    func fields(_ node: YAML.Node) -> Fields? {
      if case .mapping(let entries) = node.value { Fields(node: node, entries: entries) } else { nil }
    }
    func read(_ node: YAML.Node) -> String? {
      guard let uid = string(node, Syntax.uid) else { return nil }
      if let title { claim(.uid(uid), by: title, at: node) }
      return uid
    }
    return field("metadata", of: object) { node -> String? in
      guard let meta = fields(node) else { return nil }
      let hash = field("annotations", of: meta) { node -> String? in
        guard let annotations = fields(node), annotations["kubernetes.io/config.mirror"] != nil else { return nil }
        return field("kubernetes.io/config.hash", of: annotations, read)
      }
      return hash ?? field("uid", of: meta, read)
    }
  }

  private func podSpec(_ node: YAML.Node) -> PodSpec? {
    guard let fields = fields(node, Decoding.podSpecShape) else { return nil }
    var spec = PodSpec()
    spec.hostNetwork = field("hostNetwork", of: fields) { bool($0) } ?? false
    // Empty: not scheduled yet.
    spec.node = field("nodeName", of: fields) { stringOrEmpty($0, Syntax.dnsSubdomain) }
    // `serviceAccount` is the old name, which the API server keeps equal to the new one.
    let account = field("serviceAccountName", of: fields) { string($0) }
    let old = field("serviceAccount", of: fields) { string($0) }
    spec.serviceAccount = [account, old].compactMap { $0 }.first { !$0.isEmpty } ?? "default"
    if let fault = Syntax.dnsSubdomain(spec.serviceAccount) {
      _ = field(account == nil ? "serviceAccount" : "serviceAccountName", of: fields) {
        problem($0, "\(fault), found \(quoted(spec.serviceAccount))")
      }
    }
    let main = listField("containers", of: fields, what: "containers") { container($0, initial: false) }
    let initial = listField("initContainers", of: fields, what: "containers") { container($0, initial: true) }
    // A named port is the first of its name and protocol, in this order (k8s.io/kubernetes podutil.FindPort).
    var known: Set<String> = []
    for port in (main + initial).joined()
    where known.insert("\(port.name)/\(port.protocol.rawValue)").inserted {
      spec.ports.append(port)
    }
    return spec
  }

  /// The named ports. An init container that ends before the others start serves nothing; one that restarts
  /// always (a sidecar) does.
  private func container(_ node: YAML.Node, initial: Bool) -> [NamedPort]? {
    guard let fields = fields(node, Decoding.containerShape) else { return nil }
    var names: Set<String> = []
    let ports = listField("ports", of: fields, what: "container ports") { containerPort($0, &names) }
    let restart = field("restartPolicy", of: fields) { string($0) }
    return initial && restart != "Always" ? [] : ports.compactMap { $0 }
  }

  /// nil inside where the port has no name: nothing can refer to it.
  private func containerPort(_ node: YAML.Node, _ names: inout Set<String>) -> NamedPort?? {
    guard let fields = fields(node, Decoding.containerPortShape) else { return nil }
    let port = required("containerPort", of: fields) { self.port($0) }
    let kind = protocolField(of: fields)
    _ = field("hostPort", of: fields) { node -> UInt16? in
      // 0 is what an unset one is printed as.
      if case .integer(0) = node.value { nil } else { self.port(node) }
    }
    _ = field("hostIP", of: fields) { string($0) }
    let name = field("name", of: fields) { string($0, Syntax.portName) }
    if let name, !names.insert(name).inserted, let node = fields["name"] {
      problem(node, field: "name", "the port name \(quoted(name)) stands twice in this container")
    }
    guard let port, let kind else { return nil }
    return .some(name.map { NamedPort(name: $0, port: port, protocol: kind) })
  }

  /// The addresses of its own. A pod that has ended owns none: another may have got them since.
  private func podStatus(_ node: YAML.Node, _ title: String?, hostNetwork: Bool) -> [IPAddress]? {
    guard let fields = fields(node, Decoding.podStatusShape) else { return nil }
    let phase = field("phase", of: fields) { oneOf(PodPhase.allCases, $0) }
    let ended = phase == .succeeded || phase == .failed
    var addresses: [IPAddress] = []
    func take(_ node: YAML.Node) {
      // Empty: none yet.
      guard let text = string(node), !text.isEmpty, let address = address(node), !ended else { return }
      if addresses.contains(address) { return }
      if addresses.contains(where: { $0.isV4 == address.isV4 }) {
        return problem(node, "a second \(address.family) address; expected at most one of each family")
      }
      addresses.append(address)
      // The node's address is that of all its pods in the host's network.
      if let title, !hostNetwork { claim(.address(address), by: title, at: node) }
    }
    _ = field("podIP", of: fields) { take($0) }
    _ = listField("podIPs", of: fields, what: "pod addresses") { item in
      guard let address = self.fields(item, Shape(what: "a PodIP", read: ["ip"])) else { return }
      _ = required("ip", of: address) { take($0) }
    }
    return addresses
  }

  /// `protocol` of a port: TCP where it is absent.
  func protocolField(of fields: Fields) -> TransportProtocol? {
    if fields["protocol"] == nil { return .tcp }
    return field("protocol", of: fields) { oneOf([TransportProtocol.tcp, .udp, .sctp], $0) }
  }
}
