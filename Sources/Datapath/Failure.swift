import CLibbpf
import CLinux
import Glibc
import Synchronization

/// What could not be done to the kernel: the step, its object, the errno, and the verifier's words if it
/// spoke.
public struct DatapathError: Error, Sendable, CustomStringConvertible {
  /// What was tried: `attach ingress to`.
  public var step: String
  /// To what: a path, a map, a program.
  public var subject: String
  /// The errno, positive.
  public var code: Int32
  /// What to do about it or why it cannot be; empty where the errno says all.
  public var advice: String
  /// What libbpf and the verifier said, many lines; empty mostly.
  public var log: String

  public init(step: String, subject: String, code: Int32, advice: String = "", log: String = "") {
    self.step = step
    self.subject = subject
    self.code = code
    self.advice = advice
    self.log = log
  }

  /// One line: `attach ingress to /sys/fs/cgroup/shop: EPERM (needs CAP_NET_ADMIN)`. The log is not in it.
  public var description: String {
    let why = advice.isEmpty ? String(cString: linux_errno_text(code)) : advice
    return "\(step) \(subject): \(String(cString: linux_errno_name(code))) (\(why))"
  }
}

/// For calls that answer -errno, as libbpf's do. Returns the answer when it is not negative.
@discardableResult
func check(
  _ answer: Int32, _ step: String, _ subject: @autoclosure () -> String = "", advice: String = ""
) throws(DatapathError) -> Int32 {
  guard answer < 0 else { return answer }
  throw DatapathError(step: step, subject: subject(), code: -answer, advice: advice)
}

/// For calls that answer -1 and set errno.
@discardableResult
func checkErrno(
  _ answer: Int32, _ step: String, _ subject: @autoclosure () -> String = "", advice: String = ""
) throws(DatapathError) -> Int32 {
  guard answer < 0 else { return answer }
  throw DatapathError(step: step, subject: subject(), code: errno, advice: advice)
}

/// A file descriptor that is closed exactly once.
final class Descriptor {
  let raw: Int32

  private init(_ raw: Int32) { self.raw = raw }

  deinit { close(raw) }

  /// Takes over what a libbpf call answered: a descriptor, or -errno.
  static func adopt(
    _ answer: Int32, _ step: String, _ subject: @autoclosure () -> String = "", advice: String = ""
  ) throws(DatapathError) -> Descriptor {
    Descriptor(try check(answer, step, subject(), advice: advice))
  }

  /// open(2) of a directory, closed on exec: a child that kept the lock's descriptor would keep the lock.
  static func directory(_ path: String, _ step: String) throws(DatapathError) -> Descriptor {
    Descriptor(try checkErrno(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), step, path))
  }
}

/// What libbpf prints. It has one printer for the whole process and no user pointer, so the lines gather
/// here.
enum LibbpfLog {
  private static let lines = Mutex<[String]>([])
  private static let printing: Void = {
    _ = libbpf_set_print { level, format, arguments in
      guard let format, let arguments else { return 0 }
      guard level == LIBBPF_WARN || LibbpfLog.refusalOfTypes(String(cString: format)) != nil else { return 0 }
      // The arguments can be walked once only, so there is no asking for the size first.
      let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 8192) { buffer in
        guard let start = buffer.baseAddress else { return "" }
        _ = vsnprintf(start, buffer.count, format, arguments)
        return String(cString: start)
      }
      LibbpfLog.lines.withLock { $0.append(text) }
      if LibbpfLog.refusalOfTypes(text) != nil { LibbpfLog.leaveOutPrograms() }
      return 0
    }
  }()

  /// The address of the object in `load`; 0 none.
  private static let loading = Mutex<UInt>(0)

  /// bpf_object__load(), where type information (BTF) is not optional: without it the verifier looks into every function at
  /// every call, which takes minutes. Answers -errno.
  static func load(_ object: OpaquePointer) -> Int32 {
    loading.withLock { $0 = UInt(bitPattern: object) }
    defer { loading.withLock { $0 = 0 } }
    let answer = bpf_object__load(object)
    let refused = lines.withLock { lines in lines.lazy.compactMap(refusalOfTypes).first }
    return refused.map { -$0 } ?? answer
  }

  /// The errno in libbpf's `Error loading .BTF into kernel: -12. BTF is optional, ignoring.`; that of its attempt to find
  /// out whether there is BTF at all it keeps to itself.
  static func refusalOfTypes(_ line: String) -> Int32? {
    if line.hasPrefix("libbpf: Kernel doesn't support BTF") { return ENOTSUP }
    let start = "libbpf: Error loading .BTF into kernel: -"
    return line.hasPrefix(start) ? Int32(line.dropFirst(start.count).prefix { $0.isNumber }) : nil
  }

  private static func leaveOutPrograms() {
    guard let object = OpaquePointer(bitPattern: loading.withLock { $0 }) else { return }
    var program = bpf_object__next_program(object, nil)
    while let each = program {
      bpf_program__set_autoload(each, false)
      program = bpf_object__next_program(object, each)
    }
  }

  /// Forgets what was said before; from here on nothing of libbpf reaches standard error.
  static func start() {
    _ = printing
    lines.withLock { $0.removeAll() }
  }

  static func take() -> [String] {
    lines.withLock { gathered in
      defer { gathered.removeAll() }
      return gathered
    }
  }
}
