/// What the name of a cgroup's directory says of it, by the conventions of systemd and the kubelet.
enum CgroupName {
  /// The uid of the pod whose directory this is, as the API server writes it; nil for anything else.
  ///
  /// With the kubelet's systemd driver a pod is `kubepods-burstable-pod<uid>.slice`, the uid's `-` written as `_`
  /// (k8s.io/kubernetes pkg/kubelet/cm: CgroupName.ToSystemd); with a cgroup root of its own, as in kind, there is more
  /// before `kubepods`. With the cgroupfs driver it is `pod<uid>` in `kubepods`, `kubepods/burstable` or
  /// `kubepods/besteffort`.
  static func podUID(_ name: String, in above: String, _ further: String) -> String? {
    if name.hasSuffix(".slice") {
      let parts = name.utf8.dropLast(".slice".utf8.count).split(separator: UInt8(ascii: "-"))
      guard let last = parts.last, last.starts(with: "pod".utf8),
        parts.dropLast().contains(where: { $0.elementsEqual("kubepods".utf8) })
      else { return nil }
      return uid(last.dropFirst("pod".utf8.count).map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 })
    }
    guard name.hasPrefix("pod") else { return nil }
    let isQuality = above == "burstable" || above == "besteffort"
    guard above == "kubepods" || (isQuality && further == "kubepods") else { return nil }
    return uid(Array(name.utf8.dropFirst("pod".utf8.count)))
  }

  private static func uid(_ bytes: [UInt8]) -> String? {
    let right = !bytes.isEmpty && bytes.allSatisfy { byte in
      byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
    return right ? String(decoding: bytes, as: UTF8.self) : nil
  }

  static func isSlice(_ name: String) -> Bool { name.hasSuffix(".slice") }

  /// A unit that runs processes and is no slice.
  static func isLeafUnit(_ name: String) -> Bool {
    [".service", ".scope", ".socket", ".mount", ".swap"].contains { name.hasSuffix($0) }
  }

  /// The unit whose directory this is. systemd puts a `_` before a name that could be one of the kernel's files
  /// (src/basic/cgroup-util.c: cg_needs_escape).
  static func unit(_ name: String) -> String? {
    guard isSlice(name) || isLeafUnit(name) else { return nil }
    return name.hasPrefix("_") ? String(name.dropFirst()) : name
  }
}
