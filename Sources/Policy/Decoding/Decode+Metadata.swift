/// What weir uses of ObjectMeta.
struct Metadata {
  var name: Name
  var labels: Labels
  /// `Pod shop/web`, for messages.
  var title: String
  var place: Place
}

extension Decoding {
  private static let objectMeta = Shape(
    what: "metadata", read: ["name", "namespace", "labels", "annotations"],
    passed: [
      "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
      "deletionGracePeriodSeconds",
      "finalizers", "generateName", "managedFields", "ownerReferences", "selfLink", "clusterName",
      "initializers",
    ])

  /// The head of a namespaced object. `family` is the kind whose names it shares, `rule` its names' form.
  func metadata(
    of object: Fields, kind: String, family: String? = nil, rule: (String) -> String? = Syntax.dnsSubdomain
  ) -> Metadata? {
    required("metadata", of: object) { node -> Metadata? in
      guard let meta = fields(node, Decoding.objectMeta) else { return nil }
      let name = required("name", of: meta) { string($0, rule) }
      let namespace =
        meta["namespace"] == nil ? "default" : field("namespace", of: meta) { string($0, Syntax.dnsLabel) }
      let labels = self.labels(of: meta)
      guard let name, let namespace else { return nil }
      let full = Name(namespace, name)
      let title = "\(kind) \(full)"
      _ = field("name", of: meta) { claim(.name(kind: family ?? kind, full), by: title, at: $0) }
      return Metadata(name: full, labels: labels, title: title, place: place(object.node))
    }
  }

  /// The head of an object that is in no namespace. A Namespace's name is a label, the others' are subdomains.
  func clusterMetadata(
    of object: Fields, kind: String, rule: (String) -> String? = Syntax.dnsSubdomain
  ) -> Metadata? {
    required("metadata", of: object) { node -> Metadata? in
      guard let meta = fields(node, Decoding.objectMeta) else { return nil }
      if let namespace = meta["namespace"] {
        problem(namespace, field: "namespace", "a \(kind) is in no namespace; leave `namespace` out")
      }
      let name = required("name", of: meta) { string($0, rule) }
      let labels = self.labels(of: meta)
      guard let name else { return nil }
      let title = "\(kind) \(name)"
      _ = field("name", of: meta) { claim(.name(kind: kind, Name("", name)), by: title, at: $0) }
      return Metadata(name: Name("", name), labels: labels, title: title, place: place(object.node))
    }
  }

  private func labels(of meta: Fields) -> Labels {
    _ = field("annotations", of: meta) { node in
      // As the API server does, which lets the prefix be in any case here.
      strings(node, what: "annotations") { checkKey($0, as: $0.key.lowercased()) }
    }
    return field("labels", of: meta) { self.labels($0) } ?? [:]
  }

  func labels(_ node: YAML.Node) -> Labels? {
    strings(node, what: "labels") { entry in
      checkKey(entry, as: entry.key)
      if let fault = Syntax.labelValue(entry.node.text) {
        problem(entry.node, "\(fault), found \(quoted(entry.node.text))")
      }
    }
  }

  private func checkKey(_ entry: YAML.Entry, as key: String) {
    guard let fault = Syntax.labelKey(key) else { return }
    problem(entry.keyNode, "\(fault), found \(quoted(entry.key))")
  }

  /// `status` is what a cluster says of the object: taken as it is, so that `kubectl get -o yaml` can be
  /// used.
  func passStatus(of object: Fields) {
    guard let status = object["status"] else { return }
    if case .mapping = status.value { return }
    _ = field("status", of: object) { expected("a mapping", $0) }
  }
}

// MARK: - Kinds

extension Decoding {
  private struct Kind: Sendable {
    var apiVersions: [String]
    var name: String
    var read: @Sendable (Decoding, YAML.Node) -> Void
  }

