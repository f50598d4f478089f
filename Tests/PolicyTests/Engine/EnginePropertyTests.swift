import CDatapath
import Testing

@testable import Policy

/// The compiled tables, read as the kernel and a proxy read them, say what the naive evaluator says.
@Suite struct EnginePropertyTests {
  /// One compiled random set and everything needed to ask both sides the same question.
  struct Case {
    var source: RandomWorld
    let evaluator: Evaluator
    let numbers: Numbers
    let reader: TableReader

    init(seed: UInt64) throws {
      source = RandomWorld(seed: seed)
      evaluator = source.world.evaluator
      var numbers = Numbers()
      reader = TableReader(
        try compile(source.world.set, presence: source.presence, numbers: &numbers))
      self.numbers = numbers
    }

    /// The naive answer in the form of the tables. Without a proxy, what would be proxied is refused.
    func expected(_ ruling: Ruling, _ flow: Flow) -> String {
      let rule =
        ruling.rule.map { numbers.rules[$0.description].map(String.init) ?? "unnumbered \($0)" } ?? "0"
      guard ruling.verdict == .proxied else {
        return "\(ruling.verdict) \(ruling.reason) rule \(rule) proxy 0"
      }
      let taker: Proxy? =
        if case .endpoint(let name) = flow.to { evaluator.proxy(for: name) } else { everywhere }
      guard let proxy = taker else { return "denied noProxy rule \(rule) proxy 0" }
      return "proxied l7Rule rule \(rule) proxy \(numbers.proxies[proxy.name.description] ?? 0)"
    }

    /// Some rule is for ICMP and names no type.
    var namesEveryType: Bool {
      var ports: [PortMatch] = []
      for policy in evaluator.set.adminPolicies {
        for rule in policy.ingress + policy.egress { ports += rule.ports ?? [] }
      }
      for policy in evaluator.set.ciliumPolicies {
        let rules = policy.ingress + policy.egress + policy.ingressDeny + policy.egressDeny
        for entry in rules.flatMap(\.ports) { ports += entry.ports }
      }
      return ports.contains { $0.number == .any && $0.speaks(of: .icmp) }
    }

    /// The proxy that takes what is no endpoint.
    var everywhere: Proxy? {
      evaluator.set.proxies.values.filter { $0.takes == nil }.min { $0.name < $1.name }
    }

    func text(_ ruling: weir_ruling) -> String {
      let verdicts: [UInt8: Verdict] = [1: .allowed, 2: .denied, 3: .proxied]
      let verdict = verdicts[ruling.verdict].map { "\($0)" } ?? "?"
      let reason = Reason(rawValue: ruling.reason).map { "\($0)" } ?? "?"
      return "\(verdict) \(reason) rule \(ruling.rule) proxy \(ruling.proxy)"
    }
  }

  /// How one end is known to the kernel, and how the evaluator is asked the same.
  struct Known {
    var party: Party
    var seenAt: IPAddress?
    var class_: UInt32
    var how: String
  }

  /// Every way in which a peer can come: by an address of anybody, or by its cgroup at an address of its own
  /// or not.
  func peer(_ test: inout Case, _ locals: [(Name, weir_workload)]) -> Known {
    let address = test.source.address()
    if !locals.isEmpty, test.source.chance(50) {
      let (name, workload) = locals[test.source.roll(0...(locals.count - 1))]
      let own = test.evaluator.set.endpoints[name]?.addresses.first
      let used = test.source.chance(30) ? own ?? address : address
      return Known(
        party: .endpoint(name), seenAt: used, class_: test.reader.peer(workload, at: used),
        how: "cgroup of \(name)")
    }
    return Known(
      party: test.evaluator.party(at: address), seenAt: address, class_: test.reader.peer(at: address),
      how: "address")
  }

