/// Istio judges requests only where it takes a port for HTTP. Where a Service says that the port speaks
/// something else, rules about requests cannot be asked (Istio documentation, "Protocol Selection";
/// pkg/config/kube/conversion.go).
extension PolicySet {
  /// Whether a Service says of an endpoint's port that it is no HTTP. One that says nothing leaves it to
  /// detection.
  func isPlainTCP(_ endpoint: Endpoint, port: UInt16) -> Bool { plainTCPPorts(of: endpoint).contains(port) }

  /// All such ports of an endpoint. Where two Services differ, one that says so is enough: an ALLOW rule
  /// about requests then allows nothing.
  func plainTCPPorts(of endpoint: Endpoint) -> Set<UInt16> {
    var found: Set<UInt16> = []
    for service in services.values where service.stands(for: endpoint) {
      for port in service.ports where port.isPlainTCP {
        switch port.target {
        case .any: found.insert(port.port)
        case .range(let range): found.formUnion(range)
        case .named(let name):
          for own in endpoint.ports where own.name == name && own.protocol == port.protocol {
            found.insert(own.port)
          }
        }
      }
    }
    return found
  }
}

extension Service {
  fileprivate func stands(for endpoint: Endpoint) -> Bool {
    guard let selector, !selector.requirements.isEmpty else { return false }
    return name.namespace == endpoint.name.namespace && selector.matches(endpoint.labels)
  }
}

extension Service.Port {
  private static let plain: Set<String> = ["tcp", "tls", "https", "mongo", "mysql", "redis"]
  private static let http: Set<String> = ["http", "http2", "http_proxy", "grpc", "grpc-web", "udp"]
  /// SMTP, DNS, MySQL and MongoDB: the server speaks first, so nothing can be detected.
  private static let wellKnown: Set<UInt16> = [25, 53, 3306, 27017]

  /// appProtocol, else the name up to its first `-`; without regard to case.
  var isPlainTCP: Bool {
    guard `protocol` == .tcp else { return false }
    let said = (appProtocol ?? name ?? "").lowercased()
    switch appProtocol {
    case "kubernetes.io/h2c", "kubernetes.io/ws": return false
    case "kubernetes.io/wss": return true
    default: break
    }
    if said.hasPrefix("grpc-web") { return false }
    let word = String(said.prefix { $0 != "-" })
    if Self.plain.contains(word) { return true }
    return !Self.http.contains(word) && Self.wellKnown.contains(port)
  }
}

extension AuthorizationPolicy.Rule {
  /// The rule where no request can be asked: one that allows and asks never matches; any other loses what it
  /// asks, and so matches more (Istio documentation, "Authorization Policy", HTTP-only fields;
  /// authz/model/model.go). nil: never.
  func onPlainTCP(_ action: AuthorizationPolicy.Action) -> Self? {
    var rule = self
    rule.from = from.map { source in
      var source = source
      source.requestPrincipals = []
      source.notRequestPrincipals = []
      return source
    }
    rule.to = to.map { AuthorizationPolicy.Operation(ports: $0.ports, notPorts: $0.notPorts) }
    rule.when = when.compactMap { condition in
      switch condition {
      case .source(let source) where source.isAboutTokens: nil
      case .source, .destination: condition
      case .operation(let operation):
        .operation(AuthorizationPolicy.Operation(ports: operation.ports, notPorts: operation.notPorts))
      case .token: nil
      }
    }
    let asks = rule.from != from || rule.to != to || rule.when != when
    return asks && action == .allow ? nil : rule
  }
}

extension AuthorizationPolicy.Source {
  fileprivate var isAboutTokens: Bool { !requestPrincipals.isEmpty || !notRequestPrincipals.isEmpty }
}
