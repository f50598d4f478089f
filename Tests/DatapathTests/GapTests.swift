import CDatapath
import CLibbpf
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  @Suite struct Gaps {
    private func detach(_ lab: Lab, _ name: String) throws {
      let pin = Pins(lab.directory).link(name)
      let link = try Descriptor.adopt(bpf_obj_get(pin), "open pin", pin)
      #expect(bpf_link_detach(link.raw) == 0)
    }

    @Test func `a datapath as it started has no gap`() throws {
      try Lab.use { lab in
        let datapath = try lab.datapath()
        #expect(try datapath.gaps(below: [lab.cgroup("shop/web")]) == [])
      }
    }

    @Test func `each program that somebody detaches is named, and is attached again`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        for hook in Hook.at(.root) {
          try detach(lab, hook.name)
          let gaps = try lab.datapath().gaps()
          #expect(gaps == [Gap(program: hook.name, runs: false, why: "was detached from \(lab.root)")])
          try lab.datapath().mend()
          #expect(try lab.datapath().gaps() == [])
        }
        #expect(try Lab.attached(lab.root) == 8)
        lab.drop()
        #expect(try lab.datapath().programs().count == 11, "the pins are those of the new links")
        #expect(try Lab.attached(lab.root) == 8)
      }
    }

    @Test func `another program in a link is named, and replaced`() throws {
      try Lab.use { lab in
        let datapath = try lab.datapath()
        let pin = Pins(lab.directory).link("connect4")
        let stranger = try Privileges.trivialProgram(
          BPF_PROG_TYPE_CGROUP_SOCK_ADDR, expecting: BPF_CGROUP_INET4_CONNECT)
        let link = try Descriptor.adopt(bpf_obj_get(pin), "open pin", pin)
        #expect(bpf_link_update(link.raw, stranger.raw, nil) == 0)
        let gaps = try datapath.gaps()
        #expect(gaps.map(\.program) == ["connect4"])
        #expect(gaps.first?.why.hasPrefix("its link runs another program, number ") == true)
        try datapath.mend()
        #expect(try datapath.gaps() == [])
      }
    }

    @Test func `a cgroup root that is gone is said, and one that was made again is attached to`() throws {
      try Lab.use { lab in
        let root = try lab.cgroup("judged")
        let datapath = try Datapath(directory: lab.directory, cgroupRoot: root)
        let former = try #require(Cgroup.id(root))
        #expect(rmdir(root) == 0)
        #expect(try Set(datapath.gaps().filter { !$0.runs }.map(\.why)) == ["its cgroup \(root) is gone"])
        try datapath.mend()
        #expect(try datapath.gaps().count { !$0.runs } == 9)
        #expect(mkdir(root, 0o755) == 0)
        #expect(Cgroup.id(root) != former)
        #expect(try Set(datapath.gaps().map(\.why)) == ["its cgroup \(root) was removed and made again"])
        #expect(try Lab.attached(root) == 0)
        try datapath.mend()
        #expect(try datapath.gaps() == [])
        #expect(try Lab.attached(root) == 8)
      }
    }

    @Test func `a pin that is removed leaves the program running, and is made again`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        let pins = Pins(lab.directory)
        for pin in ["ingress", "tcp_destroy_sock"] { #expect(unlink("\(pins.links)/\(pin)") == 0) }
        #expect(unlink("\(pins.maps)/ports") == 0)
        #expect(try Lab.attached(lab.root) == 8)
        let gaps = try lab.datapath().gaps()
        #expect(gaps.map(\.program) == ["ingress", "tcp_destroy_sock", "pins"])
        #expect(gaps.allSatisfy { $0.runs })
        try lab.datapath().mend()
        #expect(try lab.datapath().gaps() == [])
        lab.drop()
        #expect(try Lab.attached(lab.root) == 8, "the new pins keep it attached")
      }
    }

    @Test func `a bpf file system that is unmounted under it is said, and pinned in again when it is back`() throws {
      try Lab.use { lab in
        let point = "\(lab.files)/bpf"
        #expect(mkdir(point, 0o700) == 0)
        try #require(mount("bpf", point, "bpf", 0, nil) == 0)
        defer { while umount2(point, Int32(MNT_DETACH)) == 0 {} }
        var datapath: Datapath? = try Datapath(directory: "\(point)/weir", cgroupRoot: lab.root)
        #expect(umount2(point, Int32(MNT_DETACH)) == 0)
        let gaps = try #require(try datapath?.gaps())
        #expect(gaps.map(\.program) == ["pins"])
        #expect(gaps.first?.runs == true && gaps.first?.why.contains("would end with the agent") == true)
        try datapath?.mend()
        #expect(try datapath?.gaps() == gaps, "there is nothing to pin it in")
        #expect(try Lab.attached(lab.root) == 8)

        try #require(mount("bpf", point, "bpf", 0, nil) == 0)
        try datapath?.mend()
        #expect(try datapath?.gaps() == [])
        datapath = nil
        #expect(try Lab.attached(lab.root) == 8, "the new pins keep it attached")
        #expect(try Datapath.detach(directory: "\(point)/weir") > 0)
        #expect(try Lab.attached(lab.root) == 0)
      }
    }

    @Test func `a proxy's program that somebody detaches is named, and is attached again`() throws {
      try Lab.use { lab in
        let path = try lab.cgroup("shop/envoy")
        let datapath = try lab.datapath()
        try datapath.attach(proxy: 3, cgroup: path)
        #expect(try datapath.gaps() == [])
        try detach(lab, "getsockopt_p3")
        #expect(try datapath.gaps().map(\.program) == ["getsockopt_p3"])
        try datapath.mend()
        #expect(try datapath.gaps() == [])
        #expect(try Lab.attached(path) == 14)
      }
    }
  }
}
