import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

/// Every test that runs the agent is nested in here, so that they run one after another.
@Suite(.serialized, .needsKernel) struct EndToEnd {}

/// A node of a test's own: a lab in which the real binary runs. The agent and the commands are in `node` of
/// the lab's cgroup, the workloads below `judged`.
final class Node {
  let lab: Lab
  /// The cgroup root the agent is given.
  let root: String
  let policies: String
  let runDirectory: String
  let log: String
  let metrics = "127.0.0.1:9464"
  private(set) var agent: Child?
  /// Where the agent pins; nil: in the lab's directory.
  var bpffs: String?
  /// More options for the agent, such as `--audit`.
  var options: [String] = []

  /// The binary beside the test bundle, or WEIR.
  static let binary: String = {
    if let named = getenv("WEIR") { return Files.absolute(String(cString: named)) }
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    return Files.absolute(Files.directory(of: bundle) + "/weir")
  }()

  private init(_ lab: Lab) throws {
    self.lab = lab
    root = try lab.cgroup("judged")
    policies = lab.files + "/policies"
    runDirectory = lab.files + "/run"
    log = lab.files + "/agent.log"
    try Files.makeDirectory(policies, mode: 0o755)
  }

  static func use(_ body: (Node) throws -> Void) throws {
    try Lab.use { lab in
      let node = try Node(lab)
      do { try body(node) } catch {
        Issue.record("the agent said:\n\(node.logText.suffix(4000))")
        throw error
      }
    }
  }

  // MARK: The agent

  /// What `start` gives the agent.
  var arguments: [String] { arguments([policies]) }

  private func arguments(_ policies: [String]) -> [String] {
    ["agent"] + policies.flatMap { ["--policies", $0] } + [
      "--cgroup-root", root, "--bpffs", bpffs ?? lab.directory, "--run-dir",
      runDirectory, "--metrics", metrics,
    ] + options
  }

  /// Starts the agent; its log goes to a file, which no pipe can hold up. `around`: what runs it.
  @discardableResult
  func spawnAgent(around: [String] = [], policies: [String]? = nil) throws -> Child {
    let child = try lab.spawn(
      in: "node",
      ["/bin/sh", "-c", "log=$1; shift; exec \"$@\" 2>>\"$log\"", "sh", log] + around + [Node.binary]
        + arguments(policies ?? [self.policies]))
    agent = child
    return child
  }

  /// Starts the agent and waits until it answers with its own pid, as it does after its first reading.
  @discardableResult
  func start(around: [String] = [], policies: [String]? = nil) throws -> Status {
    let child = try spawnAgent(around: around, policies: policies)
    return try eventually("the agent to answer") {
      guard let status = try? self.status(), status.pid == child.pid else { return nil }
      return status
    }
  }

  func killAgent() {
    agent?.kill()
    agent = nil
  }

  /// Ends it as a service manager does; its exit status.
  func stopAgent(_ signal: Int32 = SIGTERM) throws -> Int32 {
    guard let child = agent else { return -1 }
    child.signal(signal)
    agent = nil
    return try child.finish().status
  }

  var logText: String { readFile(log) ?? "" }

  // MARK: Asking it

  func ask(_ method: String, _ target: String) throws -> (status: Int, body: [UInt8]) {
    try UnixConnection.exchange("\(runDirectory)/weir.sock", method, target, milliseconds: Int(20_000 * Lab.slowness))
  }

  func status() throws -> Status {
    try #require(JSON.decode(Status.self, try ask("GET", "/status").body))
  }

  /// Whether this kernel can end a connection; where it cannot, its packets are dropped.
  func resets() throws -> Bool { try !status().missing.contains { $0.hasPrefix("revoke_tcp_") } }

  /// Whether the files were taken, and the status after.
  @discardableResult
  func reload() throws -> (isTaken: Bool, status: Status) {
    let answer = try ask("POST", "/reload")
    return (answer.status == 200, try #require(JSON.decode(Status.self, answer.body)))
  }

  /// The scrape's body, as curl gets it.
  func scrape() throws -> String {
    let answer = try lab.run(in: "node", ["curl", "-sf", "--noproxy", "*", "http://\(metrics)/metrics"])
    guard answer.status == 0 else { throw LabError("curl \(answer.status) \(answer.stderr)", code: EIO) }
    return answer.stdout
  }

  /// Runs the binary beside the agent.
  func weir(_ words: String...) throws -> (status: Int32, stdout: String, stderr: String) {
    try lab.run(in: "node", [Node.binary] + words)
  }

  func detach() throws {
    let answer = try weir("detach", "--bpffs", lab.directory)
    #expect(answer.status == 0, "\(answer.stderr)")
  }

  // MARK: Files and traffic

  func write(_ name: String, _ text: String) throws {
    try Files.replace("\(policies)/\(name)", with: Array(text.utf8), mode: 0o644)
  }

  func remove(_ name: String) { Files.remove("\(policies)/\(name)") }

  /// A Workload's object; its cgroup is made.
  func workload(_ name: String) throws -> String {
    _ = try lab.cgroup("judged/shop/\(name)")
    return """
      apiVersion: weir.dev/v1alpha1
      kind: Workload
      metadata: {name: \(name), namespace: shop, labels: {app: \(name)}}
      spec: {cgroup: shop/\(name), serviceAccountName: \(name)}
      ---

      """
  }

  func server(_ workload: String, _ port: UInt16, at address: String = "127.0.0.1") throws {
    try lab.server(in: "judged/shop/\(workload)", at: address, port)
  }

  func client(_ workload: String) throws -> Child { try lab.client(in: "judged/shop/\(workload)") }

  /// `traffic.py` beside this file, in a workload, once it is ready.
  func traffic(_ workload: String?, _ words: String..., awaiting: String? = "ready") throws -> Child {
    let script = Files.directory(of: #filePath) + "/traffic.py"
    let child = try lab.spawn(
      in: workload.map { "judged/shop/\($0)" } ?? "node", ["python3", script] + words)
    if let awaiting, try child.line() != awaiting { throw LabError("traffic.py \(words)", code: EPROTO) }
    return child
  }
}

/// Asks again until there is an answer, ten seconds at most on a machine that is not emulated.
func eventually<Answer>(_ what: String, _ question: () throws -> Answer?) throws -> Answer {
  let deadline = Clock.monotonic() + UInt64(10_000_000_000 * Lab.slowness)
  while Clock.monotonic() < deadline {
    if let answer = try question() { return answer }
    usleep(10_000)
  }
  throw LabError("waiting for \(what)", code: ETIMEDOUT)
}

/// NetworkPolicies of the tests, in the namespace shop.
enum PolicyText {
  /// `app` may call these TCP ports and nothing else.
  static func egress(_ app: String, ports: [UInt16]) -> String {
    """
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: \(app)-egress, namespace: shop}
    spec:
      podSelector: {matchLabels: {app: \(app)}}
      policyTypes: [Egress]
      egress: \(ports.isEmpty ? "[]" : "[{ports: [\(list(ports))]}]")
    ---

    """
  }

  /// `app` takes these TCP ports from `from` and nothing else.
  static func ingress(_ app: String, from: String, ports: [UInt16]) -> String {
    """
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: \(app)-ingress, namespace: shop}
    spec:
      podSelector: {matchLabels: {app: \(app)}}
      policyTypes: [Ingress]
      ingress: [{from: [{podSelector: {matchLabels: {app: \(from)}}}], ports: [\(list(ports))]}]
    ---

    """
  }

  private static func list(_ ports: [UInt16]) -> String {
    ports.map { "{port: \($0), protocol: TCP}" }.joined(separator: ", ")
  }
}
