import CSeccomp
import Datapath
import Glibc

/// A system call that a started agent makes.
struct SystemCall {
  /// What an argument must be. Arguments are numbered from 0, as in the call's manual page.
  enum Condition {
    case any
    case among(argument: UInt32, [UInt64])
    case withBits(argument: UInt32, UInt64)
    case withoutBits(argument: UInt32, UInt64)
    /// Not made, but answered with an errno that its caller knows what to do about.
    case refused(Int32)
  }

  var name: String
  var condition: Condition = .any

  /// Several that are allowed whatever their arguments. A name that an architecture does not have (arm64 has none of
  /// the calls that take a path without a directory) is passed over there.
  static func plain(_ names: String) -> [SystemCall] {
    names.split(separator: " ").map { SystemCall(name: String($0)) }
  }
}

/// What a started agent asks the kernel for, by purpose; all else answers EPERM. Found by running every end-to-end test
/// under `strace -f`; beside each stands what libc makes of the same call on another architecture or in another version.
/// What a new feature needs is added to the group it belongs to, with its arguments as narrow as they are; an EPERM that
/// `--no-seccomp` takes away is one that is missing here. Not in it on purpose: execve and fork, mount, ptrace, kill, kernel
/// modules, io_uring, and loading a BPF program. What starts another process or listens does so before.
struct SystemCalls {
  struct Group {
    var reason: String
    var calls: [SystemCall]
  }

  var groups: [Group]

  /// - Parameter enteringNamespaces: whether it looks at the sockets of other network namespaces.
  init(enteringNamespaces: Bool) {
    groups = SystemCalls.always
    guard enteringNamespaces else { return }
    let name = SystemCall(name: "setns", condition: .among(argument: 1, [UInt64(CLONE_NEWNET)]))
    groups.append(Group(reason: "--enter-namespaces: a thread that looks at another namespace's sockets", calls: [name]))
  }

  private static let always: [Group] = [
    Group(
      reason: "maps, links and iterators; not the loading of programs",
      calls: [SystemCall(name: "bpf", condition: .among(argument: 0, Datapath.commandsAfterStart.map(UInt64.init)))]),
    Group(
      reason: "memory, none of it executable: the allocator, tables, the ring buffer",
      calls: [
        SystemCall(name: "mmap", condition: .withoutBits(argument: 2, UInt64(PROT_EXEC))),
        SystemCall(name: "mprotect", condition: .withoutBits(argument: 2, UInt64(PROT_EXEC))),
      ] + SystemCall.plain("brk madvise mremap munmap")),
    Group(
      reason: "threads: tables are put in place side by side, iterators run aside; no processes",
      calls: [
        SystemCall(name: "clone", condition: .withBits(argument: 0, UInt64(CLONE_THREAD))),
        // Its flags are in memory, where a filter cannot look; glibc takes clone then.
        SystemCall(name: "clone3", condition: .refused(ENOSYS)),
      ]
        + SystemCall.plain("exit futex rseq sched_getaffinity sched_yield set_robust_list sigaltstack")),
    Group(
      reason: "signals and the end; tgkill is how abort(3) ends this process",
      calls: [SystemCall(name: "tgkill", condition: .among(argument: 0, [UInt64(getpid())]))]
        + SystemCall.plain("exit_group gettid restart_syscall rt_sigaction rt_sigprocmask rt_sigreturn")),
    Group(
      reason: "policy files, the run directory, /proc, cgroups and pins: reading",
      calls: SystemCall.plain(
        "access close faccessat faccessat2 fcntl fstat fstatfs getcwd getdents64 lseek lstat newfstatat open openat "
          + "pread64 read readlink readlinkat readv stat statfs statx")),
    Group(
      reason: "the run directory, pins and their lock, cgroups of the canary and those that weir run left: writing",
      calls: SystemCall.plain(
        "fdatasync flock fsync ftruncate mkdir mkdirat rename renameat renameat2 rmdir symlink symlinkat umask unlink "
          + "unlinkat write writev")),
    Group(
      reason: "the event loop: sockets, signals and files that change",
      calls: SystemCall.plain(
        "epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd2 inotify_add_watch inotify_rm_watch pipe2 poll "
          + "ppoll")),
    Group(
      reason: "the status socket, scrapes, a proxy's admin socket, the service manager, the interfaces' addresses",
      calls: [
        SystemCall(
          name: "socket", condition: .among(argument: 0, [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK].map(UInt64.init)))
      ]
        + SystemCall.plain(
          "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmsg sendmsg sendto setsockopt "
            + "shutdown")),
    Group(
      reason: "clocks, chance, and what is known about this process",
      calls: SystemCall.plain(
        "clock_gettime clock_nanosleep getegid geteuid getgid getpid getrandom getrusage gettimeofday getuid nanosleep "
          + "prlimit64 sysinfo uname")),
  ]
}
