import Policy

/// Builders for the families beside NetworkPolicy and AuthorizationPolicy.
extension World {
  mutating func pod(
    _ text: String, _ labels: Labels = [:], at addresses: [IPAddress] = [], on node: String? = nil,
    hostNetwork: Bool = false, account: String = "default", ports: [NamedPort] = []
  ) {
    endpoint(text, labels, at: addresses, account: account, ports: ports)
    set.endpoints[World.name(text)]?.node = node
    set.endpoints[World.name(text)]?.hostNetwork = hostNetwork
  }

  mutating func node(_ name: String, _ labels: Labels = [:], at addresses: [IPAddress]) {
    set.nodes[name] = Node(name: name, labels: labels, addresses: addresses, place: place(1))
  }

  mutating func admin(
    _ name: String, tier: AdminPolicy.Tier = .admin, priority: Int = 10,
    subject: PeerSelector = PeerSelector(namespaces: .everything, pods: nil),
    ingress: [AdminPolicy.Rule] = [], egress: [AdminPolicy.Rule] = []
  ) {
    set.adminPolicies.append(
      AdminPolicy(
        kind: .clusterNetworkPolicy, name: Name("", name), tier: tier, priority: priority, subject: subject,
        ingress: ingress, egress: egress, place: place(1)))
  }

  /// A spec of a CiliumNetworkPolicy, which selects in its namespace. Isolates as Cilium defaults it, unless
  /// told.
  mutating func cilium(
    _ text: String, selects pods: Selector? = nil, ingress: [CiliumPolicy.Rule] = [],
    ingressDeny: [CiliumPolicy.Rule] = [], egress: [CiliumPolicy.Rule] = [],
    egressDeny: [CiliumPolicy.Rule] = [],
    isolates: Bool = true
  ) {
    let name = World.name(text)
    set.ciliumPolicies.append(
      CiliumPolicy(
        kind: .networkPolicy, name: name,
        subject: .endpoints(PeerSelector(namespaces: namespaced(name.namespace), pods: pods)),
        ingress: ingress,
        ingressDeny: ingressDeny, egress: egress, egressDeny: egressDeny,
        isolatesIngress: isolates && !(ingress.isEmpty && ingressDeny.isEmpty),
        isolatesEgress: isolates && !(egress.isEmpty && egressDeny.isEmpty), place: place(1)))
  }

  /// A clusterwide policy for the processes of nodes.
  mutating func cilium(
    nodes: Selector, _ name: String, ingress: [CiliumPolicy.Rule], egress: [CiliumPolicy.Rule] = []
  ) {
    set.ciliumPolicies.append(
      CiliumPolicy(
        kind: .clusterwide, name: Name("", name), subject: .nodes(nodes), ingress: ingress, egress: egress,
        isolatesIngress: !ingress.isEmpty, isolatesEgress: !egress.isEmpty, place: place(1)))
  }

  mutating func service(_ text: String, selects pods: Labels, ports: [Service.Port]) {
    let name = World.name(text)
    set.services[name] = Service(
      name: name, selector: labels(pods), addresses: [], ports: ports, place: place(1))
  }

  mutating func apiServer(at addresses: [IPAddress]) {
    let name = Name("default", "kubernetes")
    set.slices[name] = EndpointSlice(name: name, service: "kubernetes", addresses: addresses, place: place(1))
  }
}

func namespaced(_ name: String) -> Selector { labels(["kubernetes.io/metadata.name": name]) }

/// Pods anywhere, with such labels.
func everywhere(_ pairs: Labels = [:]) -> Peer {
  .selector(PeerSelector(namespaces: .everything, pods: labels(pairs)))
}

/// Pods of one namespace.
func inNamespace(_ name: String, _ pairs: Labels = [:]) -> Peer {
  .selector(PeerSelector(namespaces: namespaced(name), pods: labels(pairs)))
}

func adminRule(_ action: AdminPolicy.Action, _ peers: [Peer], ports: [PortMatch]? = nil, line: Int = 30)
  -> AdminPolicy.Rule
{
  AdminPolicy.Rule(
    action: action, peers: peers, ports: ports, peerPlaces: peers.indices.map { place(line + 1 + $0) },
    place: place(line))
}

/// - Parameter peers: nil: the rule names none.
func ciliumRule(_ peers: [Peer]? = nil, _ ports: CiliumPolicy.Ports..., line: Int = 40) -> CiliumPolicy.Rule {
  let named = peers?.enumerated().map { index, peer in
    CiliumPolicy.NamedPeer(peer, path: "fromEndpoints[\(index)]", place: place(line + 1 + index))
  }
  return CiliumPolicy.Rule(peers: named, ports: ports, place: place(line))
}

/// One entry of `toPorts`.
func toPorts(_ ports: PortMatch..., http requests: [RequestMatch]? = nil, index: Int = 0)
  -> CiliumPolicy.Ports
{
  CiliumPolicy.Ports(ports: ports, requests: requests, path: "toPorts[\(index)]", place: place(50 + index))
}

func port(_ number: UInt16, to end: UInt16? = nil, _ protocol: TransportProtocol? = .tcp) -> PortMatch {
  PortMatch(protocol: `protocol`, number: .range(number...(end ?? number)))
}

func icmp(_ type: UInt16, _ protocol: TransportProtocol = .icmp) -> CiliumPolicy.Ports {
  CiliumPolicy.Ports(
    ports: [PortMatch(protocol: `protocol`, number: .range(type...type))], requests: nil, path: "icmps[0]",
    place: place(60))
}

func flow(from party: Party, to other: Party, _ port: UInt16 = 80, _ protocol: TransportProtocol = .tcp)
  -> Flow
{
  Flow(from: party, to: other, protocol: `protocol`, port: port)
}

/// An endpoint by its text.
func at(_ text: String) -> Party { .endpoint(World.name(text)) }

extension Evaluator {
  /// The verdict of both sides together, without requests.
  func verdict(_ flow: Flow) -> Verdict {
    let both = [egress(flow).verdict, ingress(flow).verdict]
    return both.contains(.denied) ? .denied : both.contains(.proxied) ? .proxied : .allowed
  }
}
