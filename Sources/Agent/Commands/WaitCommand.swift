import Datapath
import Glibc
import Policy

extension Command {
  public static let wait = Command(
    name: "wait", summary: "wait until a workload is enforced",
    usage: "[NAMESPACE/NAME | node | --self] [--generation N] [--timeout 30s] [-o json]",
    details: """
      Ends with 0 as soon as the workload's cgroup is there and judged by the files as they are now; with 1 when that
      did not happen in time, after one line that says what is missing. `node`, or no name, is the agent itself. The
      agent may still be starting. As the ExecStartPre of a unit: weir wait --self.
      Needs to be root, as whoever asks the agent.
      """,
    options: [
      .flag("--self", help: "the workload that this process is in"),
      .value("--generation", value: "N", "this generation or a later one"),
      .value("--timeout", value: "TIME", "as 500ms, 30s or 5m (30s); 0s asks once"), runDirectory, format,
    ]
  ) { arguments throws(Failure) in
    let asJSON = try arguments.wantsJSON()
    let question = try WaitQuestion(arguments)
    let client = AgentClient(arguments)
    let deadline = Clock.monotonic() + question.milliseconds * 1_000_000
    while true {
      let answer = try question.ask(client, until: deadline)
      if answer.missing == nil || Clock.monotonic() >= deadline {
        if asJSON { Output.standard.write(JSON.text(answer, pretty: true) + "\n") }
        guard let missing = answer.missing else { return 0 }
        Output.error.write("weir wait: \(Log.oneLine(missing))\n")
        return 1
      }
      usleep(50_000)
    }
  }
}

/// Whom `weir wait` waits for.
struct WaitQuestion {
  private let target: String
  private let generation: UInt32
  let milliseconds: UInt64

  init(_ arguments: Arguments) throws(Failure) {
    if arguments.rest != nil || arguments.positionals.count > 1 {
      throw Failure("\((arguments.positionals.dropFirst() + (arguments.rest ?? [])).first ?? "--"): takes one name")
    }
    let name = arguments.positionals.first
    if arguments.has("--self") {
      if let name { throw Failure("\(name): does not go with --self") }
      target = "/enforced/cgroup" + (try WaitQuestion.own())
    } else if let name, name != "node" {
      target = "/enforced/workload/" + (try WaitQuestion.path(name))
    } else {
      target = "/enforced"
    }
    let text = arguments.last("--generation") ?? "0"
    guard let number = UInt32(text) else {
      throw Failure("--generation \(text): write a number, as `weir status` shows it")
    }
    generation = number
    let time = arguments.last("--timeout") ?? "30s"
    guard let milliseconds = WaitQuestion.milliseconds(time) else {
      throw Failure("--timeout \(time): write a time of at most a day, as 500ms, 30s or 5m")
    }
    self.milliseconds = milliseconds
  }

  /// One try. What cannot get better by waiting is thrown.
  func ask(_ client: AgentClient, until deadline: UInt64) throws(Failure) -> Enforced {
    let now = Clock.monotonic()
    let left = deadline > now ? Int((deadline - now) / 1_000_000) : 0
    let body: [UInt8]
    do throws(SystemError) {
      let answer = try UnixConnection.exchange(client.socket, "GET", target, milliseconds: max(1000, left))
      if answer.status == 403 { throw SystemError("connect", client.socket, code: EACCES) }
      if answer.status != 200 {
        throw SystemError("GET \(target)", client.socket, code: EPROTO)
      }
      body = answer.body
    } catch {
      if error.code == EACCES || error.code == EPERM {
        throw Failure("\(client.socket): only root may ask the agent; run as root")
      }
      return Enforced(generation: 0, missing: WaitQuestion.missing(error, client.socket))
    }
    guard var answer = JSON.decode(Enforced.self, body) else {
      throw Failure("\(client.socket): \(target) cannot be understood; is the agent another version?")
    }
    if answer.missing == nil && answer.generation < generation {
      answer.missing = "generation \(generation) is wanted, \(answer.generation) is in force"
    }
    return answer
  }

  private static func missing(_ error: SystemError, _ socket: String) -> String {
    switch error.code {
    case ENOENT, ECONNREFUSED: "no agent is running (nobody listens at \(socket))"
    case ETIMEDOUT: "the agent is running and does not answer at \(socket)"
    default: error.description
    }
  }

  private static func path(_ name: String) throws(Failure) -> String {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    let isName = parts.allSatisfy { part in
      !part.isEmpty && part.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"%?#".utf8.contains($0) }
    }
    guard isName, parts.count <= 2 else { throw Failure("\(name): write NAMESPACE/NAME, as `weir workloads` has it") }
    return parts.count == 2 ? name : "default/\(name)"
  }

  /// The directory of this process's cgroup, as a part of a URL.
  private static func own() throws(Failure) -> String {
    let mount: String
    do { mount = try Cgroup.mount() } catch { throw Failure(error) }
    guard let own = CgroupTree.own(mount: mount) else {
      throw Failure("/proc/self/cgroup: names no cgroup of the cgroup2 mount \(mount); name the workload")
    }
    return own.utf8.map { byte in
      let isPlain = byte > 0x20 && byte < 0x7f && !"%?#".utf8.contains(byte)
      return isPlain ? String(UnicodeScalar(byte)) : "%" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }.joined()
  }

  /// Of `500ms`, `30s`, `5m`; a number alone is seconds.
  static func milliseconds(_ text: String) -> UInt64? {
    let units: [(suffix: String, factor: UInt64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("", 1000)]
    guard let unit = units.first(where: { text.hasSuffix($0.suffix) }),
      let number = UInt64(text.dropLast(unit.suffix.count))
    else { return nil }
    let (result, isTooMuch) = number.multipliedReportingOverflow(by: unit.factor)
    return isTooMuch || result > 86_400_000 ? nil : result
  }
}
