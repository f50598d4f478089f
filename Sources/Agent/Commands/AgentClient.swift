import Glibc

/// The commands' way to a running agent: its status API.
struct AgentClient {
  var runDirectory: String

  init(_ arguments: Arguments) {
    runDirectory = Files.absolute(arguments.last("--run-dir") ?? Configuration.defaultRunDirectory)
  }

  var socket: String { Configuration.socket(runDirectory) }

  /// Answers a body with status 200, or 422: files rejected.
  func ask(_ method: String, _ target: String) throws(Failure) -> [UInt8] {
    do throws(SystemError) {
      let answer = try UnixConnection.exchange(socket, method, target, milliseconds: 30_000)
      if answer.status == 200 || answer.status == 422 { return answer.body }
      if answer.status == 403 { throw SystemError("connect", socket, code: EACCES) }
    } catch {
      throw unreachable(error)
    }
    throw Failure("\(socket): \(method) \(target) was not answered as an agent does; is it another version?")
  }

  func ask<T: Decodable>(_ method: String, _ target: String, as type: T.Type) throws(Failure) -> T {
    guard let value = JSON.decode(type, try ask(method, target)) else {
      throw Failure("\(socket): \(target) cannot be understood; is the agent another version?")
    }
    return value
  }

  func unreachable(_ error: SystemError) -> Failure {
    if error.code == EACCES { return Failure(error, hint: "run as root") }
    return Failure(
      error, hint: "is an agent running? start one with `weir agent`, or name its directory with --run-dir")
  }
}
