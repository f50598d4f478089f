import Datapath

extension Agent {
  /// Once a second: cgroups that came or went, clients that hung up, what `weir run` left behind.
  func tick() {
    ticks += 1
    confineWhenAttached()
    followAttachments()
    followHosts()
    followRunDirectory()
    followPlaces()
    followPresence(unidentified: true)
    noteNamespaces()
    // What the kernel or a proxy would not have may go well later: memory was short, a proxy was busy.
    if failure != nil && Clock.monotonic() >= failedAt + 10_000_000_000 { reload("retry") }
    if let unsettled, Clock.monotonic() >= unsettled.at + 10_000_000_000 {
      _ = settleOpenConnections(keeping: unsettled.proxies)
    }
    verdicts.reportSuppressed(log)
    if !verdicts.followers.isEmpty { api?.dropHungUp() }
    if ticks % Agent.secondsBetweenLooks == 0 { releaseNumbers() }
    if ticks % 5 == 0 {
      tidy()
      for name in RunLeftovers.remove(in: configuration.workloads, root: tree.root) {
        log.info("workload-removed", ["workload": name, "reason": "its runner and its processes are gone"])
      }
    }
  }

  /// What sockets left behind.
  private func tidy() {
    do throws(DatapathError) { try datapath.tidy() } catch {
      log.error("announcements-not-tidied", ["error": Failure(error)])
    }
  }

  /// An address that came is known a second later at the latest; until then it is nobody's.
  private func followHosts() {
    do {
      try datapath.followHosts()
      hostsFailed = false
    } catch {
      if !hostsFailed { log.error("addresses-not-followed", ["error": Failure(error)]) }
      hostsFailed = true
    }
  }
}
