import CDatapath
import CLibbpf
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  @Suite struct Refusing {
    /// What starting in this place is refused with.
    private func refusal(_ directory: String, _ cgroupRoot: String) -> DatapathError? {
      do {
        _ = try Datapath(directory: directory, cgroupRoot: cgroupRoot)
        return nil
      } catch {
        return error
      }
    }

    @Test func `the mount's own root is refused by a sentence that says what to name instead`() throws {
      try Lab.use { lab in
        let mount = try Cgroup.mount()
        for path in [mount, "\(mount)/", "\(lab.root)/.."] {
          let error = try #require(refusal(lab.directory, path))
          #expect(error.code == EINVAL)
          #expect(error.description.contains("name a subtree, such as \(mount)/system.slice"))
        }
        #expect(access(lab.directory, F_OK) != 0)
      }
    }

    @Test func `a cgroup root that is none is refused`() throws {
      try Lab.use { lab in
        #expect(refusal(lab.directory, "\(lab.root)/absent")?.code == ENOENT)
        #expect(refusal(lab.directory, "\(lab.root)/cgroup.procs")?.code == ENOTDIR)
        #expect(refusal(lab.directory, "/tmp")?.description.contains("not in a cgroup2 file system") == true)
        #expect(refusal(lab.directory, "weir")?.description.contains("absolute") == true)
        #expect(access(lab.directory, F_OK) != 0)
      }
    }

    @Test func `a pin directory that is not on bpffs is refused, and how to mount one is said`() throws {
      try Lab.use { lab in
        let error = try #require(refusal("/tmp/weir-test-pins", lab.root))
        #expect(error.description.contains("mount -t bpf bpf /tmp/weir-test-pins"))
        #expect(refusal("/sys/fs/bpf/absent/weir", lab.root)?.code == ENOENT)
        #expect(refusal("\(lab.directory)/a.b", lab.root)?.description.contains("no dot") == true)
        #expect(refusal("weir", lab.root)?.description.contains("absolute") == true)
        #expect(try Lab.attached(lab.root) == 0)
      }
    }

    @Test func `a second start in the same directory is refused and changes nothing`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        let before = try Observed.links(lab).mapValues(\.program)
        let error = try #require(refusal(lab.directory, lab.root))
        #expect(error.code == EWOULDBLOCK)
        #expect(error.description.contains("lock \(lab.directory)"))
        #expect(error.description.contains("another agent"))
        #expect(try Observed.links(lab).mapValues(\.program) == before)
      }
    }

    @Test func `detach is refused while an agent runs`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        #expect(throws: DatapathError.self) { try Datapath.detach(directory: lab.directory) }
        #expect(try Lab.attached(lab.root) == 8)
      }
    }

    @Test func `a failure half way through a first start leaves nothing behind`() throws {
      try Lab.use { lab in
        let full = try Observed.exhaust(BPF_CGROUP_INET_INGRESS, of: lab.root)
        let error = try #require(refusal(lab.directory, lab.root))
        #expect(error.description.hasPrefix("attach ingress to \(lab.root): E2BIG ("))
        #expect(try Lab.attached(lab.root) == full.count)
        #expect(access(lab.directory, F_OK) != 0)
      }
    }

    @Test func `a failure half way through an adoption leaves the old programs in force`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        lab.drop()
        let pins = Pins(lab.directory)
        #expect(LinkSession.remove(pins.link("ingress")) == 0)
        let before = try Observed.links(lab).mapValues(\.program)
        let full = try Observed.exhaust(BPF_CGROUP_INET_INGRESS, of: lab.root)
        #expect(refusal(lab.directory, lab.root)?.code == E2BIG)
        #expect(try Observed.links(lab).mapValues(\.program) == before)
        #expect(names(in: pins.maps).contains("current"))
        _ = full
      }
    }

    @Test func `a link at another living cgroup is not taken over`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        lab.drop()
        let other = try lab.cgroup("other")
        let before = try Observed.links(lab).mapValues(\.program)
        let error = try #require(refusal(lab.directory, other))
        #expect(error.description.contains(lab.root))
        #expect(error.description.contains("weir detach"))
        #expect(try Observed.links(lab).mapValues(\.program) == before)
        #expect(try Lab.attached(other) == 8, "only those of the root above")
      }
    }

    @Test func `a pinned map of another shape is named`() throws {
      try Lab.use { lab in
        let pins = Pins(lab.directory)
        for path in [pins.root, pins.layout, pins.maps] { #expect(mkdir(path, 0o700) == 0) }
        let shape = LoadedObject.Template(type: BPF_MAP_TYPE_HASH, keySize: 4, valueSize: 32, flags: 0)
        let map = try Tables.create("settings", shape, maxEntries: 1)
        #expect(bpf_obj_pin(map.raw, "\(pins.maps)/settings") == 0)
        let error = try #require(refusal(lab.directory, lab.root))
        #expect(error.description.hasPrefix("adopt map \(pins.maps)/settings: "))
        #expect(error.description.contains("weir detach"))
        #expect(names(in: pins.maps) == ["settings"])
        #expect(try Lab.attached(lab.root) == 0)
      }
    }

    @Test func `a pin that is no link is named`() throws {
      try Lab.use { lab in
        let pins = Pins(lab.directory)
        for path in [pins.root, pins.layout, pins.links] { #expect(mkdir(path, 0o700) == 0) }
        let shape = LoadedObject.Template(type: BPF_MAP_TYPE_HASH, keySize: 4, valueSize: 4, flags: 0)
        let map = try Tables.create("egress", shape, maxEntries: 1)
        #expect(bpf_obj_pin(map.raw, pins.link("egress")) == 0)
        let error = try #require(refusal(lab.directory, lab.root))
        #expect(error.description.contains("\(pins.link("egress")): EINVAL (not a link"))
        #expect(try Lab.attached(lab.root) == 0)
      }
    }

    @Test func `a pin of another layout that is no link is named, and detach removes it too`() throws {
      try Lab.use { lab in
        let other = "\(lab.directory)/v\(WEIR_LAYOUT + 1)"
        for path in [lab.directory, other, "\(other)/links"] { #expect(mkdir(path, 0o700) == 0) }
        let program = try Privileges.trivialProgram(BPF_PROG_TYPE_CGROUP_SKB)
        #expect(bpf_obj_pin(program.raw, "\(other)/links/egress") == 0)
        let error = try #require(refusal(lab.directory, lab.root))
        #expect(error.description.contains("\(other)/links/egress: EINVAL (not a link"))
        #expect(names(in: lab.directory) == ["v\(WEIR_LAYOUT + 1)"])
        #expect(try Datapath.detach(directory: lab.directory) == 1)
        #expect(access(lab.directory, F_OK) != 0)
      }
    }
  }
}
