import CLinux
import Glibc

/// Signals as a descriptor. They are blocked for the process while this lives; children need `former`.
final class Signals {
  let descriptor: Int32
  /// The mask before.
  private(set) var former = sigset_t()

  init(_ numbers: [Int32]) throws(SystemError) {
    var mask = sigset_t()
    sigemptyset(&mask)
    for number in numbers { sigaddset(&mask, number) }
    sigprocmask(SIG_BLOCK, &mask, &former)
    descriptor = signalfd(-1, &mask, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
    if descriptor < 0 { throw SystemError("signalfd", "signals") }
  }

  deinit {
    close(descriptor)
    sigprocmask(SIG_SETMASK, &former, nil)
  }

  /// The next signal that waits; nil when none does.
  func next() -> signalfd_siginfo? {
    var info = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    return read(descriptor, &info, size) == size ? info : nil
  }
}
