import Policy

func v4(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32) -> IPAddress {
  IPAddress(v4: a << 24 | b << 16 | c << 8 | d)
}

/// fd00::low
func v6(_ low: UInt64) -> IPAddress { IPAddress(bits: UInt128(0xfd00) << 112 | UInt128(low)) }

/// An IPv4 block, its length as people write it.
func block(_ address: IPAddress, _ length: Int, except: [CIDR] = []) -> NetworkPolicy.Peer {
  .ipBlock(NetworkPolicy.IPBlock(cidr: cidr(address, length), except: except))
}

func cidr(_ address: IPAddress, _ length: Int) -> CIDR {
  CIDR(base: address, prefix: address.isV4 ? 96 + length : length)
}

func place(_ line: Int) -> Place { Place(file: "test.yaml", line: line, column: 1) }

func labels(_ pairs: Labels) -> Selector {
  Selector(
    pairs.sorted { $0.key < $1.key }.map {
      Selector.Requirement(key: $0.key, operator: .in, values: [$0.value])
    })
}

func pods(_ pairs: Labels) -> NetworkPolicy.Peer {
  .selector(PeerSelector(namespaces: nil, pods: labels(pairs)))
}

func tcp(_ port: UInt16) -> NetworkPolicy.Port {
  NetworkPolicy.Port(protocol: .tcp, number: .range(port...port))
}

/// A rule whose peers stand on the lines after its own.
func rule(_ peers: [NetworkPolicy.Peer] = [], ports: [NetworkPolicy.Port] = [], line: Int = 10)
  -> NetworkPolicy.Rule
{
  NetworkPolicy.Rule(
    peers: peers, ports: ports, peerPlaces: peers.indices.map { place(line + 1 + $0) },
    place: place(line))
}

/// A set under construction. Names are written `namespace/name`.
struct World {
  var set = PolicySet()
  /// Random AuthorizationPolicies name blocks of addresses.
  var usesBlocks = false
  var evaluator: Evaluator { Evaluator(set) }

  static func name(_ text: String) -> Name {
    let parts = text.split(separator: "/")
    return Name(parts.first.map(String.init) ?? "", parts.last.map(String.init) ?? "")
  }

  mutating func namespace(_ name: String, _ labels: Labels = [:]) {
    let all = labels.merging(["kubernetes.io/metadata.name": name]) { $1 }
    set.namespaces[name] = Namespace(name: name, labels: all, place: place(1))
  }

  mutating func endpoint(
    _ text: String, _ labels: Labels = [:], at addresses: [IPAddress] = [], account: String = "default",
    ports: [NamedPort] = []
  ) {
    let name = World.name(text)
    set.endpoints[name] = Endpoint(
      name: name, labels: labels, addresses: addresses, serviceAccount: account, ports: ports,
      cgroup: text, place: place(1))
  }

  /// Isolates the directions whose rules are not nil.
  mutating func network(
    _ text: String, selects selector: Selector = .everything, ingress: [NetworkPolicy.Rule]? = nil,
    egress: [NetworkPolicy.Rule]? = nil
  ) {
    set.networkPolicies.append(
      NetworkPolicy(
        name: World.name(text), podSelector: selector, ingress: ingress ?? [], egress: egress ?? [],
        isolatesIngress: ingress != nil, isolatesEgress: egress != nil, place: place(1)))
  }

  mutating func authorization(
    _ text: String, _ action: AuthorizationPolicy.Action = .allow, selects selector: Selector? = nil,
    rules: [AuthorizationPolicy.Rule]
  ) {
    set.authorizationPolicies.append(
      AuthorizationPolicy(
        name: World.name(text), selector: selector, action: action, rules: rules, place: place(1)))
  }

  mutating func proxy(_ text: String, takes: PeerSelector? = nil) {
    let name = World.name(text)
    set.proxies[name] = Proxy(
      name: name, kind: .envoy, cgroup: text, addresses: [v4(127, 0, 0, 1)], port: 15006, takes: takes,
      place: place(1))
  }

  /// Everything is on this node; cgroup ids count from 100 in the order of the names.
  var presence: Presence {
    var presence = Presence()
    for (number, name) in set.endpoints.keys.sorted().enumerated() {
      presence.workloads[name] = UInt64(100 + number)
    }
    for (number, name) in set.proxies.keys.sorted().enumerated() {
      presence.proxies[name] = UInt64(10 + number)
    }
    return presence
  }
}

func flow(
  _ from: String, _ to: String, _ port: UInt16 = 80, _ protocol: TransportProtocol = .tcp
) -> Flow {
  Flow(from: .endpoint(World.name(from)), to: .endpoint(World.name(to)), protocol: `protocol`, port: port)
}

func flow(from address: IPAddress, _ to: String, _ port: UInt16 = 80) -> Flow {
  Flow(from: .address(address), to: .endpoint(World.name(to)), protocol: .tcp, port: port)
}

func flow(_ from: String, to address: IPAddress, _ port: UInt16 = 80) -> Flow {
  Flow(from: .endpoint(World.name(from)), to: .address(address), protocol: .tcp, port: port)
}

func networkRule(_ text: String, _ rule: String) -> RuleName {
  RuleName(
    kind: "NetworkPolicy", namespace: World.name(text).namespace, name: World.name(text).name, rule: rule)
}

func authorizationRule(_ text: String, _ rule: String) -> RuleName {
  RuleName(
    kind: "AuthorizationPolicy", namespace: World.name(text).namespace, name: World.name(text).name,
    rule: rule)
}

func authorizationRule(
  from: [AuthorizationPolicy.Source] = [], to: [AuthorizationPolicy.Operation] = []
) -> AuthorizationPolicy.Rule {
  AuthorizationPolicy.Rule(from: from, to: to, place: place(20))
}
