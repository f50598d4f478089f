import CLinux
import CSeccomp
import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

struct ConfinementTests {
  @Test func `every name in the list is a system call of some architecture, and stands once`() {
    let names = SystemCalls(enteringNamespaces: true).groups.flatMap(\.calls).map(\.name)
    #expect(names.count > 80 && Set(names).count == names.count)
    for name in names { #expect(seccomp_syscall_resolve_name(name) != weir_seccomp_unknown, "\(name)") }
    #expect(seccomp_syscall_resolve_name("no_such_call") == weir_seccomp_unknown, "so the question means something")
  }

  @Test func `each call that takes a path without a directory has the one with it beside it`() {
    let names = Set(SystemCalls(enteringNamespaces: false).groups.flatMap(\.calls).map(\.name))
    // arm64 has the second column only.
    for (old, new) in [
      ("open", "openat"), ("stat", "newfstatat"), ("lstat", "newfstatat"), ("readlink", "readlinkat"),
      ("mkdir", "mkdirat"), ("rmdir", "unlinkat"), ("unlink", "unlinkat"), ("rename", "renameat"), ("access", "faccessat"),
      ("epoll_wait", "epoll_pwait"), ("poll", "ppoll"), ("accept", "accept4"),
    ] {
      #expect(!names.contains(old) || names.contains(new), "\(old)")
      for name in [old, new] where names.contains(name) {
        #expect(seccomp_syscall_resolve_name_arch(weir_seccomp_x86_64, name) >= 0, "\(name)")
      }
      #expect(!names.contains(old) || seccomp_syscall_resolve_name_arch(weir_seccomp_arm64, new) >= 0, "\(new)")
    }
  }

  /// What each of these answers: 0 or an errno. Each is undone at once.
  private static let attempts: [(name: String, attempt: @Sendable () -> Int32)] = [
    ("another namespace", { unshareFails() }),
    ("executable memory", { executableMemoryFails() }),
    ("a packet socket", { socketFails(AF_PACKET, Int32(SOCK_RAW.rawValue)) }),
    ("a BPF program", { programFails() }),
    ("a process", { processFails() }),
  ]

  @Test(.needsKernel)
  func `what a started agent does not do is refused, and only by the filter`() throws {
    for (name, attempt) in Self.attempts {
      #expect(try onThread(attempt) == 0, "\(name), without the filter")
      let filtered = try onThread { () -> Int32 in
        do { try Confinement.filter(SystemCalls(enteringNamespaces: false)) } catch { return -1 }
        return attempt()
      }
      #expect(filtered == EPERM, "\(name), with it")
    }
  }

  @Test func `what a started agent does goes on under the filter`() throws {
    let place = TemporaryDirectory()
    let path = place.path
    let failure = try onThread { () -> String? in
      do {
        try Confinement.filter(SystemCalls(enteringNamespaces: false))
        try Files.replace("\(path)/a", with: [1, 2, 3], durable: true)
        guard try Files.read("\(path)/a", limit: 10) == [1, 2, 3] else { return "read" }
        guard try onThread({ 7 }) == 7 else { return "thread" }
        guard linux_netns_cookie() != 0 else { return "socket" }
        return Files.names(in: path) == ["a"] ? nil : "names"
      } catch {
        return "\(error)"
      }
    }
    #expect(failure == nil)
  }

  @Test func `setns is for network namespaces, and only where it is asked for`() throws {
    func enter(_ enteringNamespaces: Bool) throws -> Int32 {
      try onThread {
        let own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        defer { close(own) }
        do { try Confinement.filter(SystemCalls(enteringNamespaces: enteringNamespaces)) } catch { return -1 }
        return linux_enter_netns(own) == 0 ? 0 : errno
      }
    }
    #expect(try enter(true) == (Privileges.holds(.sysAdmin) ? 0 : EPERM))
    #expect(try enter(false) == EPERM)
  }

  @Test func `privileges are read as the kernel writes them`() {
    let text = "Name:\tweir\nCapInh:\t0\nCapPrm:\t0000008000200000\nCapEff:\t0000008000000000\nCapBnd:\t000001ffffffffff\n"
    let report = PrivilegeReport(text: text + "NoNewPrivs:\t1\nSeccomp:\t2\n")
    #expect(report?.capabilities == ["CAP_BPF", "CAP_SYS_ADMIN"], "one that can be made effective counts")
    #expect(report?.bounding.count == 41)
    #expect(report?.noNewPrivileges == true && report?.seccomp == true)
    #expect(PrivilegeReport(text: text + "NoNewPrivs:\t0\nSeccomp:\t0\n")?.seccomp == false)
    #expect(PrivilegeReport(text: "Name:\tweir\n") == nil)
  }
}

private func unshareFails() -> Int32 { linux_new_netns() == 0 ? 0 : errno }

private func executableMemoryFails() -> Int32 {
  let size = sysconf(Int32(_SC_PAGESIZE))
  let memory = mmap(nil, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
  guard let memory, memory != MAP_FAILED else { return errno }
  munmap(memory, size)
  return 0
}

private func socketFails(_ family: Int32, _ type: Int32) -> Int32 {
  let descriptor = socket(family, type, 0)
  if descriptor < 0 { return errno }
  close(descriptor)
  return 0
}

private func programFails() -> Int32 {
  do { try Datapath.checkPrivileges() } catch { return error.code }
  return 0
}

/// posix_spawn, which is clone(2) without CLONE_THREAD.
private func processFails() -> Int32 {
  var child: pid_t = 0
  var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
  defer { free(arguments[0]) }
  let code = posix_spawn(&child, "/bin/true", nil, nil, &arguments, nil)
  if code == 0 { waitpid(child, nil, 0) }
  return code
}
