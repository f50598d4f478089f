import CDatapath
import CLibbpf
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  @Suite struct Starting {
    static let attached = [
      "connect4": "cgroup/connect4", "connect6": "cgroup/connect6", "sendmsg4": "cgroup/sendmsg4",
      "sendmsg6": "cgroup/sendmsg6", "sock_create": "cgroup/sock_create", "sock_ops": "sockops",
      "sock_release": "cgroup/sock_release", "egress": "cgroup_skb/egress", "ingress": "cgroup_skb/ingress",
      "tcp_destroy_sock": "tp_btf/tcp_destroy_sock", "tcp_retransmit_skb": "tp_btf/tcp_retransmit_skb",
    ]

    @Test func `a first start attaches every program where it belongs and the kernel runs it`() throws {
      try Lab.use { lab in
        let datapath = try lab.datapath()
        let programs = try datapath.programs()
        #expect(Dictionary(uniqueKeysWithValues: programs.map { ($0.name, $0.hook) }) == Self.attached)
        #expect(programs.allSatisfy { $0.effective })
        let root = try #require(Cgroup.id(lab.root))
        for program in programs {
          #expect(program.cgroupId == (program.hook.hasPrefix("tp_btf/") ? 0 : root))
        }
        #expect(Set(programs.map(\.programId)).count == programs.count)
        // What no promised kernel must have; each hook that can be done without has its own test where it is missing.
        // Tests that ask what the kernel cannot do must not take a program that broke for that.
        if Build.hasSockDestroy { #expect(datapath.missing.isEmpty, "\(datapath.missing)") }
        #expect(datapath.missing.allSatisfy { $0.contains("revoke_") || $0.hasPrefix("forget_tcp ") }, "\(datapath.missing)")
        #expect(try datapath.generation() == 0)
      }
    }

    @Test func `every map is pinned by its name`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        let pinned = Set(names(in: Pins(lab.directory).maps))
        #expect(
          pinned.isSuperset(
            of: Tables.names + [
              "current", "settings", "connections", "refusals", "losses", "events", "sockets", "exchanges",
              "senders", "usage",
            ]))
        #expect(!pinned.contains { $0.contains("rodata") || $0.contains("bss") })
      }
    }

    @Test func `a detached program is no longer reported as attached`() throws {
      try Lab.use { lab in
        let datapath = try lab.datapath()
        #expect(LinkSession.remove(Pins(lab.directory).link("egress")) == 0)
        #expect(try !datapath.programs().contains { $0.name == "egress" })
        #expect(try Inspector.effective(lab.root, BPF_CGROUP_INET_EGRESS).isEmpty)
      }
    }

    @Test func `dropping the object leaves everything attached, and the next start adopts it`() throws {
      try Lab.use { lab in
        try lab.workload("web", number: 7)
        try lab.install()
        let before = try Observed.links(lab)
        lab.drop()
        #expect(try Observed.links(lab).mapValues(\.program) == before.mapValues(\.program))

        let datapath = try lab.datapath()
        let after = try Observed.links(lab)
        #expect(Set(after.keys) == Set(before.keys))
        for (name, link) in after {
          let old = try #require(before[name])
          #expect(link.program != old.program, "\(name) runs the program of the new start")
          if case .cgroup = link.kind { #expect(link.id == old.id, "\(name) is the same link") }
        }
        #expect(try Lab.attached(lab.root) == 8)
        #expect(try datapath.generation() == 1)
        #expect(try datapath.maps().first { $0.name == "workloads" }?.entries == 1)
      }
    }

    @Test func `an interrupted start is completed by the next one`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        lab.drop()
        let pins = Pins(lab.directory)
        #expect(LinkSession.remove(pins.link("ingress")) == 0)
        #expect(LinkSession.remove(pins.link("tcp_destroy_sock")) == 0)
        #expect(rename(pins.link("egress"), pins.link("egress") + LinkSession.aside) == 0)
        let programs = try lab.datapath().programs()
        #expect(Set(programs.map(\.name)) == Set(Self.attached.keys))
        #expect(try Lab.attached(lab.root) == 8)
      }
    }

    @Test func `pins that this build does not know are dropped`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        lab.drop()
        let pins = Pins(lab.directory)
        #expect(rename(pins.link("egress"), pins.link("forgotten")) == 0)
        _ = try lab.datapath()
        #expect(!names(in: pins.links).contains("forgotten"))
        #expect(try Inspector.effective(lab.root, BPF_CGROUP_INET_EGRESS).count == 1)
      }
    }

    @Test func `a cgroup root that was removed and made again is attached to anew`() throws {
      try Lab.use { lab in
        _ = try lab.datapath()
        lab.drop()
        #expect(rmdir(lab.root) == 0)
        #expect(mkdir(lab.root, 0o755) == 0)
        let programs = try lab.datapath().programs()
        #expect(Set(programs.map(\.name)) == Set(Self.attached.keys))
        #expect(programs.allSatisfy { $0.effective })
        #expect(try Lab.attached(lab.root) == 8)
      }
    }

    @Test func `detach leaves nothing attached and nothing pinned`() throws {
      try Lab.use { lab in
        let path = try lab.cgroup("shop/envoy")
        try lab.datapath().attach(proxy: 3, cgroup: path)
        let pins = Pins(lab.directory)
        let pinned = names(in: pins.links).count + names(in: pins.maps).count
        #expect(try Lab.attached(path) == 14)
        lab.drop()
        #expect(try Datapath.detach(directory: lab.directory) == pinned)
        #expect(try Lab.attached(path) == 0)
        #expect(access(lab.directory, F_OK) != 0)
        #expect(try Datapath.detach(directory: lab.directory) == 0)
      }
    }

    @Test func `what a killed test left is swept by the next`() throws {
      let child = try Child(["true"], cgroup: nil, netns: nil)
      _ = try child.finish()
      let name = "weir-test-\(child.pid)-1"
      let cgroup = "\(try Cgroup.mount())/\(name)"
      let directory = "/sys/fs/bpf/\(name)"
      try Lab.use { _ in }  // mounts bpffs where it is not
      #expect(mkdir(cgroup, 0o755) == 0)
      #expect(mkdir("\(cgroup)/below", 0o755) == 0)
      _ = try Datapath(directory: directory, cgroupRoot: cgroup)
      try Lab.use { _ in }
      #expect(Cgroup.id(cgroup) == nil)
      #expect(access(directory, F_OK) != 0)
    }
  }
}
