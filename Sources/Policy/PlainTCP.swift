extension PolicySet {
  /// The ports of an endpoint where requests cannot be read, because a Service says that they speak something else than
  /// HTTP, ascending.
  func plainTCPPorts(of endpoint: Endpoint) -> [UInt16] {
    var found: Set<UInt16> = []
    for service in services.values where service.name.namespace == endpoint.name.namespace {
      guard let selector = service.selector, selector.matches(endpoint.labels) else { continue }
      for port in service.ports where port.protocol == .tcp && port.isPlainTCP {
        switch port.target {
        case .range(let range): found.insert(range.lowerBound)
        case .any: found.insert(port.port)
        case .named(let name):
          for own in endpoint.ports where own.name == name && own.protocol == .tcp { found.insert(own.port) }
        }
      }
    }
    return found.sorted()
  }
}

extension Service.Port {
  /// Istio's explicit protocol selection: `appProtocol`, else the port's name up to its first `-`.
  var isPlainTCP: Bool {
    let word = appProtocol ?? name.map { String($0.prefix { $0 != "-" }) } ?? ""
    return ["tcp", "tls", "https", "mongo", "mysql", "redis"].contains(word.lowercased())
  }
}
