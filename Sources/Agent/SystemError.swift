import CLinux
import Datapath
import Glibc

/// A system call that failed: the step, its object and the errno; written `open /x: ENOENT`.
struct SystemError: Error, Equatable, CustomStringConvertible {
  var step: String
  var subject: String
  var code: Int32

  init(_ step: String, _ subject: String, code: Int32 = errno) {
    self.step = step
    self.subject = subject
    self.code = code
  }

  var description: String { "\(step) \(subject): \(SystemError.name(code))" }

  /// `ENOENT` for 2.
  static func name(_ code: Int32) -> String {
    linux_errno_name(code).map { String(cString: $0) } ?? "errno \(code)"
  }
}

/// Wrong usage, or work that could not be done: one line of what, where and what to do. The exit status is 2.
public struct Failure: Error, Equatable, CustomStringConvertible {
  public var description: String

  public init(_ description: String) { self.description = description }

  init(_ error: SystemError, hint: String = "") {
    description = hint.isEmpty ? error.description : "\(error); \(hint)"
  }

  init(_ error: DatapathError) {
    // The verifier ends with its verdict, and after it what it counted (print_verification_stats(), kernel/bpf/verifier.c);
    // before it stands the program's listing.
    let counted = ["processed ", "stack depth ", "verification time "]
    let last = error.log.split(separator: "\n").last { line in !counted.contains { line.hasPrefix($0) } }
    description = error.description + (last.map { ": \($0)" } ?? "")
  }
}
