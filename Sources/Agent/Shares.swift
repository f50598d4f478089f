import CDatapath
import Datapath

/// What one workload has of what all share, or what was lost of it.
struct Share: Codable, Equatable {
  /// A map (senders, connections, refusals), or what else can be lost: events, exchanges, storage.
  var map: String
  /// `outside` for connections from nobody weir knows; `proxies` for what proxies announce.
  var workload: String
  var entries: UInt64
  /// Of what the map holds at most, 0 to 1; 0 for what is no shared map.
  var share: Double
  var lost: UInt64

  /// One for each workload and map where there is anything, the largest of each map first.
  static func all(_ usage: [(UInt32, weir_usage)], _ maps: [MapFill], _ names: Names) -> [Share] {
    var sums: [String: [String: Share]] = [:]
    for (whose, row) in usage where whose != WEIR_EVERYBODY {
      let entries = words(row.entries)
      for (loss, lost) in words(row.lost).enumerated() {
        let map = Metrics.loss(loss)
        let had = shared(map).map { entries[$0] } ?? 0
        guard had > 0 || lost > 0 else { continue }
        let name = whose == 0 ? "proxies" : whose & WEIR_FROM_OUTSIDE != 0 ? "outside" : names.workload(whose)
        var share = sums[map]?[name] ?? Share(map: map, workload: name, entries: 0, share: 0, lost: 0)
        share.entries &+= had
        share.lost &+= lost
        let room = maps.first { $0.name == map }?.maxEntries ?? 0
        share.share = room > 0 && share.entries > 0 ? Double(share.entries) / Double(room) : 0
        sums[map, default: [:]][name] = share
      }
    }
    return sums.sorted { $0.key < $1.key }.flatMap { _, shares in
      shares.values.sorted { ($1.entries, $1.lost, $0.workload) < ($0.entries, $0.lost, $1.workload) }
    }
  }

  /// The first `count` of each map.
  static func top(_ count: Int, of shares: [Share]) -> [Share] {
    var seen: [String: Int] = [:]
    return shares.filter { share in
      seen[share.map, default: 0] += 1
      return seen[share.map, default: 0] <= count
    }
  }

  /// The weir_shared of a map's name.
  private static func shared(_ map: String) -> Int? {
    switch map {
    case "senders": Int(WEIR_SHARED_SENDERS.rawValue)
    case "connections": Int(WEIR_SHARED_CONNECTIONS.rawValue)
    case "refusals": Int(WEIR_SHARED_REFUSALS.rawValue)
    default: nil
    }
  }

  private static func words<T>(_ tuple: T) -> [UInt64] {
    withUnsafeBytes(of: tuple) { Array($0.bindMemory(to: UInt64.self)) }
  }
}
