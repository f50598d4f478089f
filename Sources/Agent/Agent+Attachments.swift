import Datapath

extension Agent {
  /// What the kernel says is amiss now, and why it stays so.
  func findGaps() -> [Gap] {
    let found = lookForGaps()
    guard let mendingFailed, Cgroup.id(tree.root) != nil else { return found }
    return found.map { gap in
      var gap = gap
      if !gap.runs { gap.why += "; not put back: \(mendingFailed); start the agent again" }
      return gap
    }
  }

  /// Of the workloads a few are asked about: what a link puts at the root the kernel runs for all of them.
  private func lookForGaps() -> [Gap] {
    let here = (inForce?.presence.workloads ?? [:]).keys.sorted().prefix(4)
    let cgroups = here.compactMap { sighting.scan?.directories[$0] }
    do throws(DatapathError) { return try datapath.gaps(below: cgroups) } catch {
      return [Gap(program: "programs", runs: false, why: "cannot be asked about: \(Failure(error))")]
    }
  }

  /// Once a second: what somebody took off is put back, and sockets that were opened meanwhile are judged. Said once.
  func followAttachments() {
    let found = lookForGaps()
    if found.isEmpty && gaps.isEmpty { return }
    for gap in found where !gaps.contains(gap) {
      log.error(gap.runs ? "pin-missing" : "program-missing", ["program": gap.program, "why": gap.why])
    }
    var failure: Failure?
    do throws(DatapathError) { try datapath.mend() } catch { failure = Failure(error) }
    let left = lookForGaps()
    if let failure, failure != mendingFailed { log.error("not-mended", ["error": failure, "left": left.count]) }
    mendingFailed = left.isEmpty ? nil : failure
    let mended = Set(found).union(gaps).subtracting(left)
    gaps = left
    if failure != nil && left.contains(where: { !$0.runs }) { beginAgain() }
    if mended.isEmpty { return }
    let wereOff = mended.filter { !$0.runs }
    log.info(
      "mended",
      [
        "programs": wereOff.map(\.program).sorted().joined(separator: ","),
        "pins": mended.filter(\.runs).map(\.program).sorted().joined(separator: ","), "left": left.count,
      ])
    if !wereOff.isEmpty { settleAfterMending() }
  }

  /// A running agent has no CAP_NET_ADMIN, without which the kernel lets nobody attach a program for packets.
  /// One that a service manager looks after ends, to be started again with it; what is attached stays.
  private func beginAgain() {
    guard Cgroup.id(tree.root) != nil, !Privileges.holds(.netAdmin), Notify.isSupervised else { return }
    beginsAgain = true
    loop.stop()
  }

  private func settleAfterMending() {
    do throws(DatapathError) {
      try datapath.enrol()
      try datapath.revoke()
    } catch {
      log.error("incomplete", ["step": "judge open connections", "error": Failure(error)])
    }
  }
}