  private static let kinds: [Kind] = [
    Kind(apiVersions: ["v1"], name: "Namespace") { $0.namespace($1) },
    Kind(apiVersions: ["v1"], name: "Pod") { $0.pod($1) },
    Kind(apiVersions: ["v1"], name: "Node") { $0.node($1) },
    Kind(apiVersions: ["v1"], name: "Service") { $0.service($1) },
    Kind(apiVersions: ["discovery.k8s.io/v1"], name: "EndpointSlice") { $0.endpointSlice($1) },
    Kind(apiVersions: ["networking.k8s.io/v1"], name: "NetworkPolicy") { $0.networkPolicy($1) },
    Kind(apiVersions: ["policy.networking.k8s.io/v1alpha2"], name: "ClusterNetworkPolicy") {
      $0.adminPolicy($1, .v1alpha2)
    },
    Kind(apiVersions: ["policy.networking.k8s.io/v1beta1"], name: "ClusterNetworkPolicy") {
      $0.adminPolicy($1, .v1beta1)
    },
    Kind(apiVersions: ["policy.networking.k8s.io/v1alpha1"], name: "AdminNetworkPolicy") {
      $0.adminPolicy($1, .admin)
    },
    Kind(apiVersions: ["policy.networking.k8s.io/v1alpha1"], name: "BaselineAdminNetworkPolicy") {
      $0.adminPolicy($1, .baseline)
    },
    Kind(apiVersions: ["security.istio.io/v1", "security.istio.io/v1beta1"], name: "AuthorizationPolicy") {
      $0.authorizationPolicy($1)
    },
    Kind(apiVersions: ["cilium.io/v2"], name: "CiliumNetworkPolicy") { $0.ciliumPolicy($1, .networkPolicy) },
    Kind(apiVersions: ["cilium.io/v2"], name: "CiliumClusterwideNetworkPolicy") {
      $0.ciliumPolicy($1, .clusterwide)
    },
    Kind(apiVersions: ["weir.dev/v1alpha1"], name: "Workload") { $0.workload($1) },
    Kind(apiVersions: ["weir.dev/v1alpha1"], name: "Proxy") { $0.proxy($1) },
    Kind(apiVersions: ["weir.dev/v1alpha1"], name: "Subtree") { $0.subtree($1) },
  ]

  private static let understood =
    kinds.map { "\($0.name) (\($0.apiVersions.joined(separator: ", ")))" }.joined(separator: ", ")
    + " and List (v1)"

  /// One document, or one item of a list. A typed list's items need not say what they are: the API leaves it
  /// out there.
  func object(_ node: YAML.Node, listed: (apiVersion: String, kind: String)? = nil) {
    guard case .mapping(let entries) = node.value else { return expected("an object (a mapping)", node) }
    let fields = Fields(node: node, entries: entries)
    let version =
      listed != nil && fields["apiVersion"] == nil
      ? listed?.apiVersion : required("apiVersion", of: fields) { nonEmptyString($0) }
    let name =
      listed != nil && fields["kind"] == nil
      ? listed?.kind : required("kind", of: fields) { nonEmptyString($0) }
    guard let version, let name else { return }
    if let kind = Decoding.kinds.first(where: { $0.name == name && $0.apiVersions.contains(version) }) {
      return kind.read(self, node)
    }
    if name == "List", version == "v1" { return items(node, nil) }
    if let kind = Decoding.kinds.first(where: { $0.name + "List" == name && $0.apiVersions.contains(version) }
    ) {
      return items(node, (version, kind.name))
    }
    let versions = Decoding.kinds.filter { $0.name == name }.flatMap(\.apiVersions)
    if !versions.isEmpty {
      _ = field("apiVersion", of: fields) {
        problem(
          $0, "\(name) is understood as \(versions.joined(separator: " or ")), found \(quoted(version))")
      }
      return
    }
    _ = field("kind", of: fields) {
      problem(
        $0, "\(quoted(name)) of \(quoted(version)) is not understood; these are: \(Decoding.understood)")
    }
  }

  private static let listShape = Shape(
    what: "a List", read: ["items"], passed: ["apiVersion", "kind", "metadata"])

  private func items(_ node: YAML.Node, _ listed: (apiVersion: String, kind: String)?) {
    guard let fields = fields(node, Decoding.listShape) else { return }
    _ = required("items", of: fields) { list($0, of: "objects") { object($0, listed: listed) } }
  }
}
