import CDatapath
import CLinux
import Glibc

extension Datapath {
  /// Tells the programs which addresses this network namespace has, so that whoever connects to one is known to stay
  /// on this node. To be called again when they may have changed; costs a look where they have not.
  public func followHosts() throws(DatapathError) {
    let cookie = linux_netns_cookie()
    guard cookie != 0 else {
      throw DatapathError(step: "ask for", subject: "the cookie of the network namespace", code: errno)
    }
    try setHosts(Array(try Datapath.hostAddresses().prefix(Int(WEIR_HOSTS_MAX))), namespace: cookie)
  }

  /// - Parameter namespace: its cookie, as programs see it.
  func setHosts(_ wanted: [weir_addr], namespace: UInt64) throws(DatapathError) {
    let map = try object.map("hosts")
    var known: [weir_addr] = []
    for (address, cookie) in try map.entries(weir_addr.self, UInt64.self) {
      if wanted.contains(address) && cookie == namespace {
        known.append(address)
      } else {
        try map.remove(address)
      }
    }
    for address in wanted where !known.contains(address) { try map.set(address, namespace) }
  }

  /// getifaddrs(3), without loopback, which needs no telling.
  private static func hostAddresses() throws(DatapathError) -> [weir_addr] {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else {
      throw DatapathError(step: "ask for", subject: "the addresses of the interfaces", code: errno)
    }
    defer { freeifaddrs(first) }
    var found: [weir_addr] = []
    var next = first
    while let entry = next?.pointee {
      next = entry.ifa_next
      guard entry.ifa_flags & UInt32(IFF_LOOPBACK) == 0, let address = entry.ifa_addr else { continue }
      switch Int32(address.pointee.sa_family) {
      case AF_INET:
        let four = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
        found.append(weir_addr(word: (0, 0, UInt32(0xffff).bigEndian, four)))
      case AF_INET6:
        let six = address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { $0.pointee.sin6_addr }
        found.append(withUnsafeBytes(of: six) { $0.loadUnaligned(as: weir_addr.self) })
      default: continue
      }
    }
    return found
  }
}

extension Array where Element == weir_addr {
  fileprivate func contains(_ address: weir_addr) -> Bool { contains { $0.word == address.word } }
}
