import CDatapath
import Testing

@testable import Policy

/// What the entries are, where the random comparison only sees what they answer.
@Suite struct EngineCompileTests {
  static func tables(_ world: World, _ presence: Presence? = nil) throws -> TableReader {
    var numbers = Numbers()
    return TableReader(try compile(world.set, presence: presence ?? world.presence, numbers: &numbers))
  }

  func workload(_ reader: TableReader, _ world: World, _ name: String) throws -> weir_workload {
    let cgroup = try #require(world.presence.workloads[World.name(name)])
    return try #require(reader.workloads[cgroup])
  }

  @Test func `without policies nobody is told from anybody and nothing is judged`() throws {
    let world = EngineNetworkPolicyTests.shop
    let reader = try Self.tables(world)
    #expect(reader.tables.workloads.count == 5)
    #expect(reader.tables.workloads.allSatisfy { $0.value.class_ == 0 && $0.value.workload > 0 })
    #expect(reader.tables.addresses.allSatisfy { $0.value.class_ == 0 && $0.value.subject == 0 })
    #expect(reader.tables.pairs.isEmpty && reader.tables.ports.isEmpty && reader.tables.cells.isEmpty)
  }

  @Test func `endpoints that every rule treats alike are one class`() throws {
    var world = EngineNetworkPolicyTests.shop
    world.endpoint("shop/web2", ["app": "web"], at: [v4(10, 0, 0, 7)])
    world.network("shop/p", selects: labels(["app": "db"]), ingress: [rule([pods(["app": "web"])])])
    let reader = try Self.tables(world)
    let web = reader.peer(at: v4(10, 0, 0, 1))
    #expect(web != 0)
    #expect(reader.peer(at: v4(10, 0, 0, 7)) == web)
    #expect(reader.peer(at: v4(10, 0, 0, 2)) == 0)
    #expect(try workload(reader, world, "shop/web").class_ == web)
    // Selected, so its class as a subject is not 0, though as a peer nobody tells it from others.
    let db = try workload(reader, world, "shop/db").class_
    #expect(db != 0 && reader.address(v4(10, 0, 0, 3))?.class_ == 0)
    #expect(reader.address(v4(10, 0, 0, 3))?.subject == db)
    #expect(
      reader.tables.pairs.map { [$0.key.subject, $0.key.peer, $0.key.direction] } == [
        [db, 0, 2], [db, web, 2],
      ])
  }

  @Test func `a policy that selects nobody here makes no entry`() throws {
    var world = EngineNetworkPolicyTests.shop
    world.network("shop/p", selects: labels(["app": "db"]), ingress: [rule([block(v4(10, 0, 0, 0), 8)])])
    var presence = world.presence
    presence.workloads[Name("shop", "db")] = nil
    let reader = try Self.tables(world, presence)
    #expect(reader.tables.pairs.isEmpty)
    #expect(reader.tables.workloads.count == 4)
    let db = try #require(reader.address(v4(10, 0, 0, 3)))
    #expect(db.workload > 0 && db.identity > 0 && db.subject == 0 && db.cell == 0)
  }

  @Test func `addresses are cut exactly where the set of ipBlocks changes`() {
    let wide = NetworkPolicy.IPBlock(
      cidr: cidr(v4(10, 0, 0, 0), 8), except: [cidr(v4(10, 1, 0, 0), 16), cidr(v4(10, 1, 2, 0), 24)])
    let inner = NetworkPolicy.IPBlock(cidr: cidr(v4(10, 2, 0, 0), 16), except: [])
    let hole = NetworkPolicy.IPBlock(cidr: cidr(v4(10, 2, 3, 0), 24), except: [cidr(v4(10, 2, 3, 4), 32)])
    let cells = Cells([wide, inner, hole].enumerated().map { (4 + $0, [$1.cidr], $1.except) })
    // 10.1.2.0/24 is excepted twice and changes nothing.
    #expect(
      cells.entries.map(\.prefix) == [
        cidr(v4(10, 0, 0, 0), 8), cidr(v4(10, 1, 0, 0), 16), cidr(v4(10, 2, 0, 0), 16),
        cidr(v4(10, 2, 3, 0), 24),
        cidr(v4(10, 2, 3, 4), 32),
      ])
    func blocks(_ address: IPAddress) -> [Int] { cells.blocks[cells.cell(of: address)].members }
    #expect(blocks(v4(10, 200, 0, 1)) == [4])
    #expect(blocks(v4(10, 1, 2, 3)) == [])
    #expect(blocks(v4(10, 2, 0, 1)) == [4, 5])
    #expect(blocks(v4(10, 2, 3, 1)) == [4, 5, 6])
    #expect(cells.cell(of: v4(10, 2, 3, 4)) == cells.cell(of: v4(10, 2, 9, 9)))
    #expect(cells.cell(of: v4(11, 0, 0, 0)) == 0)
  }

  @Test func `an IPv6 block around the mapped addresses ends where IPv4 begins`() {
    let cells = Cells([(atom: 0, blocks: [CIDR(base: IPAddress(bits: 0), prefix: 0)], except: [])])
    #expect(cells.cell(of: v6(1)) != 0)
    #expect(cells.cell(of: v4(1, 2, 3, 4)) == 0)
    #expect(cells.entries.map(\.prefix.prefix) == [0, 96])
  }

  @Test func `a local peer on an address that is not its own is judged by who it is and by that address`()
    throws
  {
    var world = EngineNetworkPolicyTests.shop
    world.network(
      "shop/p", selects: labels(["app": "db"]),
      ingress: [
        rule([pods(["app": "web"])], ports: [tcp(1)]), rule([block(v4(127, 0, 0, 0), 8)], ports: [tcp(2)]),
      ])
    let reader = try Self.tables(world)
    let db = try workload(reader, world, "shop/db")
    func verdicts(_ name: String, at address: IPAddress) throws -> [UInt8] {
      let peer = reader.peer(try workload(reader, world, name), at: address)
      return [1, 2, 3].map { reader.ruling(db.class_, WEIR_INGRESS, peer, 6, $0).verdict }
    }
    #expect(try verdicts("shop/web", at: v4(127, 0, 0, 1)) == [1, 1, 2])
    #expect(try verdicts("shop/api", at: v4(127, 0, 0, 1)) == [2, 1, 2])
    #expect(try verdicts("shop/web", at: v4(10, 0, 0, 2)) == [1, 2, 2])
    #expect(reader.peer(at: v4(127, 9, 9, 9)) != 0)
  }

  @Test func `an identity names its workload only while it has just one`() throws {
    var world = World()
    world.endpoint("a/x", ["app": "x"])
    world.endpoint("a/y", ["app": "y"])
    world.endpoint("a/z", ["app": "y"])
    let reader = try Self.tables(world)
    let values = reader.tables.identities.map(\.value.workload)
    #expect(reader.tables.identities.map(\.key) == [1, 2])
    #expect(values == [try workload(reader, world, "a/x").workload, 0])
  }

  @Test func `a proxy is known by its cgroup, and taken also while it is not here`() throws {
    var world = EngineAuthorizationPolicyTests.shop
    world.proxy("shop/envoy")
    world.authorization(
      "shop/a", selects: labels(["app": "api"]),
      rules: [
        authorizationRule(to: [EngineAuthorizationPolicyTests.gets])
      ])
    let here = try Self.tables(world)
    let proxy = try #require(here.workloads[10])
    #expect(proxy.kind == UInt8(WEIR_KIND_PROXY.rawValue) && proxy.proxy == 1 && proxy.workload == 0)
    let value = try #require(here.tables.proxies.first?.value)
    #expect(IPAddress(wire: value.addr4) == v4(127, 0, 0, 1))
    #expect(IPAddress(wire: value.addr6).bits == 0 && UInt16(bigEndian: value.port) == 15006)
    let api = try workload(here, world, "shop/api")
    #expect(api.target == 1)
    #expect(try workload(here, world, "shop/web").target == 0)
    var presence = world.presence
    presence.proxies = [:]
    let gone = try Self.tables(world, presence)
    #expect(gone.workloads[10] == nil)
    let ruling = gone.ruling(api.class_, WEIR_INGRESS, 0, 6, 80)
    #expect(ruling.verdict == UInt8(WEIR_PROXIED.rawValue) && ruling.proxy == 1)
  }

  @Test func `where no proxy takes a flow that requests decide, the tables refuse it`() throws {
    var world = EngineAuthorizationPolicyTests.shop
    world.authorization("shop/a", rules: [authorizationRule(to: [EngineAuthorizationPolicyTests.gets])])
    let reader = try Self.tables(world)
    let api = try workload(reader, world, "shop/api")
    let ruling = reader.ruling(api.class_, WEIR_INGRESS, 0, 6, 80)
    #expect(ruling.reason == UInt8(WEIR_REASON_NO_PROXY.rawValue) && ruling.rule > 0)
    #expect(api.target == 0)
  }

  @Test func `a range of ports is at most 30 prefixes and exactly the range`() {
    #expect(PortsFunction.prefixes(1...65534).count == 30)
    #expect(PortsFunction.prefixes(0...65535).map(\.bits) == [0])
    #expect(PortsFunction.prefixes(80...80).map(\.bits) == [16])
    for range: ClosedRange<UInt16> in [1...65534, 32000...32768, 1024...65535, 0...0, 65535...65535, 5...9] {
      let ports = PortsFunction.prefixes(range).flatMap { prefix in
        (Int(prefix.port)..<Int(prefix.port) + 1 << (16 - prefix.bits)).map { $0 }
      }
      #expect(ports == range.map(Int.init))
    }
  }

  @Test func `equal functions are kept once, and the answer of most ports is the protocol's default`() throws
  {
    var world = EngineNetworkPolicyTests.shop
    let all = NetworkPolicy.Port(protocol: .tcp, number: .range(1...65535))
    world.network(
      "shop/p", selects: labels(["app": "db"]), ingress: [rule([pods(["app": "web"])], ports: [all])])
    let reader = try Self.tables(world)
    // The function of everybody: one default. The function of web: a default, TCP's default, and port 0.
    #expect(reader.tables.ports.map(\.key.prefixlen) == [32, 32, 48, 64])
    #expect(Set(reader.tables.ports.map(\.key.ports)) == [1, 2])
  }

  @Test func `the same set gives the same tables, in whatever order its files came`() throws {
    for seed in UInt64(1)...20 {
      let source = RandomWorld(seed: seed)
      var turned = source.world.set
      turned.networkPolicies.reverse()
      turned.authorizationPolicies.reverse()
      func dump(_ set: PolicySet) throws -> (String, Numbers) {
        var numbers = Numbers()
        let tables = try compile(set, presence: source.presence, numbers: &numbers)
        let l7 = tables.l7.sorted { $0.key < $1.key }
        return (
          "\(tables.workloads)\(tables.addresses)\(tables.cells)\(tables.identities)\(tables.proxies)"
            + "\(tables.pairs)\(tables.ports)\(l7)", numbers
        )
      }
      let (first, numbers) = try dump(source.world.set)
      let (second, others) = try dump(turned)
      #expect(first == second && numbers == others)
    }
  }

  @Test func `a number that is known stays, whatever comes before it`() throws {
    var world = EngineNetworkPolicyTests.shop
    world.network("shop/p", ingress: [rule([pods(["app": "web"])])])
    var numbers = Numbers()
    _ = try compile(world.set, presence: world.presence, numbers: &numbers)
    let before = numbers
    world.endpoint("aaa/first", ["app": "web"])
    world.network("aaa/p", ingress: [])
    _ = try compile(world.set, presence: world.presence, numbers: &numbers)
    #expect(numbers.workloads.count == before.workloads.count + 1)
    #expect(before.workloads.allSatisfy { numbers.workloads[$0.key] == $0.value })
    #expect(before.rules.allSatisfy { numbers.rules[$0.key] == $0.value })
    #expect(before.identities.allSatisfy { numbers.identities[$0.key] == $0.value })
  }

  @Test func `more targets or proxies than numbers is an error that changes nothing`() throws {
    var world = EngineAuthorizationPolicyTests.shop
    world.proxy("shop/envoy")
    world.authorization("shop/a", rules: [authorizationRule(to: [EngineAuthorizationPolicyTests.gets])])
    var numbers = Numbers()
    for number in 1...1023 { _ = numbers.target(Name("gone", "\(number)")) }
    let before = numbers
    let error = #expect(throws: CompileError.self) {
      try compile(world.set, presence: world.presence, numbers: &numbers)
    }
    #expect(error?.description == "targets: shop/api would be number 1024, the limit is 1023")
    #expect(numbers == before)
    var proxies = Numbers()
    for number in 1...255 { _ = proxies.proxy(Name("gone", "\(number)")) }
    let second = #expect(throws: CompileError.self) {
      try compile(world.set, presence: world.presence, numbers: &proxies)
    }
    #expect(second?.description == "proxies: Proxy shop/envoy would be number 256, the limit is 255")
  }
}
