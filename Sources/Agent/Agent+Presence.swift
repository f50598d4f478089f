import Datapath
import Policy

extension Agent {
  /// What the agent knows of the cgroups.
  struct Sighting {
    /// Of the last look.
    var scan: CgroupScan?
    /// Of the last look that asked for them.
    var unidentified: [CgroupScan.Unidentified] = []
    var isLookDue = false
    /// When, on Clock.monotonic, another look may be had at once.
    var rested: UInt64 = 0
    /// The presence that could not be put in force; not tried again until it changes or some time went by.
    var failed: (presence: Presence, at: UInt64)?
    var wasCut = false
  }

  /// Looks where the set's cgroups are now, and watches where more may appear.
  @discardableResult
  func look(_ located: CgroupTree.Located, unidentified: Bool = false) -> CgroupScan {
    let began = Clock.monotonic()
    let scan = CgroupScan(located, tree, unidentified: unidentified, after: sighting.scan) { [cgroups] in
      cgroups.add($0)
    }
    cgroups.keepAdded()
    let now = Clock.monotonic()
    sighting.rested = now + 2 * (now - began)
    if scan.isCut && !sighting.wasCut {
      log.warn("cgroups-not-all-seen", ["limit": CgroupScan.maximumDirectories, "cgroup_root": tree.root])
    }
    sighting.wasCut = scan.isCut
    sighting.scan = scan
    if unidentified { sighting.unidentified = scan.unidentified }
    return scan
  }

  /// A cgroup came or went. The first is looked for a millisecond later, with those that come meanwhile; while they
  /// go on coming, looking takes a third of the time at most.
  func takeCgroups() {
    let since = Clock.monotonic()
    guard cgroups.drain(), !sighting.isLookDue else { return }
    sighting.isLookDue = true
    let rest = sighting.rested > since ? Int((sighting.rested - since) / 1_000_000) : 0
    loop.after(milliseconds: 1 + rest) { [unowned self] in
      sighting.isLookDue = false
      _ = cgroups.drain()
      followPresence(unidentified: false, since: since)
    }
  }

  /// Puts in force what changed among the cgroups, with the set as it is.
  /// - Parameter unidentified: whether those that are nobody's are counted, too.
  func followPresence(unidentified: Bool, since: UInt64 = Clock.monotonic()) {
    guard let candidate = inForce?.candidate, let former = inForce?.presence else { return }
    var times = Times(since: since)
    let presence = look(candidate.located, unidentified: unidentified).presence
    times.lap(\.read)
    if presence == former {
      sighting.failed = nil
      return
    }
    let now = Clock.monotonic()
    if let failed = sighting.failed, failed.presence == presence, now < failed.at + 10_000_000_000 { return }
    do {
      try apply(candidate, presence: presence, cause: "cgroups", times: times)
      sighting.failed = nil
    } catch {
      sighting.failed = (presence, now)
      fail(error)
      log.error("not-in-force", ["cause": "cgroups", "error": error])
    }
  }
}
