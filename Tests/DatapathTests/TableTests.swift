import CDatapath
import CLibbpf
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  @Suite struct Installing {
    /// The rows of a table of the generation in force, as they lie in the kernel.
    private func rows<Key: BitwiseCopyable, Value: BitwiseCopyable>(
      _ lab: Lab, _ table: String, _: Key.Type, _: Value.Type
    ) throws -> [(Key, Value)] {
      let pin = try Descriptor.adopt(bpf_obj_get("\(Pins(lab.directory).maps)/\(table)"), "open", table)
      let outer = try Map(pin, name: table)
      let slot = try lab.datapath().generation() % UInt32(WEIR_SLOTS)
      let inner = try #require(try Tables.inner(of: outer, slot: slot))
      return try Map(inner, name: table).entries(Key.self, Value.self)
    }

    @Test func `an installed generation is in force and reads back entry for entry`() throws {
      try Lab.use { lab in
        var entries = Entries()
        entries.workloads = [
          (5, weir_workload(workload: 1, identity: 2, class_: 3, target: 4, kind: 1, proxy: 0, flags: 2, pad: (0, 0, 0)))
        ]
        try entries.address(
          "10.1.2.3",
          weir_address(workload: 9, identity: 8, class_: 7, subject: 6, cell: 5, target: 4, flags: 3, pad: 0))
        try entries.address(
          "0.0.0.0/0",
          weir_address(workload: 0, identity: 0, class_: 1, subject: 0, cell: 1, target: 0, flags: 0, pad: 0))
        entries.cells = [(weir_cell_key(class_: 3, cell: 5), 11)]
        entries.identities = [(2, weir_identity(class_: 3, subject: 0, workload: 1, flags: 0, pad: (0, 0, 0)))]
        entries.proxies = [
          (1, weir_proxy(addr4: try .parse("127.0.0.1"), addr6: try .parse("::1"), port: 80, pad: 0))
        ]
        entries.pair(subject: 3, .egress, peer: 7, ports: 12)
        entries.ruling(12, .denied(rule: 13))
        entries.ruling(12, protocol: 6, port: 80, .allowed(rule: 14))
        try lab.datapath().install(entries, generation: 6, audit: true)

        #expect(try lab.datapath().generation() == 6)
        let workload = try #require(try rows(lab, "workloads", UInt64.self, weir_workload.self).first)
        #expect(workload.0 == 5 && workload.1.class_ == 3 && workload.1.target == 4)
        let addresses = try rows(lab, "addresses", weir_address_key.self, weir_address.self)
        #expect(
          Dictionary(uniqueKeysWithValues: addresses.map { ($0.0.prefixlen, $0.1.class_) }) == [
            128: 7, 96: 1,
          ])
        #expect(try rows(lab, "cells", weir_cell_key.self, UInt32.self).map(\.1) == [11])
        #expect(try rows(lab, "identities", UInt32.self, weir_identity.self).map(\.1.class_) == [3])
        #expect(try rows(lab, "proxies", UInt32.self, weir_proxy.self).map(\.1.port) == [80])
        let pair = try #require(try rows(lab, "pairs", weir_pair_key.self, UInt32.self).first)
        #expect(pair.0.subject == 3 && pair.0.peer == 7 && pair.0.direction == 1 && pair.1 == 12)
        let ports = try rows(lab, "ports", weir_ports_key.self, weir_ruling.self)
        #expect(
          Dictionary(uniqueKeysWithValues: ports.map { ($0.0.prefixlen, $0.1.rule) }) == [32: 13, 64: 14])
      }
    }

    @Test func `a generation without entries empties every table`() throws {
      try Lab.use { lab in
        try lab.workload("web", number: 1)
        try lab.install()
        try lab.install(Entries())
        let fills = try lab.datapath().maps().filter { Tables.names.contains($0.name) }
        #expect(Set(fills.map(\.name)) == Set(Tables.names))
        #expect(fills.allSatisfy { $0.entries == 0 })
      }
    }

    @Test func `large tables arrive whole`() throws {
      try Lab.use { lab in
        var entries = Entries()
        for number in 1...20_000 as ClosedRange<UInt32> {
          entries.identities.append((number, weir_identity(class_: number &* 3, subject: 0, workload: number, flags: 0, pad: (0, 0, 0))))
          let key = weir_address_key(
            prefixlen: 128, addr: weir_addr(word: (0, 0, UInt32(0xffff).bigEndian, number.bigEndian)))
          entries.addresses.append(
            (
              key,
              weir_address(workload: 0, identity: number, class_: 0, subject: 0, cell: 0, target: 0, flags: 0, pad: 0)
            ))
        }
        try lab.datapath().install(entries, generation: 1, audit: false)
        let identities = try rows(lab, "identities", UInt32.self, weir_identity.self)
        #expect(identities.count == 20_000)
        #expect(identities.allSatisfy { $0.1.class_ == $0.0 &* 3 })
        let addresses = try rows(lab, "addresses", weir_address_key.self, weir_address.self)
        #expect(Set(addresses.map(\.1.identity)).count == 20_000)
        let fill = try #require(try lab.datapath().maps().first { $0.name == "identities" })
        #expect(fill.entries == 20_000 && fill.maxEntries == 20_000)
      }
    }

    @Test func `each of many generations is the one in force after its switch`() throws {
      try Lab.use { lab in
        for generation in 1...12 as ClosedRange<UInt32> {
          var entries = Entries()
          entries.identities = [(generation, weir_identity(class_: generation, subject: 0, workload: 0, flags: 0, pad: (0, 0, 0)))]
          try lab.datapath().install(entries, generation: generation, audit: false)
          #expect(try rows(lab, "identities", UInt32.self, weir_identity.self).map(\.0) == [generation])
        }
      }
    }

    /// The kernel's id of the table in each slot.
    private func ids(_ lab: Lab, _ table: String) throws -> [UInt32?] {
      let pin = try Descriptor.adopt(bpf_obj_get("\(Pins(lab.directory).maps)/\(table)"), "open", table)
      let outer = try Map(pin, name: table)
      return try (0..<UInt32(WEIR_SLOTS)).map { try outer.value($0, as: UInt32.self, empty: 0) }
    }

    @Test func `a table whose entries did not change is the same map in every slot, and judges in each`() throws {
      try Lab.use { lab in
        try lab.workload("shop/web", number: 1)
        try lab.workload("shop/api", number: 2)
        lab.entries.pair(subject: 1, .egress, peer: 0, ports: 1)
        lab.entries.ruling(1, .denied())
        lab.entries.ruling(1, protocol: 6, port: 18081, .allowed(rule: 1))
        try lab.server(in: "shop/api", at: "127.0.0.1", 18081)
        try lab.server(in: "shop/api", at: "127.0.0.1", 18082)
        let web = try lab.client(in: "shop/web")
        _ = try lab.datapath()
        var kept: Set<UInt32> = []
        // More than twice round the slots.
        for generation in 1...(2 * UInt32(WEIR_SLOTS) + 2) {
          lab.entries.ports[1].value.rule = generation
          let previous = try ids(lab, "ports")
          try lab.datapath().install(lab.entries, generation: generation, audit: false)
          let slot = Int(generation) % Int(WEIR_SLOTS)
          kept.formUnion([try #require(try ids(lab, "workloads")[slot])])
          let new = try #require(try ids(lab, "ports")[slot])
          #expect(!previous.contains(new), "what changed is a map of its own")
          #expect(try web.ask("connect 127.0.0.1 18081") == "ok", "generation \(generation)")
          #expect(try web.ask("connect 127.0.0.1 18082") == "EPERM", "generation \(generation)")
        }
        #expect(kept.count == 1)
        #expect(try Set(ids(lab, "workloads")).count == 1, "in every slot")
        #expect(try Set(ids(lab, "ports")).count == Int(WEIR_SLOTS))
        // One bit of one entry, the last: a new map, and the others stay in the slots they are in.
        lab.entries.workloads[1].value.class_ = 3
        try lab.datapath().install(lab.entries, generation: 11, audit: false)
        #expect(try Set(ids(lab, "workloads")).count == 2)
        #expect(try rows(lab, "workloads", UInt64.self, weir_workload.self).count { $0.1.class_ == 3 } == 1)
      }
    }

    @Test func `a process that did not fill the tables builds its own`() throws {
      try Lab.use { lab in
        try lab.workload("web", number: 1)
        try lab.datapath().install(lab.entries, generation: 1, audit: false)
        let before = try ids(lab, "workloads")
        lab.drop()
        try lab.datapath().install(lab.entries, generation: 2, audit: false)
        let after = try ids(lab, "workloads")
        #expect(after[1] == before[1] && after[2] != nil && after[2] != before[1])
      }
    }

    @Test func `entries are compared byte by byte, what lies between them aside`() {
      var some = Entries()
      some.workloads = [(1, weir_workload()), (2, weir_workload())]
      var other = Entries()
      other.workloads = [(1, weir_workload()), (2, weir_workload())]
      #expect(some.isSame(as: other))
      other.workloads[1].value.proxy = 1
      #expect(!some.isSame(as: other))
      other.workloads[1].value.proxy = 0
      other.workloads[0].key = 3
      #expect(!some.isSame(as: other))
      #expect(!some.isSame(as: Entries()) && Entries().isSame(as: Entries()))
    }

    @Test(arguments: [0, 3, 7, 11] as [UInt32])
    func `a generation that would overwrite the one in force is refused`(generation: UInt32) throws {
      try Lab.use { lab in
        try lab.workload("web", number: 1)
        try lab.datapath().install(lab.entries, generation: 3, audit: false)
        let error = #expect(throws: DatapathError.self) {
          try lab.datapath().install(Entries(), generation: generation, audit: false)
        }
        #expect(error?.code == EINVAL)
        #expect(try lab.datapath().generation() == 3)
        #expect(try rows(lab, "workloads", UInt64.self, weir_workload.self).count == 1)
      }
    }

    @Test func `a table too large for the kernel is named with its size`() throws {
      let shape = LoadedObject.Template(type: BPF_MAP_TYPE_HASH, keySize: 8, valueSize: 16, flags: 0)
      for size in [Int(UInt32.max), Int(UInt32.max) + 1] {
        let error = #expect(throws: DatapathError.self) {
          try Tables.create("workloads", shape, maxEntries: size)
        }
        #expect(error?.description.hasPrefix("create table workloads: E2BIG (\(size) entries") == true)
      }
    }
  }
}
