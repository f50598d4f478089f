import Datapath
import Glibc

/// What processes may do that gets around a workload's policy, read from /proc when somebody asks.
struct Capabilities {
  /// Bit numbers of linux/capability.h.
  private static let words: [(bit: UInt64, word: String)] = [
    (13, "net_raw"), (12, "net_admin"), (39, "bpf"), (21, "sys_admin"),
  ]

  /// Directories that are somebody's: what is below one of them is not the one's above.
  let owned: Set<String>

  /// What any process in the cgroup or below holds or could take up (CapEff, CapPrm).
  func held(_ directory: String) -> [String] {
    var mask: UInt64 = 0
    var waiting = [directory]
    while let path = waiting.popLast() {
      for process in Cgroup.processes(path) { mask |= Capabilities.mask(of: process) }
      waiting += names(in: path, directories: true).map { "\(path)/\($0)" }.filter { !owned.contains($0) }
    }
    return Capabilities.words(in: mask)
  }

  static func words(in mask: UInt64) -> [String] {
    words.filter { mask & 1 << $0.bit != 0 }.map(\.word)
  }

  /// The mask that the lines CapEff and CapPrm of /proc/PID/status have together.
  static func mask(inStatus text: String) -> UInt64 {
    text.split(separator: "\n").reduce(0) { mask, line in
      guard line.hasPrefix("CapEff:") || line.hasPrefix("CapPrm:") else { return mask }
      let digits = line.dropFirst("CapEff:".count).drop { $0 == "\t" || $0 == " " }
      return mask | (UInt64(digits, radix: 16) ?? 0)
    }
  }

  /// 0 for one that has ended.
  private static func mask(of process: Int32) -> UInt64 {
    guard let content = (try? Files.read("/proc/\(process)/status", limit: 1 << 16)) ?? nil else { return 0 }
    return mask(inStatus: String(decoding: content, as: UTF8.self))
  }
}