  func compare(_ test: inout Case, _ verdicts: inout [String: Int]) -> [String] {
    var wrong: [String] = []
    let locals = test.source.presence.workloads.sorted { $0.key < $1.key }.compactMap { name, cgroup in
      test.reader.workloads[cgroup].map { (name, $0) }
    }
    for (name, workload) in locals {
      for _ in 0..<12 {
        let peer = peer(&test, locals)
        // The kernel knows a workload's connection to itself by the number, before it asks for classes.
        guard peer.party != .endpoint(name) else { continue }
        for _ in 0..<6 {
          let transport = TransportProtocol.allCases[test.source.chance(60) ? 0 : test.source.roll(1...3)]
          let port = test.source.port()
          var out = Flow(from: .endpoint(name), to: peer.party, protocol: transport, port: port)
          out.toAddress = peer.seenAt
          var `in` = Flow(from: peer.party, to: .endpoint(name), protocol: transport, port: port)
          `in`.fromAddress = peer.seenAt
          for (direction, flow, ruling) in [
            (WEIR_EGRESS, out, test.evaluator.egress(out)),
            (WEIR_INGRESS, `in`, test.evaluator.ingress(`in`)),
          ] {
            let want = test.expected(ruling, flow)
            let got = test.text(
              test.reader.ruling(workload.class_, direction, peer.class_, transport.number, port))
            let words = got.split(separator: " ").prefix(2).joined(separator: " ")
            verdicts[(direction == WEIR_EGRESS ? "egress " : "ingress ") + words, default: 0] += 1
            if want != got {
              wrong.append("\(flow) by \(peer.how): evaluator \(want), tables \(got)")
            }
          }
        }
      }
    }
    return wrong
  }

