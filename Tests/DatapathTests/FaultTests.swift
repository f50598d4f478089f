import CDatapath
import CInterpose
import Glibc
import Lab
import Testing

@testable import Datapath

extension Kernel {
  /// Each bpf(2) call fails once. The last good generation stays in force, and nothing is left behind.
  @Suite struct Faults {
    /// What this process and its directory hold of the kernel's.
    private struct Held: Equatable {
      var descriptors: Int
      var maps: [String]
      var links: [String]
      var attached: Int

      init(_ lab: Lab, _ layouts: [UInt32]) throws {
        descriptors = (0..<4096).count { Descriptor.kind($0).hasPrefix("bpf") }
        maps = layouts.flatMap { names(in: Pins(lab.directory, layout: $0).maps) }
        links = layouts.flatMap { names(in: Pins(lab.directory, layout: $0).links) }
        attached = try Lab.attached("\(lab.root)/shop/envoy")
      }
    }

    /// Other suites run in this process too, and hold descriptors for a moment; what leaked stays.
    private func isHeld(_ held: Held, _ lab: Lab, _ layout: UInt32) throws -> Bool {
      for _ in 0..<100 {
        var now = try Held(lab, [layout])
        if now.descriptors < held.descriptors { now.descriptors = held.descriptors }
        if now == held { return true }
        usleep(50_000)
      }
      return false
    }

    private func attempt(_ lab: Lab, _ layout: UInt32) throws {
      let datapath = try lab.datapath(Build(layout: layout))
      try datapath.attach(proxy: 3, cgroup: "\(lab.root)/shop/envoy")
      try lab.install(into: datapath)
    }

    private func prepare(_ lab: Lab) throws -> (open: Entries, closed: Entries) {
      try lab.oneOpenPort()
      try lab.proxy("shop/envoy", number: 3, port: 15106)
      try lab.install()
      lab.drop()
      let closed = lab.entries
      lab.entries.ruling(1, protocol: 6, port: 18082, .allowed())
      return (lab.entries, closed)
    }

    /// The words are those of libbpf 1.1; `soak/run faults` makes it say them.
    @Test func `what libbpf says when it goes on without type information is understood`() {
      #expect(LibbpfLog.refusalOfTypes("libbpf: Error loading .BTF into kernel: -12. BTF is optional, ignoring.\n") == ENOMEM)
      #expect(LibbpfLog.refusalOfTypes("libbpf: Kernel doesn't support BTF, skipping uploading it.\n") == ENOTSUP)
      #expect(LibbpfLog.refusalOfTypes("libbpf: prog 'egress': BPF program load failed: No memory\n") == nil)
    }

    /// A start and an installation, of the same layout, or of the other one each time.
    @Test(arguments: [false, true])
    func `whichever call fails, the last good generation is in force and nothing is left behind`(
      changesLayout: Bool
    ) throws {
      try Lab.use { lab in
        let (open, closed) = try prepare(lab)
        let web = try lab.client(in: "shop/web")
        var (layout, isOpen, call, recovered) = (UInt32(WEIR_LAYOUT), false, 1, 0)
        // Once without, for what libbpf finds out about the kernel only once.
        try attempt(lab, layout)
        isOpen = true
        var held = try Held(lab, [layout])
        for _ in 0..<20 {
          held.descriptors = min(held.descriptors, try Held(lab, [layout]).descriptors)
          usleep(25_000)
        }
        while true {
          let next: UInt32 = !changesLayout ? layout : layout == 990 ? UInt32(WEIR_LAYOUT) : 990
          lab.entries = isOpen ? closed : open
          let before = try Pins(lab.directory, layout: layout).generation()
          interpose_fail(call, [ENOMEM, EPERM, EINVAL][call % 3])
          var failure: (any Error)?
          do { try attempt(lab, next) } catch { failure = error }
          let command = interpose_failed()
          interpose_fail(0, 0)
          let when = "call \(call), command \(command): \(failure.map { "\($0)" } ?? "recovered")"
          if command < 0 {
            #expect(failure == nil, "\(when)")
            break
          }
          if failure == nil { recovered += 1 }
          if let failure { #expect("\(failure)".split(separator: "\n").count == 1 && failure is DatapathError, "\(when)") }
          let enforcing = Pins.layouts(in: lab.directory).filter(\.hasLinks)
          #expect(enforcing.count == 1, "\(when)")
          let after = try #require(enforcing.first)
          layout = after.number
          if try after.generation() > before { isOpen.toggle() } else { #expect(failure != nil, "\(when)") }
          #expect(try isHeld(held, lab, layout), "\(when)")
          #expect(try web.ask("connect 127.0.0.1 18081") == "ok", "\(when)")
          #expect(try web.ask("connect 127.0.0.1 18082") == (isOpen ? "ok" : "EPERM"), "\(when)")
          call += changesLayout ? 2 : 1  // most of them are the same ones again
        }
        print("bpf(2) calls failed one by one, up to number \(call - 1); \(recovered) did not matter")
        #expect(call > 100)
      }
    }
  }
}
