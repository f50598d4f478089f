import CDatapath
import Policy

/// Every probe that could be made of a generation: two classes of workloads of this node, a port, a family. Kept as
/// numbers, because there may be millions.
struct ProbeSpace {
  /// Workloads that no rule tells apart stand together.
  let classes: [[Name]]
  let ports: [(protocol: TransportProtocol, port: UInt16)]
  private let families: [Bool]
  /// Also from a process that is nobody's.
  private let withNobody: Bool

  init(_ inForce: Agent.InForce, v6: Bool, withNobody: Bool) {
    let names = Dictionary(inForce.presence.workloads.map { ($1, $0) }, uniquingKeysWith: min)
    var members: [UInt64: [Name]] = [:]
    for (cgroup, row) in inForce.entries.workloads where UInt32(row.kind) == WEIR_KIND_WORKLOAD.rawValue {
      guard let name = names[cgroup] else { continue }
      members[UInt64(row.class_) << 8 | UInt64(row.flags), default: []].append(name)
    }
    classes = members.sorted { $0.key < $1.key }.map { $0.value.sorted() }
    let set = inForce.candidate.set
    ports = ProbedPorts(set, here: Set(names.values)).all
    families = v6 ? [false, true] : [false]
    // Whoever declares the address would be taken for the sender.
    let isNobodys = [Probe(to: Name("", ""), isV6: false), Probe(to: Name("", ""), isV6: true)].allSatisfy {
      if case .address = set.party(at: $0.address) { true } else { false }
    }
    self.withNobody = withNobody && isNobodys
  }

  private var sources: Int { classes.count + (withNobody ? 1 : 0) }
  var count: Int { sources * classes.count * ports.count * families.count }

  /// A number for the two classes of a probe.
  func pair(_ index: Int) -> Int { index / (ports.count * families.count) }

  /// nil where it would be a workload to itself, which is always allowed.
  /// - Parameter turn: which of a class's members.
  func probe(_ index: Int, turn: Int) -> Probe? {
    let (pair, rest) = index.quotientAndRemainder(dividingBy: ports.count * families.count)
    let (from, to) = pair.quotientAndRemainder(dividingBy: classes.count)
    let destination = member(of: to, turn)
    var source = from < classes.count ? member(of: from, turn) : nil
    if source == destination { source = member(of: from, turn + 1) }
    if source == destination { return nil }
    let (port, family) = rest.quotientAndRemainder(dividingBy: families.count)
    return Probe(
      from: source, to: destination, protocol: ports[port].protocol, port: ports[port].port, isV6: families[family])
  }

  private func member(of number: Int, _ turn: Int) -> Name { classes[number][turn % classes[number].count] }
}

extension Probe {
  fileprivate init(to: Name, isV6: Bool) { self.init(from: nil, to: to, protocol: .tcp, port: 1, isV6: isV6) }
}

/// The indices 0..<count, each once, in an order that a seed determines; without an array of them.
struct Permutation: Sequence, IteratorProtocol {
  private let count: Int
  private let stride: Int
  private var position: Int
  private(set) var taken = 0

  init(_ count: Int, seed: UInt64) {
    self.count = count
    var random = SplitMix(state: seed)
    position = count > 0 ? Int(random.next() % UInt64(count)) : 0
    var stride = count > 0 ? 1 + Int(random.next() % UInt64(count)) : 1
    while Permutation.divisor(stride, count) != 1 { stride += 1 }
    self.stride = stride
  }

  mutating func next() -> Int? {
    if taken == count { return nil }
    taken += 1
    defer { position = (position + stride) % count }
    return position
  }

  private static func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : divisor(b, a % b) }
}

/// Steele, Lea and Flood's generator: the same numbers for the same seed, on every machine.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// The ports at which rules may change their mind: those that policies and workloads name, the neighbours of ranges, and
/// one of each protocol that nobody names.
struct ProbedPorts {
  private struct Port: Hashable, Comparable {
    var `protocol`: TransportProtocol
    var port: UInt16
    static func < (a: Port, b: Port) -> Bool {
      (a.protocol.rawValue, a.port) < (b.protocol.rawValue, b.port)
    }
  }

  private var found: Set<Port> = []

  /// By protocol and number.
  var all: [(protocol: TransportProtocol, port: UInt16)] { found.sorted().map { ($0.protocol, $0.port) } }

  init(_ set: PolicySet, here: Set<Name>) {
    for policy in set.networkPolicies {
      for rule in policy.ingress + policy.egress { add(rule.ports) }
    }
    for policy in set.adminPolicies {
      for rule in policy.ingress + policy.egress { add(rule.ports ?? []) }
    }
    for policy in set.ciliumPolicies {
      for rule in policy.ingress + policy.ingressDeny + policy.egress + policy.egressDeny {
        for entry in rule.ports { add(entry.ports) }
      }
    }
    for policy in set.authorizationPolicies {
      for rule in policy.rules {
        for operation in rule.to { add(operation) }
        for case .operation(let operation) in rule.when { add(operation) }
      }
    }
    for endpoint in here.compactMap({ set.endpoints[$0] }) {
      for port in endpoint.ports { add(port.protocol, port.port) }
    }
    for proto in [TransportProtocol.tcp, .udp] {
      let free = (UInt16(20_000)...60_000).first { !found.contains(Port(protocol: proto, port: $0)) }
      add(proto, free ?? 20_000)
    }
  }

  private mutating func add(_ proto: TransportProtocol, _ port: UInt16) {
    guard port != 0, proto == .tcp || proto == .udp else { return }
    found.insert(Port(protocol: proto, port: port))
  }

  private mutating func add(_ operation: AuthorizationPolicy.Operation) {
    for port in operation.ports + operation.notPorts { add(.tcp, port) }
  }

  private mutating func add(_ ports: [PortMatch]) {
    for match in ports {
      guard case .range(let range) = match.number else { continue }
      for proto in match.protocol.map({ [$0] }) ?? [.tcp, .udp] {
        add(proto, range.lowerBound)
        if range.count == 1 { continue }
        add(proto, range.upperBound)
        add(proto, range.lowerBound &- 1)
        add(proto, range.upperBound &+ 1)
      }
    }
  }
}