  @Test func `tables and evaluator agree on verdict, reason, rule and proxy`() throws {
    var verdicts: [String: Int] = [:]
    for seed in UInt64(1)...60 {
      var test = try Case(seed: seed)
      let wrong = compare(&test, &verdicts)
      #expect(wrong.isEmpty, "seed \(seed): \(wrong.count) differ, first: \(wrong.first ?? "")")
      if !wrong.isEmpty { break }
    }
    // The comparison is worth something only where every answer occurs often.
    let answers = [
      "egress allowed notSelected", "egress allowed rule", "egress denied noRule",
      "ingress allowed notSelected",
      "ingress allowed rule", "ingress denied noRule", "ingress denied denyRule", "ingress denied noProxy",
      "ingress proxied l7Rule",
    ]
    for answer in answers { #expect(verdicts[answer, default: 0] > 100, "\(answer): \(verdicts)") }
  }

  @Test func `a protocol that no rule can name gets what rules without ports say`() throws {
    for seed in UInt64(1)...30 {
      let test = try Case(seed: seed)
      for (key, _) in test.reader.tables.pairs {
        // No random rule has this ICMP type, so it must be answered alike.
        let other = test.reader.ruling(
          key.subject, weir_direction(rawValue: key.direction), key.peer, 47, 80)
        guard !test.namesEveryType else { continue }
        let icmp = test.reader.ruling(
          key.subject, weir_direction(rawValue: key.direction), key.peer, TransportProtocol.icmp.number, 80)
        #expect(test.text(other) == test.text(icmp))
      }
    }
  }

  @Test func `no key of a trie stands twice or has bits beyond its prefix`() throws {
    for seed in UInt64(1)...60 {
      let reader = try Case(seed: seed).reader
      #expect(reader.addresses.duplicates == 0 && reader.ports.duplicates == 0)
      #expect(reader.addresses.untidy == 0 && reader.ports.untidy == 0)
      #expect(
        Set(reader.tables.pairs.map { [$0.key.subject, $0.key.peer, $0.key.direction] }).count
          == reader.tables.pairs.count)
      #expect(
        Set(reader.tables.cells.map { [$0.key.class_, $0.key.cell] }).count == reader.tables.cells.count)
    }
  }

  @Test func `an identity without addresses is judged by who it is`() throws {
    for seed in UInt64(1)...60 {
      var test = try Case(seed: seed)
      let set = test.evaluator.set
      for (name, cgroup) in test.source.presence.workloads {
        guard let subject = test.reader.workloads[cgroup] else { continue }
        for peer in set.endpoints.values
        where !peer.hostNetwork && peer.name != name && peer.addresses.isEmpty {
          var numbers = test.numbers
          let identity = numbers.identity(
            namespace: peer.name.namespace, labels: peer.labels, serviceAccount: peer.serviceAccount)
          let entry = try #require(test.reader.identities[identity])
          let port = test.source.port()
          let flow = Flow(from: .endpoint(peer.name), to: .endpoint(name), protocol: .tcp, port: port)
          let got = test.reader.ruling(subject.class_, WEIR_INGRESS, entry.class_, 6, port)
          #expect(test.text(got) == test.expected(test.evaluator.ingress(flow), flow))
        }
      }
    }
  }

  /// A workload of this node at one address, as the kernel sees it.
  struct End {
    var name: Name
    var workload: weir_workload
    var address: IPAddress
  }

  func ends(_ test: inout Case) -> [End] {
    let locals = test.source.presence.workloads.sorted { $0.key < $1.key }
    return locals.compactMap { name, cgroup in
      guard let workload = test.reader.workloads[cgroup] else { return nil }
      let own = test.evaluator.set.endpoints[name]?.addresses.first
      let loopback = v4(127, 0, 0, 1)
      return End(name: name, workload: workload, address: test.source.chance(50) ? own ?? loopback : loopback)
    }
  }

  /// What the proxy says of one request of a flow that the kernel would turn to it; nil where it would not.
  func asked(_ test: Case, _ flow: Flow, _ from: End, _ to: End, _ request: Request) -> Bool? {
    let out = test.reader.ruling(
      from.workload.class_, WEIR_EGRESS, test.reader.peer(to.workload, at: to.address), 6, flow.port)
    let `in` = test.reader.ruling(
      to.workload.class_, WEIR_INGRESS, test.reader.peer(from.workload, at: from.address), 6, flow.port)
    let denied = UInt8(WEIR_DENIED.rawValue)
    let proxied = UInt8(WEIR_PROXIED.rawValue)
    guard out.verdict != denied, `in`.verdict != denied, out.verdict == proxied || `in`.verdict == proxied else {
      return nil
    }
    let deciding = `in`.verdict == proxied ? `in` : out
    let target = `in`.verdict == proxied ? to.workload.target : out.target
    let name = test.numbers.proxies.first { $0.value == UInt32(deciding.proxy) }?.key ?? ""
    let told = L7Reader(rules: test.reader.tables.l7[World.name(name)] ?? [])
    return told.allows(request, from: from.workload.identity, to: target, port: flow.port) { $0.matches($1) }
  }

  @Test func `what a proxy is told is what the evaluator says of each request`() throws {
    var counts: [String: Int] = [:]
    for seed in UInt64(1)...160 {
      var test = try Case(seed: seed)
      let exact = !test.source.world.usesBlocks && test.evaluator.set.slices.isEmpty
      let ends = ends(&test)
      for from in ends {
        for to in ends where to.name != from.name {
          for _ in 0..<20 {
            var flow = Flow(
              from: .endpoint(from.name), to: .endpoint(to.name), protocol: .tcp, port: test.source.port())
            flow.fromAddress = from.address
            flow.toAddress = to.address
            let request = test.source.request()
            guard let passes = asked(test, flow, from, to, request) else { continue }
            let ruling = test.evaluator.l7(flow, request)
            let allowed = ruling.verdict == .allowed
            let sides = "\(test.evaluator.egress(flow).verdict == .proxied ? "egress" : "ingress")"
            counts["\(sides) \(passes)", default: 0] += 1
            // The proxy sees who calls but not from which address: where that makes a difference, it is told what all
            // of the addresses may do.
            #expect(passes == allowed || (!exact && allowed), "seed \(seed): \(flow) \(request) \(ruling)")
          }
        }
      }
    }
    for answer in ["egress true", "egress false", "ingress true", "ingress false"] {
      #expect(counts[answer, default: 0] > 200, "\(answer): \(counts)")
    }
  }
}
