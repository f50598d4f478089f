import Datapath
import Glibc
import Policy

extension Agent {
  /// Once everything is loaded and attached, as a rule before a policy file is read: whatever is in one meets an agent that
  /// has given up what it does not need. Only where another layout's programs enforce, and are to be taken over with the
  /// first generation, that is waited for.
  func confineWhenAttached() {
    if isConfined || notConfined != nil || !datapath.formerLayouts.isEmpty { return }
    do throws(Failure) {
      try confine()
      isConfined = true
    } catch {
      notConfined = error
      loop.stop()
    }
  }

  private func confine() throws(Failure) {
    try Privileges.keep(Privileges.kept(enteringNamespaces: configuration.enterNamespaces))
    try Confinement.enter(
      configuration.seccomp ? SystemCalls(enteringNamespaces: configuration.enterNamespaces) : nil)
    guard let now = PrivilegeReport() else { throw Failure("/proc/thread-self/status: cannot be read; mount /proc") }
    log.info(
      "confined",
      [
        "capabilities": now.capabilities.joined(separator: ","), "no_new_privs": now.noNewPrivileges,
        "seccomp": now.seccomp,
      ])
  }

  /// Says once what it costs that workloads live where this agent may not look.
  func noteNamespaces() {
    if namespacesNoted || datapath.namespacesNotEntered == 0 { return }
    namespacesNoted = true
    log.warn(
      "namespaces-not-entered",
      [
        "namespaces": datapath.namespacesNotEntered,
        "cost": "sockets that were open there before their workload was known are not enrolled; connections that a new "
          + "generation forbids lose their packets and are not reset",
        "do": "--enter-namespaces, which keeps \(Capability.list(Privileges.entering))",
      ])
  }
}
