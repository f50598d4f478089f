import CDatapath
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  @Suite struct Proxies {
    static let hooks: Set<String> = [
      "bind4", "bind6", "getpeername4", "getpeername6", "getsockopt", "setsockopt",
    ]

    /// The links that are on a proxy's cgroup, by name.
    private func links(_ lab: Lab, at path: String) throws -> [String: AttachedProgram] {
      let id = try #require(Cgroup.id(path))
      let programs = try lab.datapath().programs().filter { $0.cgroupId == id }
      return Dictionary(uniqueKeysWithValues: programs.map { ($0.name, $0) })
    }

    @Test func `a proxy's programs are on its own cgroup only`() throws {
      try Lab.use { lab in
        let envoy = try lab.cgroup("shop/envoy")
        let web = try lab.cgroup("shop/web")
        try lab.datapath().attach(proxy: 3, cgroup: envoy)
        let links = try links(lab, at: envoy)
        #expect(Set(links.keys) == Self.hooks)
        #expect(links.values.allSatisfy { $0.effective && $0.hook == "cgroup/\($0.name)" })
        #expect(try Lab.attached(web) == 8)
      }
    }

    @Test func `attaching a proxy twice keeps its links`() throws {
      try Lab.use { lab in
        let envoy = try lab.cgroup("envoy")
        try lab.datapath().attach(proxy: 3, cgroup: envoy)
        let before = try links(lab, at: envoy).mapValues(\.linkId)
        try lab.datapath().attach(proxy: 3, cgroup: envoy)
        #expect(try links(lab, at: envoy).mapValues(\.linkId) == before)
        #expect(try Lab.attached(envoy) == 14)
      }
    }

    @Test func `a proxy that moves takes its programs along`() throws {
      try Lab.use { lab in
        let (old, new) = (try lab.cgroup("old"), try lab.cgroup("new"))
        try lab.datapath().attach(proxy: 3, cgroup: old)
        try lab.datapath().attach(proxy: 3, cgroup: new)
        #expect(try links(lab, at: old).isEmpty)
        #expect(try Lab.attached(old) == 8)
        #expect(try Set(links(lab, at: new).keys) == Self.hooks)
      }
    }

    @Test func `only the proxies that are kept stay attached`() throws {
      try Lab.use { lab in
        let (one, two) = (try lab.cgroup("one"), try lab.cgroup("two"))
        try lab.datapath().attach(proxy: 1, cgroup: one)
        try lab.datapath().attach(proxy: 12, cgroup: two)
        try lab.datapath().keepProxies([12])
        #expect(try links(lab, at: one).isEmpty)
        #expect(try links(lab, at: two).count == Self.hooks.count)
        try lab.datapath().keepProxies([])
        #expect(try Lab.attached(two) == 8)
      }
    }

    @Test func `the next start adopts proxies and drops those whose cgroup is gone`() throws {
      try Lab.use { lab in
        let (stays, goes) = (try lab.cgroup("stays"), try lab.cgroup("goes"))
        try lab.datapath().attach(proxy: 1, cgroup: stays)
        try lab.datapath().attach(proxy: 2, cgroup: goes)
        let before = try links(lab, at: stays)
        lab.drop()
        #expect(rmdir(goes) == 0)
        _ = try lab.datapath()
        let after = try links(lab, at: stays)
        #expect(after.mapValues(\.linkId) == before.mapValues(\.linkId))
        for (name, program) in after { #expect(program.programId != before[name]?.programId) }
        // The kernel takes a removed cgroup's programs off a moment later; the pins may be dead or gone by
        // then.
        #expect(try lab.datapath().programs().allSatisfy { $0.effective })
      }
    }

    @Test func `a proxy's cgroup must be below the hierarchy's root`() throws {
      try Lab.use { lab in
        let datapath = try lab.datapath()
        for path in [try Cgroup.mount(), "/tmp", "\(lab.root)/absent"] {
          #expect(throws: DatapathError.self) { try datapath.attach(proxy: 1, cgroup: path) }
        }
        #expect(names(in: Pins(lab.directory).links).allSatisfy { Pins.parse($0).proxy == nil })
      }
    }
  }
}
