import CDatapath
import Testing

@testable import Policy

/// The rows and flags of managed subtrees.
@Suite struct EngineSubtreeTests {
  private static func subtree(
    _ name: String, unidentified: Subtree.Answer? = nil, onFault: Subtree.Answer = .refuse, audit: Bool = false
  ) -> Subtree {
    Subtree(
      name: name, cgroup: name, unidentified: unidentified, onFault: onFault, audit: audit, place: place(1))
  }

  /// web and db in the subtree `pods` (cgroup id 900), which is all there is.
  private func rows(_ subtree: Subtree, policy: Bool) throws -> TableReader {
    var world = World()
    world.endpoint("shop/web", ["app": "web"], at: [v4(10, 0, 0, 1)])
    world.endpoint("shop/db", ["app": "db"], at: [v4(10, 0, 0, 2)])
    if policy { world.network("shop/p", selects: labels(["app": "db"]), ingress: [rule([pods(["app": "web"])])]) }
    world.set.subtrees[subtree.name] = subtree
    var presence = world.presence
    presence.subtrees = ["pods": 900]
    presence.subtreeOf = [Name("shop", "web"): "pods"]
    var numbers = Numbers()
    return TableReader(try compile(world.set, presence: presence, numbers: &numbers))
  }

  @Test(arguments: [
    (nil, false, true), (nil, true, false), (.allow, true, true), (.allow, false, true), (.refuse, true, false),
    (.refuse, false, false),
  ] as [(Subtree.Answer?, Bool, Bool)])
  func `who is not identified is refused if the subtree says so, or says nothing while there is a policy`(
    setting: Subtree.Answer?, policy: Bool, admits: Bool
  ) throws {
    let row = try #require(try rows(Self.subtree("pods", unidentified: setting), policy: policy).workloads[900])
    #expect(UInt32(row.kind) == WEIR_KIND_SUBTREE.rawValue)
    #expect(row.workload == 0 && row.identity == 0 && row.class_ == 0)
    #expect((UInt32(row.flags) & WEIR_FLAG_ADMIT.rawValue != 0) == admits)
  }

  @Test func `audit and what a fault does stand in the rows of the subtree and of those in it, and of no others`() throws {
    for (audit, onFault) in [(false, .refuse), (true, .refuse), (false, .allow), (true, .allow)] as [(Bool, Subtree.Answer)] {
      let wanted = UInt8((audit ? WEIR_FLAG_AUDIT.rawValue : 0) | (onFault == .allow ? WEIR_FLAG_FAIL_OPEN.rawValue : 0))
      let reader = try rows(Self.subtree("pods", unidentified: .refuse, onFault: onFault, audit: audit), policy: true)
      #expect(reader.workloads[900]?.flags == wanted)
      let web = try #require(reader.address(v4(10, 0, 0, 1)))
      let db = try #require(reader.address(v4(10, 0, 0, 2)))
      #expect(reader.workloads.values.first { $0.workload == web.workload }?.flags == wanted)
      #expect(reader.workloads.values.first { $0.workload == db.workload }?.flags == 0)
      #expect(web.flags == wanted && db.flags == 0)
      #expect(reader.identities[web.identity]?.flags == wanted && reader.identities[db.identity]?.flags == 0)
    }
  }

  @Test func `a Subtree whose cgroup is not there has no row`() throws {
    var world = World()
    world.set.subtrees["pods"] = Self.subtree("pods", unidentified: .refuse)
    var numbers = Numbers()
    #expect(try compile(world.set, presence: Presence(), numbers: &numbers).workloads.isEmpty)
  }

  @Test func `a Pod on the host's network is let alone in a subtree, as the node's`() throws {
    var world = World()
    world.endpoint("kube-system/proxy", ["app": "proxy"], at: [v4(10, 0, 0, 9)])
    world.network("kube-system/p", selects: labels([:]), ingress: [])
    world.set.endpoints[Name("kube-system", "proxy")]?.hostNetwork = true
    world.set.subtrees["pods"] = Self.subtree("pods")
    var numbers = Numbers()
    let presence = Presence(
      workloads: [Name("kube-system", "proxy"): 7], subtrees: ["pods": 900],
      subtreeOf: [Name("kube-system", "proxy"): "pods"])
    let reader = TableReader(try compile(world.set, presence: presence, numbers: &numbers))
    let row = try #require(reader.workloads[7])
    #expect(UInt32(row.kind) == WEIR_KIND_SUBTREE.rawValue && UInt32(row.flags) & WEIR_FLAG_ADMIT.rawValue != 0)
    #expect(reader.workloads[900]?.flags == 0)
  }
}
