import CLinux
import CSeccomp
import Glibc

/// What the agent cannot ask the kernel for any more, whatever it is made to run. Children made before keep what they
/// had; threads made after have it too.
enum Confinement {
  /// Of the calling thread, which must be the only one.
  static func enter(_ calls: SystemCalls?) throws(Failure) {
    // Capabilities and filters are a thread's own: one that runs already would stay as it is.
    let threads = Files.names(in: "/proc/self/task").count
    guard threads == 1 else { throw Failure("drop privileges: \(threads) threads run; expected one") }
    guard linux_no_new_privileges() == 0 else { throw Failure(SystemError("no_new_privs", "of the agent")) }
    if let calls { try filter(calls) }
  }

  /// Lets the calling thread make these system calls; any other answers EPERM.
  static func filter(_ calls: SystemCalls) throws(Failure) {
    guard let filter = seccomp_init(weir_seccomp_errno(UInt32(EPERM))) else {
      throw Failure("seccomp: no filter can be made; --no-seccomp leaves it out")
    }
    defer { seccomp_release(filter) }
    // A tree instead of a list: some sixty comparisons less for each call.
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2)
    for call in calls.groups.flatMap(\.calls) { try add(call, to: filter) }
    let answer = seccomp_load(filter)
    if answer != 0 {
      throw Failure(SystemError("seccomp", "filter", code: -answer), hint: "--no-seccomp leaves it out")
    }
  }

  private static func add(_ call: SystemCall, to filter: scmp_filter_ctx) throws(Failure) {
    let number = seccomp_syscall_resolve_name(call.name)
    // An older libseccomp, on which the call then answers EPERM; that each name is one is tested where it is new.
    if number == weir_seccomp_unknown { return }
    func rule(_ action: UInt32, _ comparisons: [scmp_arg_cmp] = []) throws(Failure) {
      let answer = seccomp_rule_add_array(filter, action, number, UInt32(comparisons.count), comparisons)
      if answer != 0 { throw Failure(SystemError("seccomp", "rule for \(call.name)", code: -answer)) }
    }
    func masked(_ argument: UInt32, _ bits: UInt64, _ value: UInt64) -> scmp_arg_cmp {
      scmp_arg_cmp(arg: argument, op: SCMP_CMP_MASKED_EQ, datum_a: bits, datum_b: value)
    }
    switch call.condition {
    case .any: try rule(SCMP_ACT_ALLOW)
    case .refused(let code): try rule(weir_seccomp_errno(UInt32(code)))
    case .withBits(let argument, let bits): try rule(SCMP_ACT_ALLOW, [masked(argument, bits, bits)])
    case .withoutBits(let argument, let bits): try rule(SCMP_ACT_ALLOW, [masked(argument, bits, 0)])
    case .among(let argument, let values):
      for value in values {
        try rule(SCMP_ACT_ALLOW, [scmp_arg_cmp(arg: argument, op: SCMP_CMP_EQ, datum_a: value, datum_b: 0)])
      }
    }
  }
}
