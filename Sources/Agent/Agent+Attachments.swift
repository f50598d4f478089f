import Datapath

extension Agent {
  /// What the kernel says is amiss now. Of the workloads a few are asked about: what a link puts at the root the kernel
  /// runs for all of them.
  func findGaps() -> [Gap] {
    let here = (inForce?.presence.workloads ?? [:]).keys.sorted().prefix(4)
    let cgroups = here.compactMap { inForce?.candidate.located.workloads[$0] }
    do throws(DatapathError) { return try datapath.gaps(below: cgroups) } catch {
      return [Gap(program: "programs", runs: false, why: "cannot be asked about: \(Failure(error))")]
    }
  }

  /// Once a second: what somebody took off is put back, and sockets that were opened meanwhile are judged. Said once.
  func followAttachments() {
    let found = findGaps()
    if found.isEmpty && gaps.isEmpty { return }
    for gap in found where !gaps.contains(gap) {
      log.error(gap.runs ? "pin-missing" : "program-missing", ["program": gap.program, "why": gap.why])
    }
    var failure: Failure?
    do throws(DatapathError) { try datapath.mend() } catch {
      failure = Failure(error)
      endIfGivenUp(error)
    }
    let left = findGaps()
    if let failure, left != gaps { log.error("not-mended", ["error": failure]) }
    let mended = Set(found).union(gaps).subtracting(left)
    gaps = left
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

  private func settleAfterMending() {
    do throws(DatapathError) {
      try datapath.enrol()
      try datapath.revoke()
    } catch {
      log.error("incomplete", ["step": "judge open connections", "error": Failure(error)])
    }
  }
}
