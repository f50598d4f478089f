import CDatapath
import CLibbpf
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// What a start would do, found out beside a datapath that runs.
  @Suite struct Rehearsing {
    /// Everything that is pinned, by path: the kernel's ids of links, of their programs and of maps.
    private func ids(_ lab: Lab) throws -> [String: [UInt32]] {
      var ids: [String: [UInt32]] = [:]
      for pins in Pins.layouts(in: lab.directory) {
        for name in names(in: pins.links) {
          guard case .alive(_, let report) = try LinkSession.look(pins.link(name), cgroup: nil) else { continue }
          ids[pins.link(name)] = [report.id, report.program]
        }
        for name in names(in: pins.maps) {
          let map = try Descriptor.adopt(bpf_obj_get("\(pins.maps)/\(name)"), "open", name)
          var info = bpf_map_info()
          var size = UInt32(MemoryLayout<bpf_map_info>.size)
          try check(bpf_obj_get_info_by_fd(map.raw, &info, &size), "ask", name)
          ids["\(pins.maps)/\(name)"] = [info.id]
        }
        for name in names(in: pins.notes) { ids["\(pins.notes)/\(name)"] = [] }
      }
      return ids
    }

    private func rehearse(_ lab: Lab, _ build: Build = Build()) throws -> Rehearsal {
      try Datapath.rehearse(directory: lab.directory, cgroupRoot: lab.root, build)
    }

    @Test func `a rehearsal changes no id, no pin and no descriptor of a datapath that runs`() throws {
      try Lab.use { lab in
        #expect(try rehearse(lab).enforcing.isEmpty)
        #expect(access(lab.directory, F_OK) != 0, "nothing is made")
        try lab.oneOpenPort()
        try lab.install()
        let web = try lab.client(in: "shop/web")
        let before = try ids(lab)
        func open() -> Int { (0..<4096).count { Descriptor.kind($0).hasPrefix("bpf") } }
        let held = open()
        let same = try rehearse(lab)
        #expect(same.enforcing == [UInt32(WEIR_LAYOUT)] && same.generation == 1 && same.empty.isEmpty)
        #expect(same.kept.contains("current"))
        #expect(try same.missing == lab.datapath().missing)
        let other = try rehearse(lab, Build(layout: 990))
        #expect(other.layout == 990 && other.enforcing == [UInt32(WEIR_LAYOUT)] && other.empty.isEmpty)
        #expect(other.kept.contains("sockets") && !other.kept.contains("current"))
        #expect(try ids(lab) == before)
        #expect(open() == held)
        #expect(try Lab.attached(lab.root) == 8)
        #expect(try web.ask("connect 127.0.0.1 18082") == "EPERM")
      }
    }

    @Test(.needsWider) func `maps that would start empty, and those that would not be adopted, are named`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        try withWider { wider in
          let rehearsal = try rehearse(lab, wider)
          #expect(rehearsal.empty.map(\.name) == ["sockets"])
          #expect(rehearsal.empty.first?.reason.hasPrefix("has values of ") == true)
          #expect(rehearsal.kept.contains("connections"))
          // The same number, but not the same layout.
          var lying = wider
          lying.layout = UInt32(WEIR_LAYOUT)
          let error = #expect(throws: DatapathError.self) { try rehearse(lab, lying) }
          let said = "adopt map \(Pins(lab.directory).maps)/sockets: EINVAL (has values of "
          #expect(error?.description.hasPrefix(said) == true, "\(String(describing: error))")
        }
      }
    }

    @Test func `members that changed their places are another shape, though the sizes are the same`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        lab.drop()
        let pins = Pins(lab.directory)
        let note = try #require(pins.note("connections"))
        try pins.setNote("connections", note + "0")
        #expect(try rehearse(lab, Build(layout: 990)).empty.map(\.reason) == ["has other members"])
        let error = #expect(throws: DatapathError.self) { try lab.datapath() }
        #expect(error?.description.contains("\(pins.maps)/connections") == true)
        try pins.setNote("connections", note)
        #expect(try rehearse(lab, Build(layout: 990)).empty.isEmpty)
        _ = try lab.datapath()
      }
    }
  }
}
