import CDatapath
import Glibc
import Lab

@testable import Datapath

/// A workload of a lab. Its class is its identity is its number unless a test says otherwise.
struct Member {
  var number: UInt32
  var cgroup: String
  var path: String
  var id: UInt64
}

extension Lab {
  /// Makes a cgroup a workload: the number stands for the name, the identity and the class.
  @discardableResult
  func workload(_ cgroup: String, number: UInt32, target: UInt16 = 0, flags: UInt8 = 0) throws -> Member {
    let path = try self.cgroup(cgroup)
    guard let id = Cgroup.id(path) else { throw LabError("stat \(path)") }
    entries.workloads.append(
      (
        id,
        weir_workload(
          workload: number, identity: number, class_: number, target: target,
          kind: UInt8(WEIR_KIND_WORKLOAD.rawValue), proxy: 0, flags: flags, pad: (0, 0, 0))
      ))
    entries.identities.append((number, weir_identity(class_: number, subject: number, workload: number, flags: flags, pad: (0, 0, 0))))
    return Member(number: number, cgroup: cgroup, path: path, id: id)
  }

  /// Makes a cgroup a proxy's that listens on this port of 127.0.0.1 and ::1, and attaches its programs.
  @discardableResult
  func proxy(_ cgroup: String, number: UInt8, port: UInt16) throws -> Member {
    let path = try self.cgroup(cgroup)
    guard let id = Cgroup.id(path) else { throw LabError("stat \(path)") }
    entries.workloads.append(
      (
        id,
        weir_workload(
          workload: 0, identity: 0, class_: 0, target: 0, kind: UInt8(WEIR_KIND_PROXY.rawValue), proxy: number,
          flags: 0, pad: (0, 0, 0)
        )
      ))
    entries.proxies.append(
      (
        UInt32(number),
        weir_proxy(addr4: try .parse("127.0.0.1"), addr6: try .parse("::1"), port: port.bigEndian, pad: 0)
      ))
    try datapath().attach(proxy: UInt32(number), cgroup: path)
    return Member(number: UInt32(number), cgroup: cgroup, path: path, id: id)
  }
}

extension weir_addr {
  /// `10.0.0.1` (as ::ffff:10.0.0.1) or `fd00::1`.
  static func parse(_ text: String) throws -> weir_addr {
    var bytes = [UInt8](repeating: 0, count: 16)
    if text.contains(":") {
      guard inet_pton(AF_INET6, text, &bytes) == 1 else { throw LabError("address \(text)", code: EINVAL) }
    } else {
      var four = [UInt8](repeating: 0, count: 4)
      guard inet_pton(AF_INET, text, &four) == 1 else { throw LabError("address \(text)", code: EINVAL) }
      bytes.replaceSubrange(10..<16, with: [0xff, 0xff] + four)
    }
    return bytes.withUnsafeBytes { $0.loadUnaligned(as: weir_addr.self) }
  }
}

extension Entries {
  enum Side { case egress, ingress }

  /// What a subject's class says about a peer's in one direction: the number of a ports function. Peer 0:
  /// anybody.
  mutating func pair(subject: UInt32, _ side: Side, peer: UInt32, ports: UInt32) {
    let direction = side == .egress ? WEIR_EGRESS : WEIR_INGRESS
    pairs.append((weir_pair_key(subject: subject, peer: peer, direction: direction.rawValue), ports))
  }

  /// One entry of a ports function: its default; with `protocol` that protocol's; with `port` too just that
  /// one.
  mutating func ruling(
    _ function: UInt32, protocol transport: Int? = nil, port: UInt16? = nil, _ ruling: weir_ruling
  ) {
    let prefix: UInt32 = transport == nil ? 32 : port == nil ? 48 : 64
    let key = weir_ports_key(
      prefixlen: prefix, ports: function, protocol: UInt8(transport ?? 0), pad: 0, port: (port ?? 0).bigEndian
    )
    ports.append((key, ruling))
  }

  /// An address or prefix (`10.0.0.5`, `10.0.0.0/8`, `fd00::/64`) and what is known about it.
  mutating func address(_ text: String, _ value: weir_address) throws {
    let parts = text.split(separator: "/")
    let four = !text.contains(":")
    let bits = parts.count > 1 ? UInt32(parts[1]) ?? 0 : (four ? 32 : 128)
    let key = weir_address_key(prefixlen: four ? 96 + bits : bits, addr: try .parse(String(parts[0])))
    addresses.append((key, value))
  }
}

extension weir_ruling {
  static func allowed(rule: UInt32 = 1) -> weir_ruling { ruling(WEIR_ALLOWED, WEIR_REASON_RULE, rule: rule) }

  static func denied(rule: UInt32 = 0, reason: weir_reason = WEIR_REASON_NO_RULE) -> weir_ruling {
    ruling(WEIR_DENIED, reason, rule: rule)
  }

  /// - Parameter target: what a source's own policy asks; 0 where the destination's does.
  static func proxied(rule: UInt32 = 1, proxy: UInt8, target: UInt16 = 0) -> weir_ruling {
    var ruling = ruling(WEIR_PROXIED, WEIR_REASON_L7_RULE, rule: rule)
    ruling.proxy = proxy
    ruling.target = target
    return ruling
  }

  private static func ruling(_ verdict: weir_verdict, _ reason: weir_reason, rule: UInt32) -> weir_ruling {
    var ruling = weir_ruling()
    ruling.rule = rule
    ruling.verdict = UInt8(verdict.rawValue)
    ruling.reason = UInt8(reason.rawValue)
    return ruling
  }
}
