import CDatapath
import CLibbpf
import Glibc
import Lab
import Testing

@testable import Datapath

/// Every suite that touches the kernel is nested in here, so that they run one after another.
@Suite(.serialized, .needsKernel) struct Kernel {}

/// What is pinned and attached, read beside the datapath under test.
enum Observed {
  /// Pin name to link id and program id, as the kernel has them.
  static func links(_ lab: Lab, _ layout: UInt32 = UInt32(WEIR_LAYOUT)) throws -> [String: LinkReport] {
    let pins = Pins(lab.directory, layout: layout)
    var links: [String: LinkReport] = [:]
    for name in names(in: pins.links) {
      guard case .alive(_, let report) = try LinkSession.look("\(pins.links)/\(name)", cgroup: nil) else {
        continue
      }
      links[name] = report
    }
    return links
  }

  /// Fills a hook of a cgroup with programs that do nothing, so that the kernel takes no more; they go with
  /// the result.
  static func exhaust(_ type: bpf_attach_type, of cgroup: String) throws -> [Descriptor] {
    let program = try Privileges.trivialProgram(BPF_PROG_TYPE_CGROUP_SKB, expecting: type)
    let directory = try Descriptor.directory(cgroup, "open")
    var links: [Descriptor] = []
    while true {
      let answer = bpf_link_create(program.raw, directory.raw, type, nil)
      if answer == -E2BIG { return links }
      links.append(try Descriptor.adopt(answer, "attach"))
    }
  }
}
