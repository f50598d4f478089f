/// What the families have in common: who a peer means, and which ports.
extension Evaluator {
  /// - Parameter namespace: the policy's own, for a selector without one.
  func matches(_ peer: Peer, from namespace: String, _ question: Question) -> Bool {
    let other = question.peer
    switch peer {
    case .selector(let selector):
      return other.endpoint.map { set.matches(selector, from: namespace, $0) } ?? false
    case .ipBlock(let block): return other.addresses.contains { block.contains($0) }
    case .outside(let block): return other.isOutside && other.addresses.contains { block.contains($0) }
    case .nodes(let selector): return other.node.map { selector.matches($0.labels) } ?? false
    case .entity(let entity): return matches(entity, question)
    }
  }

  /// Cilium documentation, "Layer 3 policies", Entities based.
  private func matches(_ entity: Entity, _ question: Question) -> Bool {
    let other = question.peer
    switch entity {
    case .all: return true
    case .world: return other.isOutside
    case .worldIPv4: return other.isOutside && other.addresses.contains { $0.isV4 }
    case .worldIPv6: return other.isOutside && other.addresses.contains { !$0.isV4 }
    case .cluster: return !other.isOutside
    case .host: return question.isOwnNode
    case .remoteNode: return other.node != nil && !question.isOwnNode
    case .kubeAPIServer:
      return (other.addresses + (other.endpoint?.addresses ?? [])).contains(where: apiServer.contains)
    case .health, .`init`, .ingress, .unmanaged, .none: return false
    }
  }

  func matches(_ ports: [PortMatch], _ question: Question) -> Bool {
    ports.contains { port in
      guard port.speaks(of: question.protocol) else { return false }
      switch port.number {
      case .any: return true
      case .range(let range): return range.contains(question.port)
      case .named(let name):
        // A name stands for the port of the endpoint that serves.
        let serving = question.direction == .ingress ? question.subject : question.peer.endpoint
        let wanted = NamedPort(name: name, port: question.port, protocol: question.protocol)
        return serving?.ports.contains(wanted) ?? false
      }
    }
  }
}

extension Evaluator.OtherEnd {
  /// Neither an endpoint nor a node.
  var isOutside: Bool { endpoint == nil && node == nil }
}

extension PolicySet {
  /// Of the EndpointSlices of the Service default/kubernetes, which the API server keeps for itself.
  var apiServerAddresses: Set<IPAddress> {
    Set(
      slices.values.filter { $0.name.namespace == "default" && $0.service == "kubernetes" }.flatMap(
        \.addresses))
  }

  /// Who an address belongs to: the first endpoint by name that declares it, then the first node.
  public func party(at address: IPAddress) -> Party {
    let owners = endpoints.values.filter { !$0.hostNetwork && $0.addresses.contains(address) }
    if let first = owners.map(\.name).min() { return .endpoint(first) }
    let nodes = nodes.values.filter { $0.addresses.contains(address) }
    return nodes.map(\.name).min().map { .node($0) } ?? .address(address)
  }
}
